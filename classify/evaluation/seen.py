"""Images that an ensemble has seen: its predictions for them are no evidence of its accuracy."""

import numpy as np

from morphoscope.classify.ensemble import Ensemble
from morphoscope.classify.inputs.views import in_view
from morphoscope.cohort import TEST_FOLD, Cohort
from morphoscope.configs import UserError, first_names


def seen_images(ensemble: Ensemble, cohort: Cohort, rows: np.ndarray) -> np.ndarray | None:
    """Which of a cohort's images a model was trained on or chosen by, recognised by their files' bytes.

    Ensembles of earlier versions, or of more than a million images, do not list those. For them, all images
    outside the test fold of the training cohort count as seen; of any other cohort it is not known.

    Args:
        rows: row numbers, int64 [n].

    Returns:
        bool [n], or None if it is not known.
    """
    listed = ensemble.metadata.seen_images
    if listed is not None:
        return np.isin(cohort.select(rows).image_hashes, listed)
    if cohort.digest != ensemble.metadata.cohort_digest:
        return None
    return ((cohort.rows["fold"] != TEST_FOLD).to_numpy() & in_view(cohort, ensemble.view))[rows]


def refuse_seen_images(ensemble: Ensemble, cohort: Cohort, rows: np.ndarray) -> None:
    """Refuse images that a model has seen; what is not known is not refused.

    Args:
        rows: the images to evaluate, bool [N].

    Raises:
        UserError: it names the seen images.
    """
    chosen = np.flatnonzero(rows)
    seen = seen_images(ensemble, cohort, chosen)
    files = [] if seen is None else cohort.rows["file"].iloc[chosen[seen]].tolist()
    if files:
        raise UserError(
            f"{cohort.root}: the ensemble was trained or validated on {len(files)} of these images: "
            f"{first_names(files)}. Evaluate it on patients that it has not seen, with rows 'all'."
        )

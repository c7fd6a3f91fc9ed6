"""Images that an ensemble has seen: what it says of them is no evidence of how good it is."""

import numpy as np

from morphoscope.classify.ensemble import Ensemble
from morphoscope.classify.inputs.views import in_view
from morphoscope.cohort import TEST_FOLD, Cohort
from morphoscope.configs import UserError, first_names


def seen_images(ensemble: Ensemble, cohort: Cohort, rows: np.ndarray) -> np.ndarray | None:
    """Which of a cohort's images (row numbers [n]) a model was trained on or chosen by, bool [n].

    By their files' bytes. Ensembles of earlier versions, or of more than a million images, do not list those:
    then all but the test fold of the very cohort of the training; of any other cohort it is not known, None.
    """
    listed = ensemble.metadata.get("seen_images")
    if listed is not None:
        return np.isin(cohort.select(rows).image_hashes, listed)
    if cohort.digest != ensemble.metadata.get("cohort_digest"):
        return None
    return ((cohort.rows["fold"] != TEST_FOLD).to_numpy() & in_view(cohort, ensemble.view))[rows]


def refuse_seen_images(ensemble: Ensemble, cohort: Cohort, rows: np.ndarray) -> None:
    """UserError if a model has seen images among `rows`, bool [N]; what is not known is not refused."""
    chosen = np.flatnonzero(rows)
    seen = seen_images(ensemble, cohort, chosen)
    files = [] if seen is None else cohort.rows["file"].iloc[chosen[seen]].tolist()
    if files:
        raise UserError(
            f"{cohort.root}: the ensemble was trained or validated on {len(files)} of these images: "
            f"{first_names(files)}. Judge a cohort of patients that it has not seen, with rows 'all'."
        )

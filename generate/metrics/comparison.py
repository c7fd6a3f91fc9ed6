"""The real images that a generator is compared with."""

import logging
from typing import NamedTuple

import numpy as np

from morphoscope.cohort import TEST_FOLD, Cohort
from morphoscope.configs import UserError
from morphoscope.configs.commands import Compared
from morphoscope.generate.description import SnapshotMetadata

log = logging.getLogger(__name__)


def real_rows(cohort: Cohort, rows: Compared, metadata: SnapshotMetadata) -> Cohort:
    """The real rows to compare a generator with; only those of its view if it was trained on one view.

    Args:
        rows: "test": the test fold, which the generator must not have seen; "training": the folds that it was
            trained on; "all": every real image, seen or not.
        metadata: of the generator's snapshot.

    Raises:
        UserError: there is no such row; the generator or an ancestor was trained on the test fold; "training"
            with a cohort that the generator was not trained on.
    """
    real, view = _real_of_its_view(cohort, metadata), metadata.view
    folds = cohort.rows["fold"]
    if rows == "test":
        chosen = real & (folds == TEST_FOLD).to_numpy()
    elif rows == "training":
        if metadata.cohort_digest != cohort.digest:
            raise UserError(
                f"{cohort.root}: the generator was not trained on this cohort and split (digest "
                f"{cohort.digest}; trained on {metadata.origin}), so which of these images it has seen is "
                "unknown; choose --rows all."
            )
        chosen = real & folds.isin(metadata.trained_on_folds).to_numpy()
    else:
        chosen = real
    if not chosen.any():
        kind = "real" if view is None else f"real {view}"
        raise UserError(f"{cohort.root}: no {kind} image among --rows {rows}; try --rows all.")
    if rows == "test":
        _require_unseen(cohort, metadata)
    return cohort.select(np.flatnonzero(chosen))


class SeenAndHeldOut(NamedTuple):
    """Real rows of a cohort that a generator or an ancestor was trained on, and rows that none has seen."""

    seen: Cohort
    held_out: Cohort


def seen_and_held_out(cohort: Cohort, rows: Compared, metadata: SnapshotMetadata) -> SeenAndHeldOut | None:
    """The rows that tell copies from other images; None if none are known or held out.

    Args:
        rows: what may count as held out: "test": the test fold; "training": all other folds, so that the test
            fold stays unused; "all": both.
        metadata: of the generator's snapshot.
    """
    if metadata.cohort_digest != cohort.digest:
        return None
    real = _real_of_its_view(cohort, metadata)
    folds = cohort.rows["fold"]
    seen = folds.isin(metadata.trained_on_folds).to_numpy()
    test = (folds == TEST_FOLD).to_numpy()
    allowed = {"test": test, "training": ~test, "all": np.ones(len(cohort), bool)}[rows]
    held_out = ~seen & allowed & (folds != "").to_numpy()
    if not (real & seen).any() or not (real & held_out).any():
        return None
    return SeenAndHeldOut(
        cohort.select(np.flatnonzero(real & seen)), cohort.select(np.flatnonzero(real & held_out))
    )


def _real_of_its_view(cohort: Cohort, metadata: SnapshotMetadata) -> np.ndarray:
    """Which rows are real, and of the generator's view if it was trained on one: bool [N]."""
    real = (cohort.rows["source"] == "real").to_numpy()
    return real if metadata.view is None else real & (cohort.rows["view"] == metadata.view).to_numpy()


def _require_unseen(cohort: Cohort, metadata: SnapshotMetadata) -> None:
    """Refuse a test fold that the generator was trained on; warn where that cannot be known."""
    seen = {
        fold
        for training in metadata.lineage
        if training.cohort_digest == cohort.digest
        for fold in training.trained_on_folds
    }
    if TEST_FOLD in seen:
        raise UserError(
            f"{cohort.root}: the generator was trained on the test fold, so no images are held out; choose "
            "--rows training or --rows all."
        )
    if metadata.cohort_digest != cohort.digest:
        log.warning(
            "The generator was not trained on this cohort and split (digest %s; trained on %s), so it may "
            "have been trained on these images.",
            cohort.digest,
            metadata.origin,
        )
    elif metadata.foreign:
        log.warning(
            "The generator started from a foreign model, whose training images are unknown; that model may "
            "have been trained on these images."
        )

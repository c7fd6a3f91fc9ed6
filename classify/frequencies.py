"""Which prior an ensemble's probabilities assume, and the one that a user names instead."""

from collections.abc import Mapping
from math import isclose
from pathlib import Path

import numpy as np

from morphoscope.classify.certainty.prior import COHORT, Prior, loss_weights
from morphoscope.classify.description import EnsembleMetadata
from morphoscope.cohort.csv_tables import read_table
from morphoscope.configs import UserError, arguments
from morphoscope.configs.classifier import LossGroup
from morphoscope.configs.user_files import read_regular

Prevalence = Prior | Mapping[str, float] | Path | str
"""Frequencies of the conditions: a prior; {condition: frequency}; "cohort", those of the training cohort;
"uniform", equal ones; or a table's path."""

_LARGEST_TABLE = 10_000_000  # bytes
_LEAST_COUNT = 0.5  # images, of a condition that the counted rows lack: no frequency is 0
_SUM_TOLERANCE = 0.001


def trained_frequencies(counts: np.ndarray, loss: LossGroup, conditions: int) -> np.ndarray:
    """The frequencies that a model's probabilities assume after training with these loss weights.

    Args:
        counts: training images of each class, [C]; the first K classes are the conditions.
        conditions: K.

    Returns:
        float64 [K], summing to 1.
    """
    weights = loss_weights(counts, loss.balance, loss.class_balance, loss.balance_beta)
    weighted = (counts * weights)[:conditions]
    return weighted / weighted.sum()


def cohort_prior(metadata: EnsembleMetadata, calibration: np.ndarray | None) -> Prior | None:
    """The frequencies of the conditions among the real training images; None if unknown.

    Args:
        calibration: number of calibration images of each condition, [K]; it stands in for what files of
            earlier versions do not record. None if the ensemble is not calibrated.
    """
    if metadata.prevalence is not None:
        return Prior(tuple(metadata.prevalence), COHORT)
    return None if calibration is None else Prior.of(np.maximum(calibration, _LEAST_COUNT), COHORT)


def assumed_prior(metadata: EnsembleMetadata, calibration: np.ndarray | None) -> Prior | None:
    """The prior of the ensemble's probabilities: as recorded, or derived from its config; None if unknown.

    Fully balanced losses make it equal frequencies, whatever the images were. Otherwise it follows from the
    cohort's frequencies, unless synthetic images changed those.

    Args:
        calibration: as for `cohort_prior`.
    """
    cohort = cohort_prior(metadata, calibration)
    known = None if cohort is None else cohort.frequencies
    if metadata.prior is not None:
        return Prior.named(tuple(metadata.prior), known)
    loss = metadata.config.loss
    if loss.class_balance == 1 and loss.balance == "inverse":
        return Prior.uniform(len(metadata.conditions))
    synthetic = any(scores.training_images.get("synthetic") for scores in metadata.scores.values())
    if calibration is None or synthetic or metadata.auxiliary:
        return None
    folds = len(metadata.folds)
    counts = np.maximum(calibration, _LEAST_COUNT) * ((folds - 1) / folds if folds > 1 else 1)
    found = trained_frequencies(counts, loss, len(metadata.conditions))
    return Prior.named(tuple(map(float, found)), known)


_TAKES = "cohort, uniform, a table's path, frequencies {condition: share}, or a Prior"


def requested_prior(prevalence: Prevalence, conditions: list[str], cohort: Prior | None) -> Prior:
    """The prior that a user names.

    Args:
        prevalence: see `Prevalence`. A table is a CSV with the columns condition and prevalence.
        conditions: K names.
        cohort: the training cohort's frequencies, if known.

    Raises:
        UserError: the cohort's frequencies are not known; or a table or mapping that does not give each
            condition one frequency above 0, with a sum of 1.
    """
    if isinstance(prevalence, Prior):
        if len(prevalence.frequencies) != len(conditions):
            raise UserError(f"{len(prevalence.frequencies)} frequencies for {len(conditions)} conditions.")
        return prevalence
    if isinstance(prevalence, Mapping):
        given = {
            arguments.text("A condition", name): arguments.real_number(f"The prevalence of {name}", share)
            for name, share in prevalence.items()
        }
        return _checked(given, conditions, "prevalence", "the given frequencies")
    path = arguments.path("prevalence", prevalence, _TAKES)
    name = str(path)
    if name == "uniform":
        return Prior.uniform(len(conditions))
    if name == "cohort":
        if cohort is None:
            raise UserError(
                "The ensemble's file does not record the frequencies of the conditions in its training "
                "cohort. Run `morphoscope classify calibrate`, or give a table with the columns condition "
                "and prevalence."
            )
        return cohort
    return _checked(_table(path), conditions, name, f"the frequencies of {path.name}")


def _table(path: Path) -> dict[str, float]:
    if not path.is_file():
        raise UserError(f"{path}: no such file. --prevalence takes cohort, uniform or a table (CSV).")
    table = read_table(read_regular(path, _LARGEST_TABLE), str(path))
    if set(table.columns) != {"condition", "prevalence"}:
        raise UserError(
            f"{path}: its columns are {', '.join(table.columns)}; they must be condition and prevalence."
        )
    found: dict[str, float] = {}
    for condition, cell in zip(table["condition"], table["prevalence"], strict=True):
        if condition in found:
            raise UserError(f"{path}: {condition} has two rows.")
        try:
            found[condition] = float(cell)
        except ValueError:
            raise UserError(f"{path}: prevalence of {condition}: {cell!r} is not a number.") from None
    return found


def _checked(found: dict[str, float], conditions: list[str], where: str, name: str) -> Prior:
    missing, unknown = [c for c in conditions if c not in found], sorted(set(found) - set(conditions))
    if missing or unknown:
        problems = [f"it lacks {', '.join(missing)}"] if missing else []
        problems += [f"the ensemble does not know {', '.join(unknown)}"] if unknown else []
        raise UserError(f"{where}: {'; '.join(problems)}. Each condition needs one frequency.")
    wrong = [c for c in conditions if not 0 < found[c] <= 1]
    if wrong:
        raise UserError(
            f"{where}: prevalence of {wrong[0]}: {found[wrong[0]]:g} is not above 0 and at most 1."
        )
    total = sum(found.values())
    if not isclose(total, 1, abs_tol=_SUM_TOLERANCE):
        raise UserError(f"{where}: the frequencies sum to {total:g}, not 1.")
    return Prior.of(np.array([found[c] for c in conditions]), name)

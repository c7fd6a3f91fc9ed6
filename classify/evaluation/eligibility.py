"""Which images of a cohort an ensemble may be evaluated on, and in which form it is shown them."""

from typing import get_args

import numpy as np

from morphoscope.classify.ensemble import Ensemble
from morphoscope.classify.evaluation.seen import refuse_seen_images
from morphoscope.classify.inputs.pairs import HALVES, Form, Samples, samples
from morphoscope.classify.inputs.views import in_view, require_paired_test
from morphoscope.cohort import TEST_FOLD, Cohort
from morphoscope.configs import UserError, arguments
from morphoscope.configs.commands import Rows
from morphoscope.configs.views import View


def evaluated_form(ensemble: Ensemble, view: View | None) -> Form:
    """The form of the samples for a view: whole images or pairs, or one half of a pair.

    Raises:
        UserError: a dual-view ensemble has no such half.
    """
    if view is None or not ensemble.dual:
        return "whole"
    for half in HALVES:
        if view == half:
            return half
    raise UserError(f"view '{view}': the ensemble takes {' and '.join(HALVES)} photographs.")


def eligible_samples(ensemble: Ensemble, cohort: Cohort, mask: np.ndarray, form: Form) -> Samples:
    """The samples that the ensemble is shown of the rows in `mask`, bool [N].

    Raises:
        UserError: there is no pair among them.
    """
    found = samples(cohort, ensemble.config, mask, form == "whole")
    if not len(found.members):
        raise UserError(
            f"{cohort.root}: no pair of a focused and a panoramic image to evaluate; give a view."
        )
    return found


def check_types(ensemble: object, cohort: object, rows: object, unlike: object) -> None:
    """Raise UserError for an argument of another type, or unknown rows."""
    arguments.instance("ensemble", ensemble, Ensemble, "an Ensemble, e.g. from Ensemble.load")
    arguments.instance("cohort", cohort, Cohort, "a Cohort, e.g. from Cohort.load")
    arguments.one_of("rows", rows, get_args(Rows))
    if unlike is not None:
        arguments.instance("unlike", unlike, Cohort, "a Cohort, or None")


def require_eligible(ensemble: Ensemble, cohort: Cohort, rows: Rows, unlike: Cohort | None) -> None:
    """Refuse an evaluation that the ensemble cannot do, or that would not be fair.

    Raises:
        UserError: a condition that the ensemble does not know; `unlike` without a calibration;
            or a cohort that does not fit the rows.
    """
    unknown = sorted(set(cohort.rows["condition"]) - set(ensemble.conditions))
    if unknown:
        raise UserError(
            f"{cohort.root}: the ensemble does not know {', '.join(unknown)}; it knows {ensemble.conditions}."
        )
    if unlike is not None and ensemble.calibration is None:
        raise UserError(
            "The ensemble is not calibrated, so it has no alarm; calibrate it first: "
            "morphoscope classify calibrate."
        )
    _require_fitting_cohort(ensemble, cohort, rows)


def eligible_rows(ensemble: Ensemble, cohort: Cohort, rows: Rows, view: View | None) -> np.ndarray:
    """Which rows of the cohort are evaluated, bool [N].

    Raises:
        UserError: there are none; a test image was trained on; or the test of one view is not fair to both.
    """
    fold_of = cohort.rows["fold"].to_numpy(dtype=str)
    mask = {
        "test": fold_of == TEST_FOLD,
        "out_of_fold": np.isin(fold_of, ensemble.folds),
        "all": np.ones(len(fold_of), bool),
    }[rows] & in_view(cohort, view)
    if not mask.any():
        raise UserError(f"{cohort.root}: no image to evaluate (rows '{rows}', {view or 'every'} view).")
    if view is not None and rows == "test":
        require_paired_test(cohort)
    if rows == "test":
        refuse_seen_images(ensemble, cohort, fold_of == TEST_FOLD)
    return mask


def _require_fitting_cohort(ensemble: Ensemble, cohort: Cohort, rows: Rows) -> None:
    same = cohort.digest == ensemble.metadata.cohort_digest
    if rows == "all" and same:
        raise UserError(
            f"{cohort.root} is the cohort that the ensemble was trained on: an evaluation of all its images "
            "would count training images. Use rows 'test' or 'out_of_fold'."
        )
    if rows == "all":
        refuse_seen_images(ensemble, cohort, np.ones(len(cohort), bool))
    else:
        ensemble.require_training_cohort(cohort)

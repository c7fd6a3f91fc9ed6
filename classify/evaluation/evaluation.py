"""Evaluation of an ensemble on the labelled images of a cohort."""

from typing import get_args

import numpy as np
import pandas as pd

from morphoscope.classify.certainty import Calibration
from morphoscope.classify.certainty.novelty import NoveltyScores
from morphoscope.classify.certainty.strata import attributes
from morphoscope.classify.ensemble import Ensemble
from morphoscope.classify.evaluation.eligibility import (
    check_types,
    eligible_rows,
    eligible_samples,
    evaluated_form,
    require_eligible,
)
from morphoscope.classify.evaluation.out_of_fold import novelty_in_turn, predict_out_of_fold
from morphoscope.classify.evaluation.results import Evaluation, EvaluationFacts
from morphoscope.classify.frequencies import Prevalence
from morphoscope.classify.inputs.pairs import Form
from morphoscope.classify.inputs.selection import Selection
from morphoscope.classify.inputs.views import in_view
from morphoscope.classify.prediction import Prediction
from morphoscope.cohort import Cohort
from morphoscope.configs import UserError, arguments
from morphoscope.configs.commands import Rows
from morphoscope.configs.views import View

_ONE_FOLD = (
    "These images are all of one fold, and the calibration was fitted to them, so that it cannot be "
    "evaluated on them: probabilities are uncalibrated, and there are no prediction sets or novelty alarms. "
    "The test fold has them (--rows test)."
)


def evaluate(
    ensemble: Ensemble,
    cohort: Cohort,
    rows: Rows = "test",
    unlike: Cohort | None = None,
    view: View | None = None,
    prevalence: Prevalence | None = None,
    strata: bool = True,
) -> Evaluation:
    """Predict the labelled images of a cohort and compare the predictions with the labels.

    Args:
        cohort: for "test" and "out_of_fold" the cohort of the training, with the same folds.
        rows: "test": images of the fold "test", predicted by the whole ensemble. "out_of_fold": images of the
            ensemble's folds, each predicted by the one model that was not trained on it; these metrics are
            slightly too good if that model's best epoch was chosen on the same images (`config.patience`).
            Temperature, prediction sets and novelty alarms of each fold then come from the images of the
            other folds. "all": every image, predicted by the whole ensemble; for a cohort that no model has
            seen, none of whose files may be a training file (byte for byte).
        unlike: images that the ensemble should call novel, whatever their conditions; predicted by all
            models or, with "out_of_fold", by one model each, in turn, like the images they are compared with.
        view: only images of this view. If None, those of the ensemble's own view, or all images of a cohort
            that it was not trained on; for a dual-view ensemble the whole pairs. With a view, a dual-view
            ensemble predicts those images alone, as if the other half were missing. A test of one view must
            be fair to both, see `require_paired_test`.
        prevalence: frequencies of the conditions that the probabilities are for; as in training if None.
        strata: collect the attributes that strata need; measuring skin tones reads every image again.

    Raises:
        UserError: `unlike` with an ensemble that is not calibrated, or out of fold with images of one fold
            only; a condition that the ensemble does not know; no image in these rows; or a cohort that does
            not fit the rows (with another split, training images would count as test images).
    """
    check_types(ensemble, cohort, rows, unlike)
    arguments.flag("strata", strata)
    if view is not None:
        arguments.one_of("view", view, get_args(View))
    prior = None if prevalence is None else ensemble.requested_prior(prevalence)
    require_eligible(ensemble, cohort, rows, unlike)
    view = view or (None if rows == "all" else ensemble.view)
    form = evaluated_form(ensemble, view)
    shown = eligible_samples(ensemble, cohort, eligible_rows(ensemble, cohort, rows, view), form)
    chosen = cohort.rows.iloc[shown.rows]
    truth = np.array([ensemble.conditions.index(name) for name in chosen["condition"]], dtype=np.int64)
    fold_of = chosen["fold"].to_numpy(dtype=str) if rows == "out_of_fold" else None
    note = None
    if fold_of is not None and ensemble.calibration is not None and len(set(fold_of)) == 1:
        note = _ONE_FOLD
        if unlike is not None:
            raise UserError(f"{cohort.root}: {note} Leave out --unlike: it needs the alarms.")
    if fold_of is None:
        prediction = ensemble.predict(shown.images)
    else:
        prediction = predict_out_of_fold(ensemble, shown.images, fold_of, truth, form)
    if prior is not None:
        prediction = prediction.with_prior(prior)
    unlike_scores, unlike_groups = None, None
    if unlike is not None:
        everything = in_view(unlike, view if ensemble.dual else None)
        others = eligible_samples(ensemble, unlike, everything, form)
        unlike_scores = _novelty_of(ensemble, others.images, form, prediction, fold_of)
        unlike_groups = unlike.rows["group"].to_numpy(dtype=str)[others.rows]
    pairs = ensemble.dual and form == "whole"
    return Evaluation(
        ensemble.conditions,
        chosen["file"].to_numpy(),
        truth,
        chosen["group"].to_numpy(dtype=str),
        prediction,
        _facts(ensemble, cohort, rows, view, form, unlike, note),
        _attributes(ensemble, cohort, shown.rows) if strata else pd.DataFrame(),
        unlike_scores,
        unlike_groups,
        cohort.rows["file"].to_numpy()[shown.members[:, 1]] if pairs else None,
        ensemble.cohort_prior,
    )


def _attributes(ensemble: Ensemble, cohort: Cohort, rows: np.ndarray) -> pd.DataFrame:
    """Attributes of the images in these rows of the cohort, int64 [N]."""
    size = (ensemble.resolution, ensemble.config.images.fit)
    return attributes(
        cohort.rows.iloc[rows],
        Selection(cohort.images(*size), rows),
        lambda row: cohort.lesion_mask(rows[row], *size),
    )


def _facts(
    ensemble: Ensemble,
    cohort: Cohort,
    rows: Rows,
    view: View | None,
    form: Form,
    unlike: Cohort | None,
    note: str | None,
) -> EvaluationFacts:
    """`note` says why the calibration was not used, if so."""
    calibration = ensemble.calibrations.get(form) if note is None else None
    models = "one fold each, in turn" if rows == "out_of_fold" else "all folds"
    return EvaluationFacts(
        rows=rows,
        cohort=cohort.root.name,
        cohort_digest=cohort.digest,
        folds=ensemble.folds,
        view=view,
        samples="pairs" if ensemble.dual and form == "whole" else "images",
        test_time=ensemble.config.data_augmentation.test_time,
        auxiliary=ensemble.auxiliary,
        phantom=ensemble.metadata.phantom,
        epoch_chosen_on_these_images=rows == "out_of_fold" and ensemble.config.training.patience is not None,
        calibration=None if calibration is None else calibration.summary,
        calibration_note=note,
        leak_note=ensemble.metadata.leak_note,
        unlike=None if unlike is None else unlike.root.name,
        unlike_models=None if unlike is None else models,
        rule=ensemble.config.training.answer,
        guarantees=None if calibration is None else _guarantees(ensemble, calibration),
    )


def _guarantees(ensemble: Ensemble, calibration: Calibration) -> dict[str, float]:
    return {name: calibration.conformal.guarantee(k) for k, name in enumerate(ensemble.conditions)}


def _novelty_of(
    ensemble: Ensemble, images: Selection, form: Form, inside: Prediction, fold_of: np.ndarray | None
) -> NoveltyScores:
    """Scores of images of another kind.

    Args:
        inside: prediction of the images they are compared with.
        fold_of: fold of each of those images, if they were predicted out of fold.
    """
    if fold_of is not None:
        assert inside.novelty is not None  # `require_eligible` has asked for a calibration
        return novelty_in_turn(ensemble, images, (inside.novelty, fold_of), form)
    found = ensemble.predict(images)
    assert found.novelty is not None and found.novel is not None
    return NoveltyScores(found.novelty, found.novel)

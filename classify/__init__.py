"""Classifiers: training of an ensemble of one model per fold, prediction, attribution and evaluation."""

from morphoscope.classify.attribution import Attribution, colour_range, legend, overlay, write_explanation
from morphoscope.classify.ensemble import Ensemble
from morphoscope.classify.evaluation import Evaluation, evaluate, write_evaluation_page
from morphoscope.classify.held_out import HeldOut
from morphoscope.classify.prediction import Prediction, combine
from morphoscope.classify.training import (
    FoldPlan,
    HeldOutPlan,
    cross_validate,
    measure_held_out,
    plan_folds,
    plan_held_out,
    train_ensemble,
)
from morphoscope.runtime.statistics import Estimate

__all__ = [
    "Attribution",
    "Ensemble",
    "Estimate",
    "Evaluation",
    "FoldPlan",
    "HeldOut",
    "HeldOutPlan",
    "Prediction",
    "colour_range",
    "combine",
    "cross_validate",
    "evaluate",
    "legend",
    "measure_held_out",
    "overlay",
    "plan_folds",
    "plan_held_out",
    "train_ensemble",
    "write_evaluation_page",
    "write_explanation",
]

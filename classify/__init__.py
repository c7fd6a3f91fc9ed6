"""Classifiers: training of an ensemble of one model per fold, prediction, attribution and evaluation."""

from morphoscope.classify.attribution import Attribution, legend, overlay, write_explanation
from morphoscope.classify.ensemble import Ensemble
from morphoscope.classify.evaluation import Evaluation, evaluate, write_evaluation_page
from morphoscope.classify.prediction import Prediction, combine
from morphoscope.classify.training import FoldPlan, cross_validate, plan_folds, train_ensemble
from morphoscope.runtime.statistics import Estimate

__all__ = [
    "Attribution",
    "Ensemble",
    "Estimate",
    "Evaluation",
    "FoldPlan",
    "Prediction",
    "combine",
    "cross_validate",
    "evaluate",
    "legend",
    "overlay",
    "plan_folds",
    "train_ensemble",
    "write_evaluation_page",
    "write_explanation",
]

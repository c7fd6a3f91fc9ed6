"""Evaluation of an ensemble: which images are eligible, their predictions, metrics and figures."""

from morphoscope.classify.evaluation.evaluation import evaluate
from morphoscope.classify.evaluation.page import write_evaluation_page
from morphoscope.classify.evaluation.results import Evaluation, EvaluationFacts

__all__ = ["Evaluation", "EvaluationFacts", "evaluate", "write_evaluation_page"]

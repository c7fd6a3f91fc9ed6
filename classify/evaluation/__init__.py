"""How good an ensemble is: which images may be evaluated, its predictions of them, and the metrics."""

from morphoscope.classify.evaluation.evaluation import Evaluation, evaluate

__all__ = ["Evaluation", "evaluate"]

"""Training of the ensemble: which images a fold may see, the training of one fold, and the whole run."""

from morphoscope.classify.training.cross_validation import cross_validate
from morphoscope.classify.training.held_out import HeldOutPlan, measure_held_out, plan_held_out
from morphoscope.classify.training.plans import FoldPlan, plan_folds
from morphoscope.classify.training.run import train_ensemble

__all__ = [
    "FoldPlan",
    "HeldOutPlan",
    "cross_validate",
    "measure_held_out",
    "plan_folds",
    "plan_held_out",
    "train_ensemble",
]

"""Training of the ensemble: which images a fold may see, the training of one fold, and the whole run."""

from morphoscope.classify.training.nested import cross_validate
from morphoscope.classify.training.plans import FoldPlan, plan_folds
from morphoscope.classify.training.run import train_ensemble

__all__ = ["FoldPlan", "cross_validate", "plan_folds", "train_ensemble"]

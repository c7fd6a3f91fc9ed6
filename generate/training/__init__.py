"""Training: one iteration, the whole run around it, and what is watched meanwhile (spec 4)."""

from morphoscope.generate.training.plan import Plan, plan_training
from morphoscope.generate.training.run import train_generator

__all__ = ["Plan", "plan_training", "train_generator"]

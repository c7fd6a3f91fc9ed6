"""Training: one iteration, the run around it, and what it shows and records (spec 4)."""

from morphoscope.generate.training.plan import Plan, plan_training
from morphoscope.generate.training.run import train_generator

__all__ = ["Plan", "plan_training", "train_generator"]

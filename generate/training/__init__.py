"""Training: one iteration, the whole run around it, and what is watched meanwhile (spec 4)."""

from morphoscope.generate.training.run import train_generator

__all__ = ["train_generator"]

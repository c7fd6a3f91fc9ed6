"""The learning rate over a fold's training."""

import math

from morphoscope.configs.classifier import EnsembleTraining

_JUMP = 10  # the published schedule's highest rate is so many times its first


def learning_rate(config: EnsembleTraining, epochs_done: float) -> float:
    """The rate of the step that ends when `epochs_done` epochs (maybe a fraction) are done.

    "cosine": a linear warm-up to `learning_rate`, then half a cosine to zero, step by step. "paper": the
    schedule of the published classifier, the same within an epoch; with e counted from 1 and E epochs
    r(1) = base, r(e) = 10 base ½ (1 + cos(π (e - 2) / (E - 1))) from e = 2 on, so that r(2) = 10 base.
    """
    training = config.training
    if training.schedule == "paper":
        return _published(training.learning_rate, max(1, math.ceil(epochs_done)), training.epochs)
    if epochs_done < training.warmup_epochs:
        return training.learning_rate * epochs_done / training.warmup_epochs
    rest = max(training.epochs - training.warmup_epochs, 1e-9)
    phase = min((epochs_done - training.warmup_epochs) / rest, 1.0)
    return training.learning_rate * _half_cosine(phase)


def _published(base: float, epoch: int, epochs: int) -> float:
    return base if epoch == 1 else _JUMP * base * _half_cosine((epoch - 2) / (epochs - 1))


def _half_cosine(phase: float) -> float:
    """1 at phase 0, 0 at phase 1."""
    return 0.5 * (1 + math.cos(math.pi * phase))

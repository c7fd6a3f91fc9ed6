"""The learning-rate schedule of a training."""

import math

from morphoscope.configs.classifier import TrainingGroup

_JUMP = 10  # ratio of the published schedule's highest rate to its first


def learning_rate(training: TrainingGroup, epochs_done: float) -> float:
    """The learning rate of the step that ends after `epochs_done` epochs, which may be a fraction.

    "cosine": a linear warm-up to `learning_rate`, then half a cosine to zero, step by step. "paper": the
    schedule of the published classifier, constant within an epoch; for epoch e of E, counted from 1,
    r(1) = base and r(e) = 10 base ½ (1 + cos(π (e - 2) / (E - 1))) for e >= 2, so that r(2) = 10 base.

    Args:
        training: with the settings of the schedule.
        epochs_done: above 0, at most `epochs`.

    Returns:
        A rate of at least 0.
    """
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

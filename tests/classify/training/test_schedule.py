"""Learning rates of both schedules, as numbers."""

import math

import numpy as np
import pytest

from morphoscope.classify.training.schedule import learning_rate
from morphoscope.configs import UserError, load_config
from morphoscope.configs.classifier import EnsembleTraining


def test_cosine_warms_up_and_ends_at_zero(config: EnsembleTraining) -> None:
    config = config.model_copy(update={"epochs": 11, "warmup_epochs": 1.0, "learning_rate": 2.0})
    values = [learning_rate(config.training, epochs) for epochs in (0, 0.5, 1, 6, 11, 12)]
    np.testing.assert_allclose(values, [0, 1, 2, 1, 0, 0], atol=1e-9)


@pytest.mark.parametrize(("preset", "base"), [("paper-focused", 3e-5), ("paper-panoramic", 1e-5)])
def test_the_published_schedule(preset: str, base: float) -> None:
    config = load_config(EnsembleTraining, family="classify", preset=preset)
    at_end = [learning_rate(config.training, epoch) for epoch in range(1, 31)]
    assert at_end[0] == base
    assert at_end[1] == pytest.approx(10 * base)
    for e in range(2, 31):
        assert at_end[e - 1] == pytest.approx(10 * base * 0.5 * (1 + math.cos(math.pi * (e - 2) / 29)))
    assert 0 < at_end[29] < 0.05 * base
    # Within an epoch it does not move: the first and the last of 7 steps.
    assert learning_rate(config.training, 1 + 1 / 7) == learning_rate(config.training, 2) == at_end[1]
    assert learning_rate(config.training, 1 / 7) == base


def test_what_the_paper_fixes_cannot_be_set_otherwise() -> None:
    for setting, message in (
        ("augmentation=0.5", "augmentation: 0.5 is for the usual"),
        ("epochs=1", "needs at least 2"),
    ):
        with pytest.raises(UserError, match=message):
            load_config(EnsembleTraining, family="classify", preset="paper-focused", overrides=[setting])

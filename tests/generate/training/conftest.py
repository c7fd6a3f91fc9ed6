"""Trainers, and the comparison of training states."""

import pytest
import torch

from morphoscope.generate.training import report
from morphoscope.generate.training.trainer import GeneratorTrainer
from morphoscope.runtime.torch_processes import Processes


@pytest.fixture(scope="session")
def assert_same_state():
    """Compare two values of a training state bit for bit."""
    return _assert_same


def _assert_same(a, b):
    """Two values of a training state, equal bit for bit."""
    assert type(a) is type(b)
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            _assert_same(a[key], b[key])
    elif isinstance(a, list):
        for left, right in zip(a, b, strict=True):
            _assert_same(left, right)
    else:
        assert a == b


@pytest.fixture(scope="session")
def make_trainer(tiny_config, tiny_cohort):
    """make_trainer(**settings) -> a trainer of the tiny config with other settings."""

    def make(**settings):
        config = tiny_config.model_copy(update=settings).resolved()
        images = tiny_cohort.images(config.images.resolution)[..., : config.images.img_channels]
        alone = Processes(torch.device("cpu"))
        return GeneratorTrainer(config, images, tiny_cohort.labels, tiny_cohort.conditions, alone)

    return make


@pytest.fixture(autouse=True)
def _undrawn_charts(request, monkeypatch):
    """The charts of a report take longer than a tiny training: only its own tests draw them."""
    if request.path.name != "test_report.py":
        monkeypatch.setattr(report, "draw_curves", lambda *curves, **options: "<svg></svg>")

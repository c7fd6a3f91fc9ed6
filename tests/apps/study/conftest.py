"""The tiny study and its cohort, and a feature network that needs no weights."""

from pathlib import Path

import pytest
import torch
from tiny_study import TINY, write_colours

from morphoscope.apps.study.cell import Store
from morphoscope.apps.study.cells import generators, images
from morphoscope.apps.study.cells.context import Context
from morphoscope.cohort import Cohort
from morphoscope.configs.loading import validated
from morphoscope.configs.study import Study
from morphoscope.generate.metrics import FeatureNetwork
from morphoscope.generate.metrics.features import NetworkFunction


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """See `write_colours`."""
    return write_colours(tmp_path_factory.mktemp("colours"))


@pytest.fixture
def study(cohort: Cohort) -> Study:
    return validated(Study, {**TINY, "cohort": cohort.root})


@pytest.fixture
def context(cohort: Cohort, tmp_path: Path, plain_features: None) -> Context:
    return Context(Store(tmp_path / "store"), cohort.root, None, "cpu")


@pytest.fixture
def plain_features(monkeypatch: pytest.MonkeyPatch) -> None:
    """Features are mean colours of a 4 × 4 grid, instead of a network's."""

    def load(source: str, device: str) -> FeatureNetwork:
        module = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten())
        compute = NetworkFunction(module, size=16, mean=127.5, sd=127.5, device=torch.device("cpu"))
        return FeatureNetwork("averages", "0" * 16, compute, dimensions=48, batch=compute.batch)

    monkeypatch.setattr(generators, "load_feature_network", load)
    monkeypatch.setattr(images, "load_feature_network", load)

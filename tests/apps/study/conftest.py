"""A study whose networks train within a second, on a cohort of three conditions that differ by colour."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_study import TINY

from morphoscope.apps.study.cell import Store
from morphoscope.apps.study.cells import generators, images
from morphoscope.apps.study.cells.context import Context
from morphoscope.cohort import Cohort, write_image
from morphoscope.configs.loading import validated
from morphoscope.configs.study import Study
from morphoscope.generate.metrics import FeatureNetwork
from morphoscope.generate.metrics.features import NetworkFunction

COLOURS = {"blue": (60, 70, 200), "green": (70, 190, 60), "red": (200, 60, 60)}
PATIENTS = {"blue": 8, "green": 10, "red": 14}


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """Unequal numbers of patients per condition, two images each; no folds."""
    root, random, rows = tmp_path_factory.mktemp("colours"), np.random.default_rng(0), []
    for condition, patients in PATIENTS.items():
        for number in range(2 * patients):
            name = f"{condition}-{number}.png"
            noise = random.normal(0, 30, (40, 40, 3))
            write_image(root / name, np.clip(np.array(COLOURS[condition]) + noise, 0, 255).astype(np.uint8))
            rows.append({"file": name, "condition": condition, "group": f"{condition}-{number // 2}"})
    made = Cohort.from_rows(root, pd.DataFrame(rows))
    made.save()
    return Cohort.load(root)


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

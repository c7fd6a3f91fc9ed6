"""A study whose networks train within a second, on a cohort of three conditions that differ by colour."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

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

TINY = {
    "arms": {
        "repeated": {"sampling": "balanced"},
        "synthetic": {"synthetic": 1},
        "only": {"real": False, "synthetic": 1},
    },
    "shots": [2, "all"],
    "folds": 2,
    "inner_folds": 2,
    "generator_seeds": 1,
    "classifier_seeds": 1,
    "steps": 2,
    "classifier_preset": "lite",
    "classifier": {
        "backbone": "test_efficientnet",
        "weights": "none",
        "freeze_stages": 0,
        "resolution": 32,
        "epochs": 1,
        "batch": 8,
    },
    "generator_preset": "cpu64",
    "generator": {
        "resolution": 16,
        "z_dim": 8,
        "w_dim": 8,
        "channel_base": 128,
        "channel_max": 8,
        "batch": 4,
        "mbstd_group": 2,
        "kimg": 0.02,
        "tick_kimg": 0.02,
        "metric_network": None,
    },
}


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

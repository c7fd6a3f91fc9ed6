"""A tiny cohort of three conditions that differ by colour, and settings that train within a second."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from morphoscope.classify import Ensemble
from morphoscope.classify.description import EnsembleMetadata
from morphoscope.classify.network.classifier import ConditionClassifier
from morphoscope.cohort import Cohort, write_image
from morphoscope.configs.classifier import EnsembleTraining

COLOURS = {"blue": (60, 70, 200), "green": (70, 190, 60), "red": (200, 60, 60)}


def coloured(condition: str, random: np.random.Generator, side: int = 40) -> np.ndarray:
    noise = random.normal(0, 25, (side, side, 3))
    return np.clip(np.array(COLOURS[condition]) + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """3 conditions x 12 groups x 2 images, three folds and a test fold."""
    root = tmp_path_factory.mktemp("cohort")
    random = np.random.default_rng(0)
    rows = []
    for condition in COLOURS:
        for index in range(24):
            name = f"{condition}-{index}.png"
            write_image(root / name, coloured(condition, random))
            rows.append({"file": name, "condition": condition, "group": f"{condition}-{index // 2}"})
    whole = Cohort.from_rows(root, pd.DataFrame(rows)).split(folds=3, seed=0, test_fraction=0.25)
    whole.save()
    return Cohort.load(root)


MakeSynthetic = Callable[..., Cohort]


@pytest.fixture
def make_synthetic(tmp_path: Path, cohort: Cohort) -> MakeSynthetic:
    """Write a synthetic cohort of a generator trained on `cohort`.

    `trained_on` is a list of folds for all rows, or a list of such lists.
    """

    def make(
        trained_on: list, conditions: tuple[str, ...] = ("red", "green"), each: int = 3, **columns: str
    ) -> Cohort:
        root = tmp_path / f"synthetic-{len(list(tmp_path.iterdir()))}"
        rows = []
        for condition in conditions:
            for index in range(each):
                name = f"{condition}-{index}.png"
                write_image(root / name, coloured("red", np.random.default_rng(index)))
                rows.append(
                    {"file": name, "condition": condition, "source": "synthetic", "generator": "feedc0de"}
                )
        frame = pd.DataFrame(rows).assign(seed="1", psi="0.7", label="{}")
        frame = frame.assign(**{"trained_on_cohort": cohort.digest, **columns})
        nested = bool(trained_on) and isinstance(trained_on[0], list)
        frame["trained_on_folds"] = [
            json.dumps(trained_on[i] if nested else trained_on) for i in range(len(frame))
        ]
        return Cohort.from_rows(root, frame)

    return make


@pytest.fixture
def config() -> EnsembleTraining:
    return EnsembleTraining(
        backbone="test_efficientnet",
        resolution=32,
        weights="none",
        epochs=3,
        batch=8,
        learning_rate=3e-3,
        warmup_epochs=0.5,
        augmentation=0.5,
    )


@pytest.fixture
def ensemble(config: EnsembleTraining) -> Ensemble:
    """Three untrained models that share their stem and differ elsewhere."""
    models = {}
    for fold in ("0", "1", "2"):
        torch.manual_seed(int(fold))
        models[fold] = ConditionClassifier(config, 3)
    stem = models["0"].backbone.get_submodule("conv_stem").state_dict()
    for model in models.values():
        model.backbone.get_submodule("conv_stem").load_state_dict(stem)
    metadata = EnsembleMetadata(
        cohort="toy",
        cohort_digest="0" * 16,
        config=config,
        conditions=["blue", "green", "red"],
        folds=list(models),
    )
    return Ensemble(metadata, models)


@pytest.fixture
def photographs() -> list[np.ndarray]:
    random = np.random.default_rng(3)
    return [
        random.integers(0, 256, shape, dtype=np.uint8) for shape in ((32, 32, 3), (50, 40, 3), (90, 130, 3))
    ]

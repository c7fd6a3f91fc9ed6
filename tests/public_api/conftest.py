"""A cohort of phantoms and the bundled models, and every call of the public API with them."""

import types
from pathlib import Path

import pytest

from morphoscope import classify, cohort, generate
from morphoscope.apps.bundled_models import ENSEMBLE, GENERATOR
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.configs.generator import GeneratorTraining
from morphoscope.configs.loading import load_config
from public_api.case import Case
from public_api.classifier import classify_cases
from public_api.generator import generate_cases
from public_api.small_rooms import cohort_cases, ops_cases


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> types.SimpleNamespace:
    """A cohort of phantoms and the bundled models."""
    folder = tmp_path_factory.mktemp("api")
    phantoms = cohort.phantom(folder / "phantoms", per_condition=6, size=32)
    split = phantoms.split(folds=2, test_fraction=0.3)
    split.save()
    ensemble = classify.Ensemble.load(ENSEMBLE)
    evaluation = classify.evaluate(ensemble, split.select(range(4)), rows="all")
    evaluation.write(folder)
    return types.SimpleNamespace(
        folder=folder,
        evaluation=evaluation,
        cohort=split,
        generator=generate.load(GENERATOR),
        ensemble=ensemble,
        config=load_config(GeneratorTraining, family="generate", preset="cpu64"),
        classifier=load_config(EnsembleTraining, family="classify", preset="lite"),
    )


@pytest.fixture(scope="session")
def cases(made: types.SimpleNamespace) -> dict[str, Case]:
    """{name: call}."""
    return ops_cases() | cohort_cases(made) | generate_cases(made) | classify_cases(made)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions that write to a folder, such as `phantom("x.jpg")`, write it here."""
    monkeypatch.chdir(tmp_path)

"""`make models`: train both bundled models on the phantom cohort from scratch; write them into the package.

After an interruption, the same command resumes where it stopped.
"""

import sys
from pathlib import Path

import torch
from rich.console import Console

from morphoscope.apps.bundled_models import ENSEMBLE, GENERATOR, GENERATOR_OVERRIDES, GENERATOR_PRESET
from morphoscope.apps.phantom_cohort import phantom_cohort
from morphoscope.classify import train_ensemble
from morphoscope.cohort import Cohort
from morphoscope.configs import UserError, load_config
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.configs.generator import GeneratorTraining
from morphoscope.generate import train_generator
from morphoscope.generate.snapshots import read_discriminator, read_generator, write_snapshot
from morphoscope.runtime import RunFolder
from morphoscope.runtime.terminal import console, say

_MAX_BYTES = 20_000_000
_PER_CONDITION = 150
_GENERATOR_KIMG = 60


def make_models(folder: Path, terminal: Console) -> None:
    """Draw the cohort, train both models in `folder`, and write them into the package in float16.

    Raises:
        UserError: the files are too large for the package.
    """
    # No test fold: the models are tested on phantoms of another seed.
    cohort = phantom_cohort(
        folder / "phantom", per_condition=_PER_CONDITION, seed=0, folds=5, test_fraction=0
    )
    terminal.rule("Generator")
    make_generator(cohort, folder / "generator", terminal)
    terminal.rule("Ensemble")
    make_ensemble(cohort, folder / "ensemble")
    size = GENERATOR.stat().st_size + ENSEMBLE.stat().st_size
    say(f"{GENERATOR.name} and {ENSEMBLE.name}: {size / 1e6:.1f} MB together")
    if size > _MAX_BYTES:
        raise UserError(
            f"The bundled models take {size / 1e6:.1f} MB together, more than {_MAX_BYTES / 1e6:.0f} MB: "
            "freeze more stages of the ensemble, or make the generator smaller."
        )


def make_generator(cohort: Cohort, folder: Path, terminal: Console) -> None:
    """Train the generator in `folder` and write it into the package."""
    config = load_config(
        GeneratorTraining,
        family="generate",
        preset=GENERATOR_PRESET,
        overrides=GENERATOR_OVERRIDES,
        kimg=_GENERATOR_KIMG,
    )
    snapshot = train_generator(config, cohort, RunFolder(folder), console=terminal)
    network, _, metadata = read_generator(snapshot)
    write_snapshot(GENERATOR, network, read_discriminator(snapshot), metadata, torch.float16)


def make_ensemble(cohort: Cohort, folder: Path) -> None:
    """Train the ensemble in `folder` and write it into the package."""
    # The frozen first stages are stored once for all folds, which keeps the file small.
    settings = load_config(
        EnsembleTraining, family="classify", preset="lite", overrides=["freeze_stages=7", "epochs=6"]
    )
    train_ensemble(settings, cohort, RunFolder(folder)).save(ENSEMBLE, torch.float16)


if __name__ == "__main__":
    make_models(Path(sys.argv[1]), console())

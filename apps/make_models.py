"""`make models`: train both bundled models on the phantom cohort from scratch; write them into the package.

After an interruption, the same command resumes where it stopped.
"""

import sys
from pathlib import Path

import torch
from rich.console import Console

from morphoscope.apps.bundled_models import ENSEMBLE, GENERATOR, GENERATOR_OVERRIDES, GENERATOR_PRESET
from morphoscope.apps.phantom_cohort import phantom_cohort, with_degraded_copies
from morphoscope.classify import train_ensemble
from morphoscope.cohort import Cohort
from morphoscope.configs import UserError, load_config
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.configs.generator import GeneratorTraining
from morphoscope.generate import train_generator
from morphoscope.generate.snapshots import read_discriminator, read_generator, write_snapshot
from morphoscope.runtime import RunFolder
from morphoscope.runtime.terminal import console, say

_MAX_BYTES = 25_000_000
_PER_CONDITION, _ENSEMBLE_PER_CONDITION = 1000, 200
# Resolution, thousands of images shown, gamma. Shapes are learned in less time where images are small. Gamma
# is about the automatic one: ten times as much hid the shapes from D (docs/lab-notes.md).
_STAGES = ((32, 200, 0.02), (64, 100, 0.04), (128, 60, 0.12))


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
    make_ensemble(folder)
    size = GENERATOR.stat().st_size + ENSEMBLE.stat().st_size
    say(f"{GENERATOR.name} and {ENSEMBLE.name}: {size / 1e6:.1f} MB together")
    if size > _MAX_BYTES:
        raise UserError(
            f"The bundled models take {size / 1e6:.1f} MB together, more than {_MAX_BYTES / 1e6:.0f} MB: "
            "freeze more stages of the ensemble, or make the generator smaller."
        )


def make_generator(cohort: Cohort, folder: Path, terminal: Console) -> None:
    """Train the generator, from coarse to fine, in folders in `folder`; write it into the package."""
    newest = None
    for resolution, kimg, gamma in _STAGES:
        config = load_config(
            GeneratorTraining,
            family="generate",
            preset=GENERATOR_PRESET,
            overrides=GENERATOR_OVERRIDES,
            resolution=resolution,
            kimg=kimg,
            gamma=gamma,
            batch=32,
            precision="bfloat16",  # on CPUs that have it; float32 elsewhere
        )
        run = RunFolder(folder / f"{resolution}px")
        newest = train_generator(config, cohort, run, start_from=newest, console=terminal)
    assert newest is not None, "there are stages"
    network, _, metadata = read_generator(newest)
    write_snapshot(GENERATOR, network, read_discriminator(newest), metadata, torch.float16)


def make_ensemble(folder: Path) -> None:
    """Train the ensemble on phantoms with all and with less detail; write it into the package."""
    sharp = phantom_cohort(
        folder / "ensemble-phantom", per_condition=_ENSEMBLE_PER_CONDITION, seed=0, folds=5, test_fraction=0
    )
    cohort = with_degraded_copies(sharp, folder / "ensemble-cohort", seed=0)
    # The frozen first stages are stored once for all folds, which keeps the file small.
    settings = load_config(
        EnsembleTraining, family="classify", preset="lite", overrides=["freeze_stages=7", "epochs=6"]
    )
    train_ensemble(settings, cohort, RunFolder(folder / "ensemble")).save(ENSEMBLE, torch.float16)


if __name__ == "__main__":
    make_models(Path(sys.argv[1]), console())

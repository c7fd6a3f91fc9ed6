"""Synthetic cohorts: generated images with their provenance, every one marked as synthetic (design)."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track

from morphoscope.cohort import Cohort
from morphoscope.configs import UserError
from morphoscope.generate.marks import write_synthetic_png
from morphoscope.generate.model import GeneratorModel

_BATCH = 16


def augment(
    model: GeneratorModel,
    destination: Path,
    *,
    per_condition: int,
    seed: int = 0,
    psi: float = 1.0,
    console: Console | None = None,
) -> Cohort:
    """Write a synthetic cohort: `per_condition` images of each condition, with manifest and dataset.json.

    Image k of a condition has seed `seed` + k times the number of conditions + its index, so no two images
    share a seed. Each row names the generator's digest, the seed, the label, psi, and the folds (of which
    cohort) that the generator was trained on; each PNG says in its own metadata that it is synthetic.

    Args:
        psi: truncation; the default 1 keeps the full diversity that training data needs.

    Raises:
        UserError: `destination` exists and is not empty, or an argument is out of range.
    """
    destination = Path(destination)
    if destination.exists() and any(destination.iterdir()):
        raise UserError(f"{destination}: not empty; a synthetic cohort is written to a new folder.")
    if per_condition < 1:
        raise UserError(f"per condition {per_condition}: at least one image is needed.")
    total = per_condition * len(model.conditions)
    rows = []
    images = _generate(model, per_condition, seed, psi)
    for condition, image_seed, image in track(
        images, description="synthetic images", total=total, console=console or Console(stderr=True)
    ):
        file = f"images/synthetic-{condition}-{image_seed:06d}.png"
        write_synthetic_png(destination / file, image, model, condition, image_seed, psi)
        rows.append(
            {
                "file": file,
                "condition": condition,
                "group": f"synthetic-{model.digest}-{image_seed}",
                "view": "other",
                "fold": "",
                "source": "synthetic",
                "generator": model.digest,
                "seed": str(image_seed),
                "label": json.dumps({condition: 1.0}),
                "psi": f"{psi:g}",
                "trained_on_folds": json.dumps(model.metadata["trained_on_folds"]),
                "trained_on_cohort": model.metadata["cohort_digest"],
                "phantom": str(model.metadata["phantom"]).lower(),
            }
        )
    cohort = Cohort.from_rows(destination, pd.DataFrame(rows))
    cohort.save()
    return cohort


def _generate(
    model: GeneratorModel, per_condition: int, seed: int, psi: float
) -> Iterator[tuple[str, int, np.ndarray]]:
    conditions = len(model.conditions)
    for index, condition in enumerate(model.conditions):
        seeds = [seed + k * conditions + index for k in range(per_condition)]
        for start in range(0, per_condition, _BATCH):
            part = seeds[start : start + _BATCH]
            yield from zip([condition] * len(part), part, model.sample(condition, part, psi), strict=True)

"""Synthetic cohorts: generated images with their provenance, all marked as synthetic (design)."""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
from rich.console import Console

from morphoscope.cohort import Cohort, new_folder
from morphoscope.cohort.marked_files import write_synthetic_image
from morphoscope.cohort.provenance import FOREIGN
from morphoscope.configs import UserError, arguments
from morphoscope.configs.views import View
from morphoscope.generate.metrics import CopyFilter
from morphoscope.generate.model import GeneratorModel, check_seeds
from morphoscope.runtime.progress import track

_Image = tuple[str, int, np.ndarray]  # condition, seed, uint8 [R, R, 3]


def augment(
    model: GeneratorModel,
    destination: Path,
    *,
    per_condition: int,
    seed: int = 0,
    psi: float = 1.0,
    view: View | None = None,
    copies: CopyFilter | None = None,
    console: Console | None = None,
) -> Cohort:
    """Write a synthetic cohort: `per_condition` images of each condition, with manifest and dataset.json.

    Image k of a condition has seed `seed` + k times the number of conditions + its index, so every image has
    its own seed. Each row records the generator's digest, the seed, the label, psi, and the cohort and folds
    that the generator was trained on; `ancestor_cohorts` is a JSON list of the other cohorts of real images
    that the generator's ancestors were trained on, with "foreign" for unknown images. Each PNG is marked as
    synthetic in its metadata.

    Args:
        destination: a new folder; it appears once the cohort is complete.
        psi: truncation; the default 1 keeps the full diversity that training data need.
        view: of every image, for the manifest; by default the only view of the generator's training images,
            or other.
        copies: drops images that are too close to a training image, without replacement; by default none. The
            columns `copy_filter` (a JSON object: the quantile, its distance, how many images of the condition
            were generated and dropped) and `nearest_training` (the distance of the image) record it.
        console: shows progress; stderr by default.

    Raises:
        UserError: `destination` exists and is not empty, an argument is out of range, or all images of a
            condition would be dropped.
    """
    arguments.instance("model", model, GeneratorModel, "a generator, from morphoscope.generate.load")
    arguments.whole_number("per_condition", per_condition, 1)
    arguments.whole_number("seed", seed, 0)
    arguments.real_number("psi", psi)
    if view is not None:
        arguments.one_of("view", view, get_args(View))
    if copies is not None:
        arguments.instance("copies", copies, CopyFilter, "a CopyFilter, or None")
    total = per_condition * len(model.conditions)
    check_seeds([seed, seed + total - 1])
    shared = _shared_columns(model, view)
    with new_folder(destination) as folder:
        generated = track(
            _generate(model, per_condition, seed, psi),
            "Generating synthetic images",
            total=total,
            unit="images",
            to=console,
            transient=False,
        )
        rows = []
        for condition, image_seed, image, columns in _filtered(iter(generated), per_condition, copies):
            file = f"images/synthetic-{model.file_stem(condition)}-{image_seed:06d}.png"
            provenance = model.provenance({condition: 1.0}, image_seed, psi)
            write_synthetic_image(folder / file, model.stored(image), provenance)
            rows.append(
                {
                    "file": file,
                    "condition": condition,
                    "group": f"synthetic-{model.digest}-{image_seed}",
                    **provenance.columns(),
                    **shared,
                    **columns,
                }
            )
        Cohort.from_rows(folder, pd.DataFrame(rows)).save()
    return Cohort.load(destination)


def dropped_copies(cohort: Cohort) -> dict[str, int]:
    """How many images of each condition the filter of a synthetic cohort dropped; {} without a filter."""
    if "copy_filter" not in cohort.rows.columns:
        return {}
    first = cohort.rows.drop_duplicates("condition")
    return {
        name: json.loads(cell)["dropped"]
        for name, cell in zip(first["condition"], first["copy_filter"], strict=True)
    }


def _filtered(
    generated: Iterator[_Image], per_condition: int, copies: CopyFilter | None
) -> Iterator[tuple[str, int, np.ndarray, dict[str, str]]]:
    """The images that are kept, as (condition, seed, image, further columns).

    With a filter, the images of one condition are in memory together.
    """
    if copies is None:
        for condition, seed, image in generated:
            yield condition, seed, image, {}
        return
    while images := list(islice(generated, per_condition)):
        condition = images[0][0]
        distances = copies.distances(np.stack([image for _, _, image in images]))
        limit = copies.limit(condition)
        dropped = int((distances < limit.distance).sum())
        if dropped == len(images):
            raise UserError(
                f"{condition}: all {dropped} images are closer to a training image than the quantile "
                f"{copies.quantile:g} of held-out ones. The generator copies; use another snapshot."
            )
        record = {
            "network": copies.network.name,
            "quantile": copies.quantile,
            "distance": round(limit.distance, 6),
            "held_out": limit.held_out,
            "generated": len(images),
            "dropped": dropped,
        }
        for (_, seed, image), distance in zip(images, distances, strict=True):
            if distance >= limit.distance:
                columns = {"copy_filter": json.dumps(record), "nearest_training": f"{distance:.6f}"}
                yield condition, seed, image, columns


def _shared_columns(model: GeneratorModel, view: View | None) -> dict[str, str]:
    """The cells that are the same for every image of a generator."""
    metadata = model.metadata
    own = metadata.cohort_digest or FOREIGN
    ancestors = {
        ancestor.cohort_digest or FOREIGN
        for ancestor in metadata.started_from
        if ancestor.foreign or not ancestor.phantom
    }
    return {
        "view": view or metadata.view or "other",
        "fold": "",
        "source": "synthetic",
        "trained_on_folds": json.dumps(metadata.trained_on_folds),
        "trained_on_cohort": own,
        "ancestor_cohorts": json.dumps(sorted(ancestors - {own})),
    }


def _generate(model: GeneratorModel, per_condition: int, seed: int, psi: float) -> Iterator[_Image]:
    """(condition, seed, image uint8 [R, R, 3]) of every image."""
    conditions = len(model.conditions)
    for index, condition in enumerate(model.conditions):
        seeds = [seed + k * conditions + index for k in range(per_condition)]
        for image_seed, image in zip(seeds, model.stream(condition, seeds, psi), strict=True):
            yield condition, image_seed, image

"""Synthetic cohorts: generated images with their provenance, all marked as synthetic (design)."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np
import pandas as pd
from rich.console import Console

from morphoscope.cohort import Cohort, Provenance
from morphoscope.cohort.manifest import MANIFEST
from morphoscope.cohort.provenance import FOREIGN
from morphoscope.configs import UserError, arguments
from morphoscope.configs.commands import Augmenting
from morphoscope.configs.views import View
from morphoscope.generate.image_files import write_images
from morphoscope.generate.metrics import CopyFilter
from morphoscope.generate.model import GeneratorModel, check_seeds
from morphoscope.runtime import Request, RunFolder
from morphoscope.runtime.progress import track

_LEAST_SHARE = 0.5  # of a morph's own condition


class _Written(NamedTuple):
    """An image that was written.

    Attributes:
        file: relative to the cohort's folder.
        image: uint8 [R, R, 3].
    """

    file: str
    condition: str
    provenance: Provenance
    image: np.ndarray


class _OnlyCopiesError(UserError):
    """All images of a condition would be dropped."""


def augment(
    model: GeneratorModel,
    destination: Path,
    *,
    per_condition: int,
    seed: int = 0,
    psi: float = 1.0,
    view: View | None = None,
    morphs: bool = False,
    copies: CopyFilter | None = None,
    console: Console | None = None,
) -> Cohort:
    """Write a synthetic cohort: `per_condition` images of each condition, with manifest and dataset.json.

    Image k of a condition has seed `seed` + k times the number of conditions + its index, so every image has
    its own seed. Each row records the generator's digest, the seed, the label, psi, and the cohort and folds
    that the generator was trained on; `ancestor_cohorts` is a JSON list of the other cohorts of real images
    that the generator's ancestors were trained on, with "foreign" for unknown images. Each PNG is marked as
    synthetic in its metadata.

    The manifest is written last, so an unfinished folder is no cohort. Repeat a call that was stopped, with
    the same arguments, to resume: the images that are there are kept. A finished cohort is left as it is.

    Args:
        destination: a folder for this cohort alone.
        psi: truncation; the default 1 keeps the full diversity that training data need.
        view: of every image, for the manifest; by default the only view of the generator's training images,
            or other.
        morphs: mix each image's condition, with a random share above one half, with another one; its label in
            the manifest is then the mixture, which classifiers take as a soft target.
        copies: drops images that are too close to a training image, without replacement; by default none. The
            columns `copy_filter` (a JSON object: the quantile, its distance, how many images of the condition
            were generated and dropped) and `nearest_training` (the distance of the image) record it.
        console: shows progress; stderr by default.

    Raises:
        UserError: `destination` holds other files, or what was generated with other arguments; an argument is
            out of range; or all images of a condition would be dropped, and then nothing is left.
        KeyboardInterrupt: it was stopped; the message says how to resume.
    """
    arguments.instance("model", model, GeneratorModel, "a generator, from morphoscope.generate.load")
    arguments.whole_number("per_condition", per_condition, 1)
    arguments.whole_number("seed", seed, 0)
    arguments.real_number("psi", psi)
    arguments.flag("morphs", morphs)
    if morphs and len(model.conditions) < 2:
        raise UserError("morphs: a generator of a single condition has nothing to mix.")
    if view is not None:
        arguments.one_of("view", view, get_args(View))
    if copies is not None:
        arguments.instance("copies", copies, CopyFilter, "a CopyFilter, or None")
    path = arguments.path("destination", destination)
    seeds = range(seed, seed + per_condition * len(model.conditions))
    check_seeds([seeds[0], seeds[-1]])
    resolved: View = view or model.metadata.view or "other"
    # Not validated: from Python, values are allowed that the command's options do not take.
    settings = Augmenting.model_construct(
        per_condition=per_condition,
        seed=seed,
        psi=psi,
        precision=model.precision,
        view=resolved,
        morphs=morphs,
        drop_closer=None if copies is None else copies.quantile,
    )
    run = RunFolder(path, argument="DESTINATION")
    with run.held():
        run.claim(Request(settings, _inputs(model, copies)))
        if not (path / MANIFEST).exists():
            try:
                shared = _shared_columns(model, resolved)
                rows = _write_all(model, path, seeds, psi, morphs, copies, shared, console)
            except _OnlyCopiesError:
                run.forget()
                raise
            except KeyboardInterrupt as stop:
                raise KeyboardInterrupt(f"Stopped; finished images are kept. {run.how_to_resume}") from stop
            Cohort.from_rows(path, pd.DataFrame(rows)).save()
    return Cohort.load(path)


def _inputs(model: GeneratorModel, copies: CopyFilter | None) -> dict[str, str]:
    """What decides about the images, beside the settings; the generator names its cohort."""
    network = {} if copies is None else {"network": f"{copies.network.name} {copies.network.digest}"}
    return {"generator": model.digest, **network}


def _write_all(
    model: GeneratorModel,
    folder: Path,
    seeds: Sequence[int],
    psi: float,
    morphs: bool,
    copies: CopyFilter | None,
    shared: Mapping[str, str],
    console: Console | None,
) -> list[dict[str, str]]:
    """Write the images of all conditions, without those that are dropped; returns their rows."""
    conditions = model.conditions
    written = (
        one
        for index, condition in enumerate(conditions)
        for one in _write_condition(model, folder, condition, seeds[index :: len(conditions)], psi, morphs)
    )
    progress = track(
        written,
        "Generating synthetic images",
        total=len(seeds),
        unit="images",
        to=console,
        transient=False,
    )
    rows = []
    for one, columns in _filtered(iter(progress), len(seeds) // len(conditions), copies):
        if columns is None:
            (folder / one.file).unlink()
            continue
        rows.append(
            {
                "file": one.file,
                "condition": one.condition,
                "group": f"synthetic-{model.digest}-{one.provenance.seed}",
                **one.provenance.columns(),
                **shared,
                **columns,
            }
        )
    return rows


def _write_condition(
    model: GeneratorModel, folder: Path, condition: str, seeds: Sequence[int], psi: float, morphs: bool
) -> Iterator[_Written]:
    """Write the images of one condition, except those that a stopped run has written; yield all."""
    labels = [_mixture(model, condition, seed) if morphs else {condition: 1.0} for seed in seeds]
    files = [f"images/synthetic-{model.file_stem(condition)}-{seed:06d}.png" for seed in seeds]
    marks: dict[int, Provenance] = {}

    def described(index: int) -> tuple[Path, Provenance]:
        marks[index] = model.provenance(labels[index], seeds[index], psi)
        return folder / files[index], marks[index]

    def generated(chosen: Sequence[int]) -> Iterator[np.ndarray]:
        if not morphs:
            return model.stream(condition, [seeds[index] for index in chosen], psi)
        return (model.mixtures([labels[index]], [seeds[index]], psi)[0] for index in chosen)

    images = write_images(model, len(seeds), described, generated, printed=False)
    for index, image in enumerate(images):
        yield _Written(files[index], condition, marks.pop(index), image)


def _mixture(model: GeneratorModel, condition: str, seed: int) -> dict[str, float]:
    """A condition mixed with another one; the image's seed decides with which, and their shares."""
    random = np.random.default_rng(seed)
    share = round(float(random.uniform(_LEAST_SHARE, 1)), 4)
    other = str(random.choice([name for name in model.conditions if name != condition]))
    return {condition: share, other: round(1 - share, 4)}


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
    written: Iterator[_Written], per_condition: int, copies: CopyFilter | None
) -> Iterator[tuple[_Written, dict[str, str] | None]]:
    """All images, each with its further columns, or None if it is dropped.

    With a filter, the images of one condition are in memory together.
    """
    if copies is None:
        for one in written:
            yield one, {}
        return
    while together := list(islice(written, per_condition)):
        condition = together[0].condition
        distances = copies.distances(np.stack([one.image for one in together]))
        limit = copies.limit(condition)
        dropped = int((distances < limit.distance).sum())
        if dropped == len(together):
            raise _OnlyCopiesError(
                f"{condition}: all {dropped} images are closer to a training image than the quantile "
                f"{copies.quantile:g} of held-out ones. The generator copies; use another snapshot."
            )
        record = {
            "network": copies.network.name,
            "quantile": copies.quantile,
            "distance": round(limit.distance, 6),
            "held_out": limit.held_out,
            "generated": len(together),
            "dropped": dropped,
        }
        for one, distance in zip(together, distances, strict=True):
            kept = {"copy_filter": json.dumps(record), "nearest_training": f"{distance:.6f}"}
            yield one, kept if distance >= limit.distance else None


def _shared_columns(model: GeneratorModel, view: View) -> dict[str, str]:
    """The cells that are the same for every image of a generator."""
    metadata = model.metadata
    own = metadata.cohort_digest or FOREIGN
    ancestors = {
        ancestor.cohort_digest or FOREIGN
        for ancestor in metadata.started_from
        if ancestor.foreign or not ancestor.phantom
    }
    return {
        "view": view,
        "fold": "",
        "source": "synthetic",
        "trained_on_folds": json.dumps(metadata.trained_on_folds),
        "trained_on_cohort": own,
        "ancestor_cohorts": json.dumps(sorted(ancestors - {own})),
    }

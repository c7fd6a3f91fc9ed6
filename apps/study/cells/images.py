"""The cell that makes synthetic images by a generator, or takes over those of another program."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from morphoscope.apps.study.cell import Cell
from morphoscope.apps.study.cells.context import COHORT, IMAGES, RUN, Context
from morphoscope.apps.study.partition import TRAINING
from morphoscope.cohort import Cohort
from morphoscope.cohort.importers import import_folder
from morphoscope.configs import UserError
from morphoscope.configs.generator import DEFAULT_NETWORK
from morphoscope.generate import augment, load
from morphoscope.generate.metrics import CopyFilter, load_feature_network
from morphoscope.generate.synthetic import dropped_copies
from morphoscope.generate.training.records import list_snapshots, snapshot_images
from morphoscope.runtime import InputFiles


def make_images(cell: Cell, context: Context) -> dict[str, Any]:
    """Write the synthetic cohort; returns its digest and how many images the filter dropped."""
    path = context.store.folder(cell) / IMAGES
    if "folder" not in cell.settings:
        _generate(cell, context, path)
    elif not path.exists():
        _take_over(cell, context, path)
    made = Cohort.load(path)
    counts = made.rows["condition"].value_counts().to_dict()
    return {"digest": made.digest, "images": counts, "dropped": dropped_copies(made)}


def _generate(cell: Cell, context: Context, path: Path) -> None:
    settings = cell.settings
    model = load(_snapshot(cell, context), context.device)
    copies = None
    if settings["drop_closer"] is not None:
        cohort = Cohort.load(context.needed(cell, "cohort", COHORT))
        network = load_feature_network(DEFAULT_NETWORK, context.device)
        copies = CopyFilter(network, model, cohort, settings["drop_closer"])
    augment(
        model,
        path,
        per_condition=settings["per_condition"],
        seed=settings["seed"],
        psi=settings["psi"],
        morphs=settings["morphs"],
        copies=copies,
    )


def _snapshot(cell: Cell, context: Context) -> Path:
    """The last snapshot, or the one that is closest to the part of the training that the settings name."""
    run = context.needed(cell, "generator", RUN)
    last = run / context.values(cell, "generator")["snapshot"]
    if "snapshot" not in cell.settings:
        return last
    wanted = cell.settings["snapshot"] * snapshot_images(last.name)
    return min(list_snapshots(run), key=lambda path: abs(snapshot_images(path.name) - wanted))


def _take_over(cell: Cell, context: Context, path: Path) -> None:
    """Import a folder of another generator's images, with the provenance that the study's settings state.

    Raises:
        UserError: the folder has changed, or some of its images are real ones of the study.
    """
    settings = cell.settings
    folder = Path(settings["folder"])
    if InputFiles(folder).as_json()["digest"] != settings["digest"]:
        raise UserError(f"{folder}: has changed since the study was planned; plan it again (study plan).")
    real = Cohort.load(context.needed(cell, "cohort", COHORT))
    imported = import_folder(folder, path.with_name("imported"))
    copied = set(imported.image_hashes) & set(real.image_hashes)
    if copied:
        raise UserError(f"{folder}: {len(copied)} of its images are files of the cohort itself; remove them.")
    rows: pd.DataFrame = imported.rows.assign(
        source="synthetic",
        fold="",
        generator=f"folder {settings['digest']}",
        trained_on_folds=json.dumps([TRAINING]),
        trained_on_cohort=real.digest,
        ancestor_cohorts="[]",
    )
    Cohort.from_rows(imported.root, rows).save()
    imported.root.rename(path)

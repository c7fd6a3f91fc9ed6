"""`morphoscope cohort …`: from photographs to a checked, split cohort."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from morphoscope.apps.commands.options import CohortPath, ConfigFile, Seed, Set
from morphoscope.cohort import (
    Cohort,
    import_classifynf1,
    import_csv,
    import_dataset_json,
    import_folder,
    import_isic,
)
from morphoscope.cohort import phantom as draw_phantom
from morphoscope.configs import UserError, load_config
from morphoscope.configs.commands import PhantomDrawing, Splitting

app = typer.Typer(help="Images and labels on disk.", no_args_is_help=True)


class Format(StrEnum):
    """Layouts that can be imported."""

    folder = "folder"
    csv = "csv"
    dataset_json = "dataset-json"
    isic = "isic"
    classifynf1 = "classifynf1"


_IMPORTERS: dict[Format, Callable[..., Cohort]] = {
    Format.folder: import_folder,
    Format.csv: import_csv,
    Format.dataset_json: import_dataset_json,
    Format.isic: import_isic,
    Format.classifynf1: import_classifynf1,
}


@app.command("import")
def import_images(
    layout: Annotated[Format, typer.Argument(metavar="LAYOUT", help="How the source is laid out.")],
    source: Annotated[Path, typer.Argument(help="Folder, zip or table.")],
    destination: Annotated[Path, typer.Argument(help="New folder for the cohort.")],
    images: Annotated[Path | None, typer.Option(help="Where a table's images lie, if not beside it.")] = None,
) -> None:
    """Copy labelled photographs into a new cohort (folder, csv, dataset-json, isic or classifynf1)."""
    options: dict[str, Any] = {}
    if images is not None:
        if layout in (Format.folder, Format.dataset_json):
            raise UserError(f"--images: the layout '{layout}' carries its own images.")
        options["images"] = images
    _describe(_IMPORTERS[layout](source, destination, **options))


@app.command()
def check(path: CohortPath) -> None:
    """Report everything that is wrong with a cohort; exits with 2 if it cannot be trained on."""
    report = Cohort.load(path, strict=False).check()
    Console().print(report)
    if not report.ok:
        raise UserError(f"{path}: mend the errors above, then check again.")


@app.command()
def split(
    path: CohortPath,
    folds: Annotated[int | None, typer.Option(help="Number of folds.")] = None,
    test: Annotated[float | None, typer.Option(help="Share of groups kept for testing.")] = None,
    config: ConfigFile = None,
    set_: Set = None,
    seed: Seed = None,
) -> None:
    """Deal the groups into folds and a test fold, stratified by condition."""
    settings = load_config(Splitting, file=config, overrides=set_, folds=folds, test=test, seed=seed)
    cohort = Cohort.load(path).split(settings.folds, settings.seed, settings.test)
    cohort.save()
    _describe(cohort)


@app.command()
def phantom(
    destination: Annotated[Path, typer.Argument(help="New folder for the cohort.")],
    config: ConfigFile = None,
    set_: Set = None,
    seed: Seed = None,
) -> None:
    """Draw the phantom cohort: procedural skin conditions that show no patient."""
    settings = load_config(PhantomDrawing, file=config, overrides=set_, seed=seed)
    _describe(draw_phantom(destination, **settings.model_dump()))


def _describe(cohort: Cohort) -> None:
    """Counts by condition and fold."""
    fold = cohort.rows["fold"].replace("", "(none)")
    table = cohort.rows.groupby([cohort.rows["condition"], fold]).size().unstack(fill_value=0)
    Console().print(f"{cohort.root}: {len(cohort)} images, images by condition and fold:", highlight=False)
    Console().print(table.to_string(), highlight=False)

"""`morphoscope cohort …`: from photographs to a checked, split cohort."""

import inspect
import shlex
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from morphoscope.apps.commands.options import CohortPath, ConfigFile, Set, comma_list, option
from morphoscope.configs import UserError, load_config
from morphoscope.configs.commands import Auditing, PhantomDrawing, PhantomFaces, Splitting
from morphoscope.configs.schema import Config
from morphoscope.configs.views import View
from morphoscope.runtime import RunFolder
from morphoscope.runtime.command_line import recorded_command
from morphoscope.runtime.terminal import say, show, table

if TYPE_CHECKING:
    from morphoscope.cohort import Cohort
    from morphoscope.cohort.design import Design

app = typer.Typer(help="Images and labels on disk.", no_args_is_help=True)


class Format(StrEnum):
    """Layouts that can be imported."""

    folder = "folder"
    csv = "csv"
    dataset_json = "dataset-json"
    isic = "isic"
    siim_isic = "siim-isic"
    classifynf1 = "classifynf1"
    gmdb = "gmdb"


class ExportLayout(StrEnum):
    """Layouts that a cohort can be written in for other programs."""

    folder = "folder"
    dataset_json = "dataset-json"


def _importer(layout: Format) -> "Callable[..., Cohort]":
    from morphoscope.cohort import importers

    by_layout: dict[Format, Callable[..., Cohort]] = {
        Format.folder: importers.import_folder,
        Format.csv: importers.import_csv,
        Format.dataset_json: importers.import_dataset_json,
        Format.isic: importers.import_isic,
        Format.siim_isic: importers.import_siim_isic,
        Format.classifynf1: importers.import_classifynf1,
        Format.gmdb: importers.import_gmdb,
    }
    return by_layout[layout]


@app.command("import")
def import_images(
    layout: Annotated[Format, typer.Argument(metavar="LAYOUT", help="How the source is laid out.")],
    source: Annotated[Path, typer.Argument(help="Folder, zip or table.")],
    destination: Annotated[Path, typer.Argument(help="New folder for the cohort.")],
    images: Annotated[Path | None, typer.Option(help="Where a table's images lie, if not beside it.")] = None,
    view: Annotated[View | None, typer.Option(help="How all of them were taken; not for csv.")] = None,
    group_pattern: Annotated[
        str | None, typer.Option(help="folder: regular expression that finds the patient in a path.")
    ] = None,
    split_folders: Annotated[
        bool | None,
        typer.Option(
            "--split-folders",
            help="folder: read folders train, val and test as splits; test is the test fold.",
        ),
    ] = None,
    step_inside: Annotated[
        bool | None,
        typer.Option("--step-inside", help="folder: the source's only folder holds the conditions' folders."),
    ] = None,
    file_column: Annotated[str | None, typer.Option(help="csv: column of the file names.")] = None,
    condition_column: Annotated[str | None, typer.Option(help="csv, isic: column of the labels.")] = None,
    group_column: Annotated[str | None, typer.Option(help="csv: column of the patients.")] = None,
    allow_unlisted: Annotated[
        bool | None, typer.Option("--allow-unlisted", help="Tables: leave out images without a row.")
    ] = None,
    to_srgb: Annotated[
        bool | None,
        typer.Option(
            "--to-srgb", help="Replace colour profiles (ICC), which may hold names, by converting to sRGB."
        ),
    ] = None,
) -> None:
    """Copy labelled photographs into a new cohort (folder, csv, dataset-json, isic, …)."""
    options = {
        "images": images,
        "view": view,
        "group_pattern": group_pattern,
        "split_folders": split_folders,
        "step_inside": step_inside,
        "file_column": file_column,
        "condition_column": condition_column,
        "group_column": group_column,
        "allow_unlisted": allow_unlisted,
        "to_srgb": to_srgb,
    }
    importer = _importer(layout)
    given = {name: value for name, value in options.items() if value is not None}
    _describe(importer(source, destination, **_accepted(importer, layout, given)))
    say(f"Next: morphoscope cohort check {shlex.quote(str(destination))}")


@app.command()
def join(
    sources: Annotated[list[Path], typer.Argument(metavar="COHORT", help="Two or more folders or zips.")],
    destination: Annotated[Path, typer.Argument(help="New folder (or .zip) for the cohort.")],
    test_fold_only: Annotated[
        bool,
        typer.Option("--test-fold-only", help="Keep only the test fold; then run `cohort split`."),
    ] = False,
) -> None:
    """Join several cohorts into one; groups with the same name in two of them count as the same patient."""
    from morphoscope.cohort import Cohort, join_cohorts

    cohort = join_cohorts([Cohort.load(path) for path in sources], destination, test_fold_only=test_fold_only)
    rows = cohort.rows
    origin = rows["file"].str.partition("/")[0]
    shared = int((origin.groupby(rows["group"]).nunique() > 1).sum())
    _describe(cohort)
    say(f"{shared} groups occur in more than one cohort and count as the same patients.")
    if _lacks_folds(cohort):
        say(f"Not every image has a fold. Next: {_next_step(cohort, destination)}")
        return
    folds = {name: sorted(set(names)) for name, names in rows["fold"].groupby(origin, sort=False)}
    if len({tuple(names) for names in folds.values()}) > 1:
        listed = "; ".join(f"{name}: {', '.join(names)}" for name, names in folds.items())
        say(
            f"The cohorts were split into different folds ({listed}). Unless that is intended, join them "
            "with --test-fold-only and split the result."
        )


@app.command("export")
def export_images(
    path: CohortPath,
    destination: Annotated[Path, typer.Argument(help="New folder; with dataset-json, or a .zip.")],
    layout: Annotated[ExportLayout, typer.Option(help="How other programs read it.")] = ExportLayout.folder,
    resolution: Annotated[
        int | None, typer.Option(help="dataset-json: side in pixels, a power of two.")
    ] = None,
    folds: Annotated[str, typer.Option(help="Comma-separated folds to write; all if not given.")] = "",
) -> None:
    """Write a cohort for other programs; patients and folds are not written, marks of synthesis stay."""
    from morphoscope.cohort import Cohort, export_dataset_json, export_folders

    cohort = Cohort.load(path)
    if wanted := comma_list(folds):
        unknown = sorted(set(wanted) - set(cohort.rows["fold"]))
        if unknown:
            raise UserError(f"--folds: {path} has no fold {unknown[0]!r}.")
        cohort = cohort.select(cohort.rows["fold"].isin(wanted))
    if layout is ExportLayout.folder:
        if resolution is not None:
            raise UserError("--resolution: only for --layout dataset-json.")
        export_folders(cohort, destination)
    else:
        if resolution is None:
            raise UserError("--layout dataset-json needs --resolution, a power of two.")
        export_dataset_json(cohort, destination, resolution)
    say(f"Wrote {len(cohort)} images to {destination}")


@app.command()
def check(path: CohortPath) -> None:
    """Report everything that is wrong with a cohort; exit code 2 if it cannot be used for training."""
    from morphoscope.cohort import Cohort

    cohort = Cohort.load(path, strict=False)
    report = cohort.check()
    say(report.summary)
    if report.problems:
        show(
            table(["severity", "kind", "finding"], [(p.severity, p.kind, p.message) for p in report.problems])
        )
    if not report.ok:
        raise UserError(f"{path}: fix the errors above, then check again.")
    say(f"Next: {_next_step(cohort, path)}")


@app.command()
def split(
    path: CohortPath,
    folds: Annotated[int | None, option(Splitting, "folds")] = None,
    test: Annotated[float | None, option(Splitting, "test")] = None,
    config: ConfigFile = None,
    set_: Set = None,
    seed: Annotated[int | None, option(Splitting, "seed")] = None,
) -> None:
    """Split the groups (patients) into folds and a test fold, stratified by condition."""
    settings = load_config(Splitting, file=config, overrides=set_, folds=folds, test=test, seed=seed)

    from morphoscope.cohort import Cohort

    cohort = Cohort.load(path).split(settings.folds, settings.seed, settings.test)
    cohort.save()
    _record(path, "split.yaml", settings)
    _describe(cohort)


@app.command()
def audit(
    path: CohortPath,
    folds: Annotated[int | None, option(Auditing, "folds")] = None,
    test: Annotated[float | None, option(Auditing, "test")] = None,
    accuracy: Annotated[float | None, option(Auditing, "accuracy")] = None,
    correlation: Annotated[float | None, option(Auditing, "correlation")] = None,
    config: ConfigFile = None,
    set_: Set = None,
    seed: Annotated[int | None, option(Auditing, "seed")] = None,
) -> None:
    """Simulate what an evaluation with these patients can show, before anything is trained."""
    settings = load_config(
        Auditing,
        file=config,
        overrides=set_,
        folds=folds,
        test=test,
        accuracy=accuracy,
        correlation=correlation,
        seed=seed,
    )

    from morphoscope.cohort import Cohort
    from morphoscope.cohort.design import audit as simulate

    _print_design(simulate(Cohort.load(path).rows, settings), settings)


@app.command()
def phantom(
    destination: Annotated[Path, typer.Argument(help="New folder for the cohort.")],
    per_condition: Annotated[int | None, option(PhantomDrawing, "per_condition")] = None,
    size: Annotated[int | None, option(PhantomDrawing, "size")] = None,
    config: ConfigFile = None,
    set_: Set = None,
    seed: Annotated[int | None, option(PhantomDrawing, "seed")] = None,
) -> None:
    """Draw the phantom cohort: procedural skin conditions that show no patient."""
    settings = load_config(
        PhantomDrawing, file=config, overrides=set_, per_condition=per_condition, size=size, seed=seed
    )

    from morphoscope.cohort import phantom as draw_phantom

    cohort = draw_phantom(destination, **settings.model_dump())
    _record(destination, "phantom.yaml", settings)
    _describe(cohort)


@app.command("phantom-faces")
def phantom_faces(
    destination: Annotated[Path, typer.Argument(help="New folder for the cohort.")],
    source: Annotated[
        Path | None, typer.Option(help="Cohort of faces to warp; by default phantom people are rendered.")
    ] = None,
    people: Annotated[int | None, option(PhantomFaces, "people")] = None,
    images: Annotated[int | None, option(PhantomFaces, "images")] = None,
    degree: Annotated[float | None, option(PhantomFaces, "degree")] = None,
    config: ConfigFile = None,
    set_: Set = None,
    seed: Annotated[int | None, option(PhantomFaces, "seed")] = None,
) -> None:
    """Give faces phantom syndromes: known changes of known strength, with masks."""
    settings = load_config(
        PhantomFaces, file=config, overrides=set_, people=people, images=images, degree=degree, seed=seed
    )

    from morphoscope.classify.gestalt import find_mesh
    from morphoscope.cohort import Cohort
    from morphoscope.cohort.phantom import faces

    portraits = (
        faces.phantom_people(settings.people, settings.images, settings.seed)
        if source is None
        else list(faces.cohort_portraits(Cohort.load(source)))
    )
    cohort = faces.phantom_faces(destination, portraits, find_mesh, settings.degree, settings.seed)
    if without := len(portraits) - len(cohort):
        say(f"Images without a face, which are left out: {without}")
    _record(destination, "phantom-faces.yaml", settings)
    _describe(cohort)


def _accepted(importer: "Callable[..., Cohort]", layout: Format, given: dict[str, Any]) -> dict[str, Any]:
    """The options that were given; UserError if the layout's importer does not take one."""
    taken = inspect.signature(importer).parameters
    strange = [f"--{name.replace('_', '-')}" for name in given if name not in taken]
    if strange:
        raise UserError(f"{', '.join(strange)}: not for the layout '{layout}'.")
    return given


def _lacks_folds(cohort: "Cohort") -> bool:
    """Whether a real image is in no fold."""
    return bool((cohort.rows["fold"][cohort.rows["source"] == "real"] == "").any())


def _next_step(cohort: "Cohort", path: Path) -> str:
    """The command that follows once a cohort has no errors."""
    from morphoscope.cohort import TEST_FOLD

    name = shlex.quote(str(path))
    if _lacks_folds(cohort):
        keep = " --test 0" if TEST_FOLD in set(cohort.rows["fold"]) else ""
        return f"morphoscope cohort split {name}{keep}"
    if (cohort.rows["source"] == "synthetic").all():
        return f"morphoscope classify train COHORT --synthetic {name}, with the cohort of real images"
    return f"morphoscope generate train {name}, or morphoscope classify train {name}"


def _record(path: Path, name: str, settings: Config) -> None:
    """Leave the settings beside the manifest, so that the cohort can be reproduced."""
    RunFolder(path).write_config(settings, name=name, command=recorded_command(sys.argv[1:]))


def _print_design(design: "Design", settings: Auditing) -> None:
    """What the cohort can show, in a table by condition and sentences."""
    from morphoscope.cohort.design import ALARMS, COVERAGE

    overall = design.intervals["accuracy"]
    say(
        f"Evaluated: {design.rows}, {overall.images} images of {overall.patients} patients. "
        f"Assumed: accuracy and recalls {settings.accuracy:.2f}, coverage of sets {COVERAGE:.2f}, alarms "
        f"{ALARMS:.2f}, correlation within patients {settings.correlation:.2f}."
    )
    rows = []
    for one in design.conditions:
        part = one.evaluated
        counts = (str(part.patients), str(part.images), f"{part.width:.2f}", f"{part.covered:.2f}")
        rows.append((one.name, *counts, str(one.calibration), f"{one.guarantee:.2f}"))
    head = ["condition", "patients", "images", "width of recall's interval", "it covers"]
    show(table([*head, "calibration images", f"sets of {COVERAGE:.0%} guarantee"], rows))
    measured = [(name, f"{part.width:.3f}", f"{part.covered:.2f}") for name, part in design.intervals.items()]
    show(table(["measured on all of them", "width of the 95% interval", "it covers"], measured))
    say(
        f"Calibration error: a perfectly calibrated model would show {design.error_by_chance:.3f} on average "
        f"and up to {design.error_limit:.3f}; smaller values show nothing."
    )
    say(
        "Smallest difference of balanced accuracy that a comparison on the same images finds with 80% power, "
        f"if one of two classifiers alone is correct in {settings.disagreement:.0%} of images:"
    )
    for name, value in design.detectable.items():
        say(f"  {name}: {value:.3f}")
    say(f"What would help most: {design.best_change}.")


def _describe(cohort: "Cohort") -> None:
    """Counts by condition and fold."""
    fold = cohort.rows["fold"].replace("", "(none)")
    counts = cohort.rows.groupby([cohort.rows["condition"], fold]).size().unstack(fill_value=0)
    say(f"{cohort.root}: {len(cohort)} images by condition and fold")
    rows = [(name, *map(str, row)) for name, row in zip(counts.index, counts.to_numpy(), strict=True)]
    show(table(["condition", *counts.columns], rows))

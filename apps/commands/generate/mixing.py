"""`morphoscope generate grid | triangle | mix | directions`: sheets of several ends at once."""

from typing import Annotated, Any

import typer

from morphoscope.apps.commands.generate.morphing import END_HELP
from morphoscope.apps.commands.options import (
    ConfigFile,
    Device,
    GeneratorPath,
    Overwrite,
    Run,
    Set,
    open_run,
    option,
)
from morphoscope.configs import load_config
from morphoscope.configs.morphs import DirectionDrawing, GridDrawing, StyleMixing, TriangleDrawing, Way
from morphoscope.configs.precision import ConvolutionPrecision
from morphoscope.runtime.terminal import say


def grid(
    generator: GeneratorPath,
    start: Annotated[str, typer.Argument(metavar="FROM", help=f"Left end. {END_HELP}")],
    end: Annotated[str, typer.Argument(metavar="TO", help="Right end, in the same form.")],
    count: Annotated[int | None, option(GridDrawing, "count")] = None,
    steps: Annotated[int | None, option(GridDrawing, "steps")] = None,
    way: Annotated[Way | None, option(GridDrawing, "way")] = None,
    psi: Annotated[float | None, option(GridDrawing, "psi")] = None,
    precision: Annotated[ConvolutionPrecision | None, option(GridDrawing, "precision")] = None,
    run: Run = None,
    overwrite: Overwrite = False,
    config: ConfigFile = None,
    set_: Set = None,
    device: Device = "auto",
    seed: Annotated[int | None, option(GridDrawing, "seed")] = None,
) -> None:
    """Show one morph for several seeds: a sheet with one row per seed, marked as synthetic."""
    settings = load_config(
        GridDrawing,
        file=config,
        overrides=set_,
        count=count,
        steps=steps,
        way=way,
        psi=psi,
        precision=precision,
        seed=seed,
    )

    from morphoscope.apps.commands.generate.loading import load_generator
    from morphoscope.generate.end_sheets import grid_sheet

    model = load_generator(generator, device, settings.precision)
    sheet = grid_sheet(model, start, end, settings)
    shown = sheet.recorded
    inputs = {"start": shown[start], "end": shown[end], "generator": model.digest}
    with open_run(run, "grid", settings, overwrite=overwrite, private=shown, **inputs) as folder:
        sheet.write(path := folder.path / "grid.png")
    say(f"Wrote {path}")


def triangle(
    generator: GeneratorPath,
    corners: Annotated[
        tuple[str, str, str], typer.Argument(metavar="A B C", help=f"The three corners. {END_HELP}")
    ],
    side: Annotated[int | None, option(TriangleDrawing, "side")] = None,
    psi: Annotated[float | None, option(TriangleDrawing, "psi")] = None,
    precision: Annotated[ConvolutionPrecision | None, option(TriangleDrawing, "precision")] = None,
    run: Run = None,
    overwrite: Overwrite = False,
    config: ConfigFile = None,
    set_: Set = None,
    device: Device = "auto",
    seed: Annotated[int | None, option(TriangleDrawing, "seed")] = None,
) -> None:
    """Show all mixtures of three conditions as a triangle, marked as synthetic."""
    settings = load_config(
        TriangleDrawing, file=config, overrides=set_, side=side, psi=psi, precision=precision, seed=seed
    )

    from morphoscope.apps.commands.generate.loading import load_generator
    from morphoscope.generate.end_sheets import triangle_sheet

    model = load_generator(generator, device, settings.precision)
    sheet = triangle_sheet(model, corners, settings)
    shown = sheet.recorded
    inputs = {"corners": [shown[corner] for corner in corners], "generator": model.digest}
    with open_run(run, "triangle", settings, overwrite=overwrite, private=shown, **inputs) as folder:
        sheet.write(path := folder.path / "triangle.png")
    say(f"Wrote {path}")


def mix(
    generator: GeneratorPath,
    rows: Annotated[
        list[str], typer.Option("--row", help=f"Whose images are changed, repeatable. {END_HELP}")
    ],
    columns: Annotated[
        list[str], typer.Option("--column", help="Whose styles are put in, repeatable; in the same form.")
    ],
    layers: Annotated[str | None, option(StyleMixing, "layers")] = None,
    psi: Annotated[float | None, option(StyleMixing, "psi")] = None,
    precision: Annotated[ConvolutionPrecision | None, option(StyleMixing, "precision")] = None,
    run: Run = None,
    overwrite: Overwrite = False,
    config: ConfigFile = None,
    set_: Set = None,
    device: Device = "auto",
    seed: Annotated[int | None, option(StyleMixing, "seed")] = None,
) -> None:
    """Mix styles: each row's image with some layers of each column's, marked as synthetic."""
    settings = load_config(
        StyleMixing, file=config, overrides=set_, layers=layers, psi=psi, precision=precision, seed=seed
    )

    from morphoscope.apps.commands.generate.loading import load_generator
    from morphoscope.generate.end_sheets import mixing_sheet

    model = load_generator(generator, device, settings.precision)
    sheet = mixing_sheet(model, rows, columns, settings)
    shown = sheet.recorded
    inputs: dict[str, Any] = {
        "rows": [shown[row] for row in rows],
        "columns": [shown[column] for column in columns],
        "generator": model.digest,
    }
    with open_run(run, "mix", settings, overwrite=overwrite, private=shown, **inputs) as folder:
        sheet.write(path := folder.path / "mix.png")
    say(f"Wrote {path}")


def directions(
    generator: GeneratorPath,
    start: Annotated[str, typer.Argument(metavar="END", help=f"The image to change. {END_HELP}")],
    axes: Annotated[bool | None, option(DirectionDrawing, "axes", "--axes/--no-axes")] = None,
    count: Annotated[int | None, option(DirectionDrawing, "count")] = None,
    layers: Annotated[str | None, option(DirectionDrawing, "layers")] = None,
    strength: Annotated[float | None, option(DirectionDrawing, "strength")] = None,
    psi: Annotated[float | None, option(DirectionDrawing, "psi")] = None,
    precision: Annotated[ConvolutionPrecision | None, option(DirectionDrawing, "precision")] = None,
    run: Run = None,
    overwrite: Overwrite = False,
    config: ConfigFile = None,
    set_: Set = None,
    device: Device = "auto",
    seed: Annotated[int | None, option(DirectionDrawing, "seed")] = None,
) -> None:
    """Show what the generator can change: directions found without labels, or axes between conditions.

    Add one to an end as END@NAME=STRENGTH, with the name at the left of its row.
    """
    settings = load_config(
        DirectionDrawing,
        file=config,
        overrides=set_,
        axes=axes,
        count=count,
        layers=layers,
        strength=strength,
        psi=psi,
        precision=precision,
        seed=seed,
    )

    from morphoscope.apps.commands.generate.loading import load_generator
    from morphoscope.generate.end_sheets import direction_sheet

    model = load_generator(generator, device, settings.precision)
    sheet = direction_sheet(model, start, settings)
    shown = sheet.recorded
    inputs = {"start": shown[start], "generator": model.digest}
    with open_run(run, "directions", settings, overwrite=overwrite, private=shown, **inputs) as folder:
        sheet.write(path := folder.path / "directions.png")
    say(f"Wrote {path}")

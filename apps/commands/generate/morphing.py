"""`morphoscope generate morph | loop`: from one end to another, as frames, strips and films."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from morphoscope.apps.commands.options import (
    ConfigFile,
    Device,
    GeneratorPath,
    Overwrite,
    Run,
    Set,
    open_run,
    option,
    resumable,
)
from morphoscope.configs import load_config
from morphoscope.configs.morphs import Film, Interpolation, Looping, Morphing, Way
from morphoscope.configs.precision import ConvolutionPrecision
from morphoscope.runtime.terminal import say

if TYPE_CHECKING:
    from morphoscope.generate.latents.spacing import Spacing

END_HELP = (
    "A condition (NF1), a mixture (60% NF1 + 40% TSC), or a projected photograph (file.safetensors). Add "
    ":SEED for another seed, :CONDITION for a photograph under another condition, @DIRECTION=STRENGTH for a "
    "step along a direction."
)


def morph(
    generator: GeneratorPath,
    start: Annotated[str, typer.Argument(metavar="FROM", help=f"Left end. {END_HELP}")],
    end: Annotated[str, typer.Argument(metavar="TO", help="Right end, in the same form.")],
    steps: Annotated[int | None, option(Morphing, "steps")] = None,
    way: Annotated[Way | None, option(Morphing, "way")] = None,
    interpolation: Annotated[Interpolation | None, option(Morphing, "interpolation")] = None,
    even: Annotated[bool | None, option(Morphing, "even", "--even/--not-even")] = None,
    film: Annotated[Film | None, option(Morphing, "film")] = None,
    psi: Annotated[float | None, option(Morphing, "psi")] = None,
    precision: Annotated[ConvolutionPrecision | None, option(Morphing, "precision")] = None,
    printed_mark: Annotated[bool | None, option(Morphing, "printed_mark")] = None,
    run: Run = None,
    overwrite: Overwrite = False,
    config: ConfigFile = None,
    set_: Set = None,
    device: Device = "auto",
    seed: Annotated[int | None, option(Morphing, "seed")] = None,
) -> None:
    """Morph one condition, seed or projected photograph into another: frames, a strip and a film, marked.

    Re-run the command with the same --run to resume.
    """
    settings = load_config(
        Morphing,
        file=config,
        overrides=set_,
        steps=steps,
        way=way,
        interpolation=interpolation,
        even=even,
        film=film,
        psi=psi,
        precision=precision,
        printed_mark=printed_mark,
        seed=seed,
    )

    from morphoscope.apps.commands.generate.loading import load_generator
    from morphoscope.generate.latents.parsing import parse_ends, recorded_ends
    from morphoscope.generate.morph_files import path_between, write_morph

    model = load_generator(generator, device, settings.precision)
    ends = parse_ends([start, end], model, settings.seed)
    path_between(settings, *ends).codes(model, [0])  # what cannot be done leaves no run folder behind
    name = "-".join(["morph", *(model.file_stem(each) for each in (start, end) if each in model.conditions)])
    shown = recorded_ends(ends)
    inputs = {"start": shown[start], "end": shown[end], "generator": model.digest}
    with (
        open_run(run, name, settings, overwrite=overwrite, private=shown, **inputs) as folder,
        resumable(folder, "finished frames"),
    ):
        written = write_morph(model, folder.path, ends, settings)
    _report_spacing(written.spacing)
    say(f"Wrote {written.sheet}")


def loop(
    generator: GeneratorPath,
    ends: Annotated[list[str], typer.Argument(metavar="END...", help=f"At least two. {END_HELP}")],
    steps: Annotated[int | None, option(Looping, "steps")] = None,
    way: Annotated[Way | None, option(Looping, "way")] = None,
    interpolation: Annotated[Interpolation | None, option(Looping, "interpolation")] = None,
    even: Annotated[bool | None, option(Looping, "even", "--even/--not-even")] = None,
    film: Annotated[Film | None, option(Looping, "film")] = None,
    psi: Annotated[float | None, option(Looping, "psi")] = None,
    precision: Annotated[ConvolutionPrecision | None, option(Looping, "precision")] = None,
    printed_mark: Annotated[bool | None, option(Looping, "printed_mark")] = None,
    run: Run = None,
    overwrite: Overwrite = False,
    config: ConfigFile = None,
    set_: Set = None,
    device: Device = "auto",
    seed: Annotated[int | None, option(Looping, "seed")] = None,
) -> None:
    """Morph through several ends and back to the first: a film without a seam, frames and a sheet, marked.

    Re-run the command with the same --run to resume.
    """
    settings = load_config(
        Looping,
        file=config,
        overrides=set_,
        steps=steps,
        way=way,
        interpolation=interpolation,
        even=even,
        film=film,
        psi=psi,
        precision=precision,
        printed_mark=printed_mark,
        seed=seed,
    )

    from morphoscope.apps.commands.generate.loading import load_generator
    from morphoscope.generate.latents.parsing import parse_ends, recorded_ends
    from morphoscope.generate.morph_files import loop_paths, write_loop

    model = load_generator(generator, device, settings.precision)
    written_ends = parse_ends(ends, model, settings.seed)
    for path in loop_paths(settings, written_ends):
        path.codes(model, [0])  # what cannot be done leaves no run folder behind
    shown = recorded_ends(written_ends)
    inputs = {"ends": [shown[end] for end in ends], "generator": model.digest}
    with (
        open_run(run, "loop", settings, overwrite=overwrite, private=shown, **inputs) as folder,
        resumable(folder, "finished frames"),
    ):
        written = write_loop(model, folder.path, written_ends, settings)
    _report_spacing(written.spacing)
    say(f"Wrote {written.sheet}")


def _report_spacing(spacings: "Sequence[Spacing]") -> None:
    for spacing in spacings:
        before, after = spacing.unevenness
        say(
            f"Largest to smallest step: {before:.2f} with evenly spaced ratios, {after:.2f} as placed "
            f"(features of {spacing.network})."
        )

"""`morphoscope generate inspect`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from morphoscope.apps.commands.options import Device
from morphoscope.configs import UserError
from morphoscope.runtime.terminal import say, show, table

if TYPE_CHECKING:
    from morphoscope.cohort import Provenance
    from morphoscope.generate.recreation import Recreation


def inspect(
    picture: Annotated[Path, typer.Argument(metavar="PICTURE", help="A PNG, GIF or MP4 file.")],
    generator: Annotated[
        Path | None, typer.Option(help="The generator's file: generates the image again and compares it.")
    ] = None,
    photographs: Annotated[
        list[Path] | None,
        typer.Option(
            "--photograph",
            help="With --generator: a projected photograph (end.safetensors) that the image is derived from; "
            "repeatable.",
        ),
    ] = None,
    device: Device = "auto",
) -> None:
    """Show how a synthetic image or film was made; with its generator, generate an image again to the bit."""
    from morphoscope.cohort import read_image
    from morphoscope.cohort.marked_files import file_provenance
    from morphoscope.cohort.mp4 import is_mp4
    from morphoscope.cohort.reading import MAX_FILE_BYTES
    from morphoscope.configs.user_files import read_regular

    data = read_regular(picture, MAX_FILE_BYTES, str(picture))
    pixels = None if is_mp4(data) else read_image(data, str(picture))  # a damaged file is reported here
    provenance = file_provenance(data)
    if provenance is None:
        raise UserError(
            f"{picture}: carries no mark of a synthetic image: a photograph, or the mark was removed."
        )
    show(table(["", str(picture)], [*_facts(provenance), ("credentials", _credentials(data))]))
    if generator is None:
        return
    if pixels is None:
        raise UserError(f"{picture}: a film is not generated again; --generator is for single images.")

    from morphoscope.apps.commands.generate.loading import load_generator
    from morphoscope.generate.latents import read_photograph
    from morphoscope.generate.recreation import recreate

    model = load_generator(generator, device)
    sources = [read_photograph(path, model) for path in photographs or []]
    try:
        found = recreate(model, provenance, pixels, sources)
    except UserError as error:
        raise UserError(f"{picture}: {error}") from error
    say(_comparison(provenance, found))


def _facts(provenance: "Provenance") -> list[tuple[str, str]]:
    facts = {
        "synthetic": provenance.statement,
        "generator": provenance.generator,
        "label": provenance.label and json.dumps(provenance.label, ensure_ascii=False),
        "seed": provenance.seed,
        "psi": provenance.psi,
        "path": "; ".join(path.summary for path in provenance.paths or []) or None,
        "photographs": ", ".join(provenance.parents or []) or "none",
        "noise": provenance.noise_mode,
        "execution": provenance.execution,
    }
    return [(name, "not recorded" if value is None else str(value)) for name, value in facts.items()]


def _credentials(data: bytes) -> str:
    """What the Content Credentials of a file say, in words."""
    from morphoscope.cohort.credentials import read_credentials

    try:
        found = read_credentials(data)
    except UserError as error:
        return f"not checked: {error}"
    if found is None:
        return "none"
    if found.problems:
        return f"INVALID, by {found.signer}: {'; '.join(found.problems)}"
    return f"valid, signed by {found.signer}; whether to trust this certificate was not checked"


def _comparison(provenance: "Provenance", found: "Recreation") -> str:
    if found.largest == 0:
        return "Generated again: the same to the bit."
    text = (
        f"Generated again: {found.differing:.2%} of the values differ, the largest difference is "
        f"{found.largest} of 255."
    )
    if found.execution == provenance.execution:
        return f"{text} The execution is the same, so the file's pixels were changed."
    return (
        f"{text} The execution here is another ({found.execution}): by itself it changes few values, by one "
        "grey level."
    )

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
    picture: Annotated[Path, typer.Argument(metavar="PICTURE", help="A PNG file.")],
    generator: Annotated[
        Path | None, typer.Option(help="The generator's file: generates the image again and compares it.")
    ] = None,
    device: Device = "auto",
) -> None:
    """Show how a synthetic image was made, and with its generator, generate it again to the bit."""
    from morphoscope.cohort import read_image
    from morphoscope.cohort.provenance import file_provenance
    from morphoscope.cohort.reading import MAX_FILE_BYTES
    from morphoscope.configs.user_files import read_regular

    data = read_regular(picture, MAX_FILE_BYTES, str(picture))
    pixels = read_image(data, str(picture))  # a damaged file is reported here
    provenance = file_provenance(data)
    if provenance is None:
        raise UserError(
            f"{picture}: carries no mark of a synthetic image: a photograph, or the mark was removed."
        )
    show(table(["", str(picture)], _facts(provenance)))
    if generator is None:
        return

    from morphoscope.generate import load
    from morphoscope.generate.recreation import recreate

    try:
        found = recreate(load(generator, device), provenance, pixels)
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
        "noise": provenance.noise_mode,
        "execution": provenance.execution,
    }
    return [(name, "not recorded" if value is None else str(value)) for name, value in facts.items()]


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

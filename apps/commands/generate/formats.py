"""`morphoscope generate import | export`."""

import json
import re
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from morphoscope.apps.commands.options import GeneratorPath, comma_list
from morphoscope.configs import UserError, first_names
from morphoscope.runtime.terminal import say, show, table

if TYPE_CHECKING:
    from morphoscope.generate.formats.importing import Agreement, Fidelity, NetworkFidelity


class GraphFormat(StrEnum):
    """Formats that a generator's graph can be written in."""

    onnx = "onnx"
    torch = "torch"


def import_model(
    source: Annotated[
        Path, typer.Argument(metavar="CHECKPOINT", help="A .pkl file of StyleGAN2-ADA (PyTorch).")
    ],
    destination: Annotated[Path, typer.Argument(help="New .safetensors file.")],
    conditions: Annotated[
        str, typer.Option(help="Comma-separated names of the classes, in the order of the label vector.")
    ] = "",
    compare: Annotated[
        Path | None,
        typer.Option(
            help="Folder with images by the other program, seed0000.png …, made without truncation (psi 1) "
            "and with constant noise; ours are compared with them."
        ),
    ] = None,
    condition: Annotated[
        str | None, typer.Option(help="With --compare: the class of these images (default: the first).")
    ] = None,
) -> None:
    """Read a StyleGAN2-ADA checkpoint of another program, without executing anything of it."""
    from morphoscope.cohort import read_image
    from morphoscope.generate import load
    from morphoscope.generate.formats.importing import agreement, import_stylegan2
    from morphoscope.runtime import write_text

    images = {} if compare is None else _images_by_seed(compare)
    fidelity = import_stylegan2(source, destination, comma_list(conditions))
    _print_fidelity(fidelity)
    found = []
    if images:
        model = load(destination)
        for seed, path in images.items():
            found.append(agreement(model, seed, condition or model.conditions[0], read_image(path)))
        _print_agreement(found)
    report = destination.with_suffix(".import.json")
    content = {**fidelity.as_json(), "compared": [asdict(each) for each in found]}
    write_text(report, json.dumps(content, indent=2) + "\n")
    say(f"Wrote {destination} and {report}")


def export_model(
    generator: GeneratorPath,
    destination: Annotated[Path, typer.Argument(help="The file to write.")],
    format_: Annotated[
        GraphFormat,
        typer.Option("--format", help="onnx, or torch: a program of torch.export (.pt2)."),
    ] = GraphFormat.onnx,
    opset: Annotated[int | None, typer.Option(help="onnx: version of the operators, 18 to 24.")] = None,
) -> None:
    """Write the generator as a graph for other programs; inputs: z, label and psi."""
    if opset is not None and format_ is not GraphFormat.onnx:
        raise UserError("--opset: only for --format onnx.")

    from morphoscope.generate import load
    from morphoscope.generate.formats.graphs import DEFAULT_OPSET, write_onnx, write_program

    model = load(generator)
    if format_ is GraphFormat.onnx:
        report = write_onnx(model, destination, DEFAULT_OPSET if opset is None else opset)
    else:
        report = write_program(model, destination)
    say(
        f"Wrote {report.path}; its images differ from ours by at most {report.difference:.1g} of the range "
        "-1 to 1. Every image that it makes is synthetic: mark it as such."
    )


def _images_by_seed(folder: Path) -> dict[int, Path]:
    found = {
        int(match[1]): path
        for path in sorted(folder.glob("seed*.png"))
        if (match := re.fullmatch(r"seed(\d{1,10})", path.stem))
    }
    if not found:
        raise UserError(f"{folder}: no images named by seed, seed0000.png …")
    return found


def _print_fidelity(fidelity: "Fidelity") -> None:
    averaged = "G_ema" if fidelity.averaged else "G (no averaged generator)"
    networks = {averaged: fidelity.generator, "D": fidelity.discriminator}
    columns = ["Network", "Tensors", "Parameters", "Converted to float32", "Left out"]
    show(table(columns, [_row(name, read) for name, read in networks.items() if read is not None]))
    if fidelity.discriminator is None:
        say("The checkpoint holds no discriminator, so no training can start from it.")
    say(
        f"Stored mean of w: {fidelity.mean_w_distance:.2f} of the spread of w from that of equally frequent "
        "conditions."
    )
    say("Its training images are unknown, so no leak rule can protect your test images from it.")


def _row(name: str, read: "NetworkFidelity") -> list[str]:
    lists = [
        f"{len(names)}: {first_names(names)}" if names else "none" for names in (read.converted, read.ignored)
    ]
    return [name, f"{read.tensors:,}", f"{read.parameters:,}", *lists]


def _print_agreement(found: "list[Agreement]") -> None:
    columns = ["Seed", "Largest difference", "Mean difference", "PSNR (dB)"]
    rows = [
        [f"{each.seed}", f"{each.largest} of 255", f"{each.mean:.3f}", f"{each.psnr:.1f}"] for each in found
    ]
    show(table(columns, rows))

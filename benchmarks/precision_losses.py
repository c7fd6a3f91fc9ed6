"""Do losses in bfloat16 follow those in float32? Training at 64 px on phantoms, as files and as a chart.

    python benchmarks/precision_losses.py train FOLDER --arm float32
    python benchmarks/precision_losses.py draw FOLDER docs/images/bfloat16-losses.svg

An arm is a precision and a seed. Each trains the networks of benchmarks/training.py in its own run and writes
its losses to FOLDER every 800 images. On a CPU without the instructions for bfloat16, that arm is refused.
`draw` compares the arms that are there, for as many images as the shortest has seen. It also prints how far
each loss is from that in float32 in the windows of the chart: in bfloat16 with the same seed, and in float32
with another seed.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import torch
from matplotlib.figure import Figure
from timing import machine
from training import SMALL

from morphoscope.cohort import phantom
from morphoscope.configs import UserError
from morphoscope.configs.generator import GeneratorTraining
from morphoscope.generate.training.trainer import GeneratorTrainer
from morphoscope.ops.dispatch import bfloat16_instructions
from morphoscope.ops.native.toolchain import Unavailable
from morphoscope.runtime.files import write_atomically
from morphoscope.runtime.reporting.plots import colour, svg
from morphoscope.runtime.torch_memory import keep_freed_memory
from morphoscope.runtime.torch_processes import Processes

ARMS = {"float32": ("float32", 0), "float32-seed1": ("float32", 1), "bfloat16": ("bfloat16", 0)}
LOSSES = {
    "loss_G": "loss of G",
    "loss_D": "loss of D",
    "r1": "R1 penalty",
    "path_penalty": "path-length penalty",
}
_RESOLUTION = 64
_WINDOW = 1000  # images that one point of the chart averages


def main() -> None:
    """Train one arm, or draw those that were trained."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("train")
    training.add_argument("folder", type=Path)
    training.add_argument("--arm", choices=ARMS, required=True)
    training.add_argument("--images", type=int, default=20_000)
    drawing = commands.add_parser("draw")
    drawing.add_argument("folder", type=Path)
    drawing.add_argument("target", type=Path, help="SVG file")
    options = parser.parse_args()
    if options.command == "train":
        train(options.folder, options.arm, options.images)
    else:
        files = {arm: options.folder / f"{arm}.csv" for arm in ARMS}
        losses = {arm: pd.read_csv(file, index_col="images") for arm, file in files.items() if file.exists()}
        seen = min(table.index.max() for table in losses.values())
        means = {arm: by_window(table.loc[:seen]) for arm, table in losses.items()}
        print(f"{seen} images")
        print(differences(means).to_string(float_format="{:.4f}".format))
        with write_atomically(options.target) as temporary:
            temporary.write_text(svg(draw(means)), encoding="utf-8")


def train(folder: Path, arm: str, images: int) -> None:
    """Train one arm with a number of images, and write the losses of every iteration as it proceeds."""
    precision, seed = ARMS[arm]
    found = bfloat16_instructions()
    if precision == "bfloat16" and isinstance(found, Unavailable):
        raise UserError(f"bfloat16 is not available on this CPU: {found.reason}.")
    keep_freed_memory()  # as the training command does
    print(machine(torch.device("cpu")), arm, flush=True)
    config = GeneratorTraining(
        resolution=_RESOLUTION, augment="bgc", seed=seed, precision=precision, **SMALL
    ).resolved()
    with TemporaryDirectory() as temporary:
        cohort = phantom(Path(temporary, "phantoms"), per_condition=60, size=_RESOLUTION)
        pixels, labels = cohort.images(_RESOLUTION), cohort.labels
    trainer = GeneratorTrainer(config, pixels, labels, cohort.conditions, Processes(torch.device("cpu")))
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    while trainer.images_seen < images:
        values = trainer.iterate()
        rows.append({"images": trainer.images_seen} | {n: float(values[n]) for n in LOSSES if n in values})
        if len(rows) % 25 == 0 or trainer.images_seen >= images:
            print(rows[-1], flush=True)
            with write_atomically(folder / f"{arm}.csv") as target:
                pd.DataFrame(rows).to_csv(target, index=False, float_format="%.6g")


def by_window(losses: pd.DataFrame) -> pd.DataFrame:
    """Means over windows of images, indexed by the middle of the window; penalties are not in every row."""
    windows = (losses.index - 1) // _WINDOW
    means = losses.groupby(windows).mean()
    means.index = (means.index + 0.5) * _WINDOW
    return means


def differences(means: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Mean absolute difference of each loss from that in float32, in windows of images."""
    base = means["float32"][list(LOSSES)]
    table = {arm: (means[arm][list(LOSSES)] - base).abs().mean() for arm in means if arm != "float32"}
    return pd.DataFrame({"mean in float32": base.mean()} | table)


def draw(means: dict[str, pd.DataFrame]) -> Figure:
    """Each loss over the images shown, one curve per arm."""
    figure = Figure(figsize=(8, 5), layout="constrained", facecolor="white")
    names = {
        "float32": "float32, seed 0",
        "float32-seed1": "float32, seed 1",
        "bfloat16": "bfloat16, seed 0",
    }
    shown = [arm for arm in names if arm in means]
    for axes, (loss, label) in zip(figure.subplots(2, 2, sharex=True).flat, LOSSES.items(), strict=True):
        for index, arm in enumerate(shown):
            curve = means[arm][loss].dropna()
            style = "--" if arm == "float32-seed1" else "-"
            axes.plot(curve.index / 1000, curve, style, color=colour(index), label=names[arm], lw=1.5)
        axes.set_ylabel(label)
        axes.set_yscale("log" if loss in ("r1", "path_penalty") else "linear")
        axes.spines[["top", "right"]].set_visible(False)
    for axes in figure.axes[2:]:
        axes.set_xlabel("thousand images shown")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
    return figure


if __name__ == "__main__":
    main()

"""Command line and statistics of the comparisons of options: arms by seeds, mean and standard deviation."""

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from morphoscope.cohort import Cohort

Train = Callable[[Cohort, Path, list[str], int], None]


def compare(
    document: str, arms: Mapping[str, Sequence[str]], train: Train, table: Callable[[Cohort, Path], str]
) -> None:
    """Train the arms that the command line names, or print the table of those that are trained.

    Args:
        document: docstring of the script, whose first line is the description in `--help`.
        arms: KEY=VALUE settings by name of the arm.
        train: called with (cohort, folder of the run, settings, seed); skips a finished run.
        table: called with (cohort, folder of the runs); returns Markdown.
    """
    parser = argparse.ArgumentParser(description=document.partition("\n")[0])
    parser.add_argument("what", choices=["train", "table"])
    parser.add_argument("cohort", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--arms", default=",".join(arms))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE for all arms; repeatable")
    options = parser.parse_args()
    cohort = Cohort.load(options.cohort)
    if options.what == "table":
        print(table(cohort, options.folder))
        return
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    for seed in options.seeds.split(","):
        for arm in options.arms.split(","):
            train(cohort, options.folder / f"{arm}-{seed}", [*options.set, *arms[arm]], int(seed))


def spread(values: Sequence[float], digits: int = 3, sign: str = "") -> str:
    """Mean ± standard deviation over seeds as text; a dash for no values. `sign` "+" shows plus signs."""
    if not values:
        return "—"
    deviation = f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):{sign}.{digits}f}{deviation}"

"""Pictures of results."""

from pathlib import Path
from textwrap import fill

import numpy as np
from matplotlib.figure import Figure

from morphoscope.ops.runtime import write_atomically


def draw_confusion(path: Path, counts: np.ndarray, conditions: list[str], title: str) -> None:
    """Write a row-normalised confusion matrix as PNG: each cell says the share of its row and the count.

    Args:
        counts: int [K, K], row = true condition, column = predicted.
    """
    classes = len(conditions)
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    side = max(4.0, 0.85 * classes + 2.0)
    figure = Figure(figsize=(side + 0.8, side), dpi=150, layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    names = [fill(name, 14) for name in conditions]
    axes.set_xticks(range(classes), names, rotation=45, ha="right")
    axes.set_yticks(range(classes), [f"{name}\n(n={n})" for name, n in zip(names, totals[:, 0], strict=True)])
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(title, fontsize=10)
    for row, column in np.ndindex(counts.shape):
        colour = "white" if shares[row, column] > 0.55 else "black"
        text = f"{shares[row, column]:.2f}\n({counts[row, column]})"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
    figure.colorbar(picture, ax=axes, fraction=0.046, label="share of the true condition's images")
    with write_atomically(path) as temporary:
        figure.savefig(temporary, bbox_inches="tight")  # constrained layout alone cuts the row label

"""Figures of an evaluation, with their values: the confusion matrix and the reliability diagram."""

from pathlib import Path
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from morphoscope.cohort.spreadsheet import write_csv
from morphoscope.runtime.calibration_error import Reliability
from morphoscope.runtime.reporting.plots import plain, save


def draw_confusion(path: Path, counts: np.ndarray, conditions: list[str], title: str) -> None:
    """Write a row-normalised confusion matrix as PNG, SVG and PDF, and its counts as CSV.

    Each cell shows the row's proportion and the count.

    Args:
        path: of the PNG; the others have its name with their own suffix.
        counts: int [K, K], row = true condition, column = predicted.
        conditions: K names.
    """
    classes = len(conditions)
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    side = max(4.0, 0.85 * classes + 2.0)
    figure = Figure(figsize=(side + 0.8, side), dpi=150, layout="constrained")
    axes = figure.subplots()
    matrix = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    names = [fill(plain(name), 14) for name in conditions]
    axes.set_xticks(range(classes), names, rotation=45, ha="right")
    axes.set_yticks(range(classes), [f"{name}\n(n={n})" for name, n in zip(names, totals[:, 0], strict=True)])
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(title, fontsize=10)
    for row, column in np.ndindex(counts.shape):
        colour = "white" if shares[row, column] > 0.55 else "black"
        text = f"{shares[row, column]:.2f}\n({counts[row, column]})"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
    figure.colorbar(matrix, ax=axes, fraction=0.046, label="row-normalised proportion")
    save(figure, path)
    table = pd.DataFrame(counts, columns=conditions)
    table.insert(0, "true condition", conditions, allow_duplicates=True)
    write_csv(path.with_suffix(".csv"), table)


def draw_reliability(path: Path, bins: Reliability, before: Reliability | None, title: str) -> None:
    """Write a reliability diagram, accuracy against confidence, as PNG, SVG and PDF, and its bins as CSV.

    On the diagonal the two agree.

    Args:
        path: of the PNG; the others have its name with their own suffix.
        bins: of the combined probabilities; each point is drawn with its interval by patient.
        before: of the probabilities at temperature 1, drawn in grey; None if there are none.
    """
    figure = Figure(figsize=(5.2, 5.6), dpi=150, layout="constrained")
    axes, counts = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    axes.plot([0, 1], [0, 1], color="#9aa5aa", lw=1, ls="--", label="confidence equals accuracy")
    if before is not None:
        shares = [accuracy.value for accuracy in before.accuracy]
        axes.plot(before.confidence, shares, "o-", color="#9aa5aa", ms=4, label="without temperature")
    values, lows, highs = np.array(bins.accuracy).T
    errors = [np.maximum(values - lows, 0), np.maximum(highs - values, 0)]
    axes.errorbar(
        bins.confidence, values, errors, fmt="o-", color="#0072B2", ms=5, capsize=2, label="as predicted"
    )
    axes.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy (95% interval)")
    axes.set_title(title, fontsize=10)
    axes.legend(loc="upper left", frameon=False, fontsize=9)
    counts.bar(bins.confidence, bins.images, width=0.02, color="#0072B2")
    counts.set(xlabel="confidence (highest probability), mean of the bin", ylabel="images")
    save(figure, path)
    tables = [_bins("as predicted", bins)]
    if before is not None:
        tables.append(_bins("without temperature", before))
    write_csv(path.with_suffix(".csv"), pd.concat(tables))


def _bins(name: str, bins: Reliability) -> pd.DataFrame:
    accuracy = pd.DataFrame(bins.accuracy, columns=["accuracy", "accuracy_low", "accuracy_high"])
    accuracy.insert(0, "confidence", bins.confidence)
    accuracy.insert(0, "probabilities", name)
    return accuracy.assign(images=bins.images)

"""Figures of a comparison: differences with their intervals, and the images that ensembles disagree on."""

from collections.abc import Sequence
from textwrap import fill

import numpy as np
from matplotlib.figure import Figure as Drawing

from morphoscope.classify.ensemble_comparison.comparison import EnsembleComparison, PairComparison
from morphoscope.runtime.reporting.plots import plain, svg
from morphoscope.runtime.statistics import Estimate

_ACROSS = 6  # images per row


def draw_differences(pair: PairComparison) -> str:
    """Draw the differences of a pair, overall and by condition, each with its 95% interval.

    Returns:
        The text of an <svg> element.
    """
    rows: list[tuple[str, Estimate]] = [("balanced accuracy", pair.balanced_accuracy.estimate)]
    rows += [
        (
            f"recall of {plain(one.condition)}\n({one.images} images, {one.patients} patients)",
            one.recall.estimate,
        )
        for one in pair.conditions
    ]
    figure = Drawing(figsize=(7.2, 0.9 + 0.5 * len(rows)), layout="constrained", facecolor="white")
    axes = figure.subplots()
    axes.axvspan(-pair.margin, pair.margin, color="#e6eef5", lw=0, zorder=0)
    axes.axvline(0, color="#b3261e", lw=1, ls="--", zorder=1)
    for place, (_, (value, low, high)) in enumerate(rows):
        axes.plot([low, high], [place, place], color="#1f2430", lw=2 if place == 0 else 1.2, zorder=2)
        axes.scatter([value], [place], s=46 if place == 0 else 26, color="#0072B2", zorder=3)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.invert_yaxis()
    first, second = (fill(plain(name), 40) for name in (pair.first, pair.second))
    axes.set_xlabel(f"{first} better        difference        {second} better")
    axes.spines[["top", "right"]].set_visible(False)
    return svg(figure)


def draw_disagreements(
    comparison: EnsembleComparison, chosen: Sequence[int], images: Sequence[np.ndarray]
) -> str:
    """Draw images for which not all ensembles predict the same, with the true condition and each prediction.

    Args:
        chosen: numbers of the samples.
        images: of each of them one or two photographs, side by side, uint8 [H, W, 3].

    Returns:
        The text of an <svg> element.
    """
    down = -(-len(chosen) // _ACROSS)
    lines = 1 + len(comparison.evaluations)
    figure = Drawing(
        figsize=(1.75 * _ACROSS, down * (1.75 + 0.2 * lines)),
        layout="constrained",
        facecolor="white",
        dpi=110,
    )
    first = next(iter(comparison.evaluations.values()))
    for place, (number, image) in enumerate(zip(chosen, images, strict=True)):
        axes = figure.add_subplot(down, _ACROSS, place + 1)
        axes.imshow(image)
        axes.set_xticks([])
        axes.set_yticks([])
        text = [f"true: {first.conditions[first.truth[number]]}"]
        for name, found in comparison.evaluations.items():
            predicted = found.prediction.predicted[number]
            share = found.prediction.combined[number, predicted]
            sign = "✓" if predicted == found.truth[number] else "✗"
            text.append(f"{sign} {name}: {found.conditions[predicted]} {share:.2f}")
        axes.set_xlabel(plain("\n".join(text)), fontsize=7, loc="left")
    return svg(figure)

"""Figures of a survey's report."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

import numpy as np
from matplotlib.figure import Figure as Drawing

from morphoscope.classify.evaluation.figures import draw_confusion
from morphoscope.classify.survey.analysis import Analysis, views_answered
from morphoscope.classify.survey.comparison import BOTH, Comparison
from morphoscope.runtime.reporting.plots import colour, plain, svg
from morphoscope.runtime.reporting.report import Figure


def confusion_figures(analysis: Analysis, folder: Path) -> list[Figure]:
    """Write confusion-VIEW-WHO (PNG, SVG, PDF), of clinicians and classifier for each view, into `folder`."""
    figures = []
    for view in views_answered(analysis):
        for who, column in (("clinicians", "answer"), ("classifier", "predicted")):
            counts = analysis.confusion(view, column)
            path = folder / f"confusion-{view}-{who}.png"
            title = f"{who}, {view}: accuracy {np.trace(counts) / counts.sum():.3f}"
            draw_confusion(path, counts, analysis.surveys.conditions, title)
            figures.append(Figure(path, f"{who.capitalize()}, {view} view, {counts.sum()} answers."))
    return figures


def difference_figures(analysis: Analysis) -> list[Figure]:
    """Box plots of the surveys' differences: of both views, and of each."""
    figures = []
    for view in (BOTH, *views_answered(analysis)):
        shown = [c for c in analysis.comparisons if c.view == view]
        name = "both views" if view == BOTH else f"{view} view"
        caption = f"{name.capitalize()}: one dot per survey, {len(shown[0].per_survey)} surveys."
        figures.append(Figure(draw_differences(shown), caption))
    return figures


def draw_differences(comparisons: Sequence[Comparison]) -> str:
    """Draw box plots of the surveys' differences, one box per comparison.

    Returns:
        The text of an <svg> element.
    """
    width = 2.6 + 1.1 * len(comparisons)
    figure = Drawing(figsize=(width, 3.6), layout="constrained", facecolor="white")
    axes = figure.subplots()
    values = [100 * c.per_survey["difference"].to_numpy() for c in comparisons]
    axes.boxplot(
        values, widths=0.5, showfliers=False, medianprops={"color": "#1f2430", "lw": 1.6}, boxprops={"lw": 1}
    )
    for index, dots in enumerate(values):
        # Side by side in their order, since several surveys often have the same difference.
        places = index + 1 + np.linspace(-0.16, 0.16, len(dots)) if len(dots) > 1 else [index + 1]
        axes.scatter(places, dots, s=16, color=colour(index), alpha=0.7, lw=0, zorder=3)
    names = [f"{fill(plain(c.specialty), 16)}\n{c.sheets} sheets" for c in comparisons]
    axes.set_xticks(range(1, len(values) + 1), names)
    axes.axhline(0, color="#b3261e", lw=1, ls="--", zorder=1)
    axes.set_ylabel("difference, percentage points")
    axes.spines[["top", "right"]].set_visible(False)
    return svg(figure)

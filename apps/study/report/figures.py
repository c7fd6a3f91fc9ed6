"""Figures of a study, as drawings; colours for colour-blind readers, markers and lines that print in grey."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure as Drawing

from morphoscope.apps.study.analysis import ArmResult, Comparison
from morphoscope.apps.study.collect import Shots
from morphoscope.configs.study import REFERENCE
from morphoscope.runtime.reporting.plots import colour, plain
from morphoscope.runtime.statistics import Estimate

_MARKERS, _LINES = "osD^vPX*", ("-", "--", "-.", ":")


def draw_learning_curves(arms: Sequence[ArmResult], shots: Sequence[Shots]) -> Drawing:
    """Balanced accuracy over the numbers of shots: one line per arm, with its 95% interval as a band."""
    figure = Drawing(figsize=(7.2, 4.2), layout="constrained", facecolor="white")
    axes = figure.subplots()
    for number, name in enumerate(dict.fromkeys(one.arm for one in arms)):
        own = [one for one in arms if one.arm == name]
        places = [shots.index(one.shots) for one in own]
        values, low, high = np.array([one.balanced_accuracy for one in own]).T
        marker, line = _MARKERS[number % len(_MARKERS)], _LINES[number % len(_LINES)]
        axes.plot(places, values, f"{marker}{line}", color=colour(number), label=plain(name), lw=1.6)
        axes.fill_between(places, low, high, color=colour(number), alpha=0.1, lw=0)
    axes.set_xticks(range(len(shots)), [str(one) for one in shots])
    axes.set_xlabel("patients per condition to train on")
    axes.set_ylabel("balanced accuracy on unseen patients")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    return figure


def draw_differences(comparisons: Sequence[Comparison]) -> Drawing:
    """Forest plot of the planned comparisons."""
    rows = [(f"{one.arm} ({_shots(one.shots)})", one.balanced_accuracy.estimate) for one in comparisons]
    return _forest([("", rows)], comparisons[0].margin, "difference of balanced accuracy")


def draw_conditions(comparisons: Sequence[Comparison]) -> Drawing:
    """Forest plot by condition: difference of recall of each arm."""
    names = list(comparisons[0].conditions)
    parts = [
        (name, [(one.arm, one.conditions[name].estimate) for one in comparisons if name in one.conditions])
        for name in names
    ]
    return _forest(parts, comparisons[0].margin, "difference of recall")


def draw_calibration(arms: Sequence[ArmResult]) -> Drawing:
    """Calibration error of each arm, with its 95% interval."""
    rows = [(f"{one.arm} ({_shots(one.shots)})", one.calibration_error) for one in arms]
    return _forest([("", rows)], None, "expected calibration error (first seeds)")


def _shots(shots: Shots) -> str:
    return "all patients" if shots == "all" else f"{shots} per condition"


def _forest(
    parts: Sequence[tuple[str, list[tuple[str, Estimate]]]], margin: float | None, label: str
) -> Drawing:
    """Rows of a name and an estimate, in parts with headings."""
    count = sum(len(rows) + bool(heading) for heading, rows in parts)
    figure = Drawing(figsize=(7.2, 0.9 + 0.28 * count), layout="constrained", facecolor="white")
    axes = figure.subplots()
    if margin is not None:
        axes.axvspan(-margin, margin, color="#e6eef5", lw=0, zorder=0)
        axes.axvline(0, color="#404040", lw=1, ls="--", zorder=1)
    names: list[str] = []
    headings: list[int] = []
    for heading, rows in parts:
        if heading:
            headings.append(len(names))
            names.append(plain(heading))
        for number, (name, (value, low, high)) in enumerate(rows):
            place, marker = len(names), _MARKERS[number % len(_MARKERS)]
            axes.plot([low, high], [place, place], color=colour(number), lw=1.6, zorder=2)
            axes.scatter([value], [place], s=30, marker=marker, color=colour(number), zorder=3)
            names.append(plain(name))
    axes.set_yticks(range(len(names)), names, fontsize=9)
    for place in headings:
        axes.get_yticklabels()[place].set_fontweight("bold")
    axes.invert_yaxis()
    suffix = "" if margin is None else f"; to the right of 0 the arm is better than {REFERENCE}"
    axes.set_xlabel(f"{label}{suffix}", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    return figure

"""The tables of a study: for the page, as CSV, and in LaTeX."""

import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from morphoscope.apps.study.analysis import Analysis, Comparison
from morphoscope.apps.study.strata import StratumResult
from morphoscope.configs.study import REFERENCE, Study
from morphoscope.runtime.reporting import Table
from morphoscope.runtime.statistics import Estimate, format_estimate, format_p

_LATEX = re.compile(r"[&%$#_{}~^\\]")


def comparison_table(comparisons: Sequence[Comparison]) -> Table:
    """The planned comparisons."""
    columns = [
        "arm, patients per condition",
        "difference (95% interval)",
        "adjusted p",
        "equivalence p",
        "verdict",
    ]
    rows = [
        [
            f"{one.arm}, {one.shots}",
            format_estimate(one.balanced_accuracy.estimate),
            format_p(one.adjusted_p),
            format_p(one.equivalence_p),
            one.verdict,
        ]
        for one in comparisons
    ]
    return Table(columns, rows)


def arm_table(analysis: Analysis) -> Table:
    """Every arm by itself."""
    columns = ["arm, patients per condition", "balanced accuracy", "calibration error", "log loss", "Brier"]
    rows = [
        [
            f"{one.arm}, {one.shots}",
            format_estimate(one.balanced_accuracy),
            format_estimate(one.calibration_error),
            f"{one.log_loss:.3f}",
            f"{one.brier:.3f}",
        ]
        for one in analysis.arms
    ]
    return Table(columns, rows)


def recall_table(analysis: Analysis, study: Study) -> Table:
    """Recall by condition at the largest number of shots, of the first seeds, with Wilson's intervals."""
    arms = [one for one in analysis.arms if one.shots == study.shots[-1]]
    names = list(dict.fromkeys(name for one in arms for name in one.recalls))
    rows = [[name, *(format_estimate(one.recalls.get(name), 2) for one in arms)] for name in names]
    return Table(["condition", *(one.arm for one in arms)], rows)


def stratum_table(strata: Sequence[StratumResult]) -> Table:
    """One row per stratum and arm; one per stratum that is too small."""
    rows = []
    for one in strata:
        name = [f"{one.attribute}: {one.value}", str(one.patients), str(one.images)]
        if one.few:
            rows.append([*name, "too few", "–", "–"])
        for arm, accuracy in one.accuracies.items():
            difference = one.differences.get(arm)
            shown = format_estimate(None if difference is None else difference.estimate, 2)
            rows.append([*name, arm, format_estimate(accuracy, 2), shown])
    columns = ["stratum", "patients", "images", "arm", "accuracy", f"difference to '{REFERENCE}'"]
    return Table(columns, rows)


def stratum_frame(strata: Sequence[StratumResult]) -> pd.DataFrame:
    """The same for other programs; values of a stratum that is too small are empty."""
    rows: list[dict[str, Any]] = []
    for one in strata:
        here = {name: getattr(one, name) for name in ("attribute", "value", "patients", "images", "few")}
        for arm in one.accuracies or [""]:
            row = {**here, "arm": arm, **_named("accuracy", one.accuracies.get(arm))}
            difference = one.differences.get(arm)
            rows.append(row | _named("difference", None if difference is None else difference.estimate))
    return pd.DataFrame(rows)


def _named(name: str, estimate: Estimate | None) -> dict[str, float | None]:
    value, low, high = estimate or (None, None, None)
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def variance_table(analysis: Analysis, study: Study) -> Table | None:
    """Standard error of the mean comparison for this design, and for more of one level."""
    components = analysis.components
    if components is None:
        return None
    folds, generators, classifiers = study.folds, study.generator_seeds, study.classifier_seeds
    designs = [
        ("this design", folds, generators, classifiers, 1.0),
        (f"{2 * generators} generator seeds", folds, 2 * generators, classifiers, 1.0),
        (f"{2 * classifiers} classifier seeds", folds, generators, 2 * classifiers, 1.0),
        ("twice the patients to test", folds, generators, classifiers, 2.0),
        ("twice the patients in twice the folds", 2 * folds, generators, classifiers, 1.0),
    ]
    rows = [[name, f"{components.variance(f, g, c, n) ** 0.5:.4f}"] for name, f, g, c, n in designs]
    return Table(["design", "standard error"], rows)


def component_facts(analysis: Analysis) -> list[tuple[str, str]]:
    """Standard deviations of the levels."""
    if analysis.components is None:
        return []
    names = {
        "patients": "patients of a test",
        "generators": "generator seeds",
        "classifiers": "classifier seeds",
        "trainings": "single trainings beyond both",
        "folds": "training sets (folds)",
    }
    values = asdict(analysis.components)
    return [(title, f"SD {values[name] ** 0.5:.4f}") for name, title in names.items()]


def comparison_frame(analysis: Analysis) -> pd.DataFrame:
    """One row per comparison and measure: arm, shots, measure, condition, difference, low, high, p values."""
    rows: list[dict[str, Any]] = []
    for one in analysis.comparisons:
        here = {"arm": one.arm, "shots": one.shots, "folds": one.folds}
        overall = {
            "p": one.balanced_accuracy.p,
            "adjusted_p": one.adjusted_p,
            "equivalence_p": one.equivalence_p,
        }
        extra = {"verdict": one.verdict, "mcnemar_p": one.descriptive.mcnemar_p}
        main = _cells("balanced accuracy", "", one.balanced_accuracy.estimate)
        rows.append({**here, **main, **overall, **extra})
        rows += [
            {**here, **_cells("recall", name, found.estimate), "p": found.p}
            for name, found in one.conditions.items()
        ]
        for name in ("log_likelihood", "brier"):
            found = getattr(one, name)
            rows.append({**here, **_cells(name.replace("_", " "), "", found.estimate), "p": found.p})
        mean = {"measure": "area under the ROC curve", "condition": "", "difference": one.descriptive.auroc}
        rows.append({**here, **mean})
    return pd.DataFrame(rows)


def _cells(measure: str, condition: str, estimate: Estimate) -> dict[str, Any]:
    value, low, high = estimate
    return {"measure": measure, "condition": condition, "difference": value, "low": low, "high": high}


def latex(table: Table) -> str:
    """A table for a paper, with booktabs' rules."""
    lines = [r"\begin{tabular}{l" + "r" * (len(table.columns) - 1) + "}", r"\toprule"]
    lines.append(" & ".join(map(_escaped, table.columns)) + r" \\")
    lines.append(r"\midrule")
    lines += [" & ".join(map(_escaped, row)) + r" \\" for row in table.rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _escaped(text: str) -> str:
    named = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return _LATEX.sub(lambda found: named.get(found[0], "\\" + found[0]), text)

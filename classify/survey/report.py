"""The report of a set of surveys: one HTML file, and its tables as CSV and JSON."""

import json
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Drawing

from morphoscope.classify.evaluation.figures import draw_confusion
from morphoscope.classify.survey.analysis import Analysis, views_answered
from morphoscope.classify.survey.comparison import BOTH, Comparison
from morphoscope.classify.survey.published import PUBLISHED, SOURCE
from morphoscope.classify.survey.self_reports import by_confidence, by_experience, self_report_sections
from morphoscope.classify.survey.spreadsheet import write_csv
from morphoscope.runtime import write_text
from morphoscope.runtime.reporting.plots import colour, plain, svg
from morphoscope.runtime.reporting.report import Figure, Section, Table, write_report
from morphoscope.runtime.statistics import Estimate, format_estimate

_COLUMNS = ("view, specialty", "participants", "surveys", "sheets", "pictures", "answers")
_FEW = 10  # participants or patients below which an interval is not to be relied on


def write_analysis(analysis: Analysis, folder: Path, facts: list[dict[str, Any]]) -> Path:
    """Write report.html, its tables (CSV), analysis.json and the confusion matrices (PNG) into `folder`.

    Args:
        facts: of each evaluation: which ensemble's training, cohort …; goes into analysis.json.

    Returns:
        The report's path.
    """
    told = {"confidence": by_confidence(analysis.judged), "experience": by_experience(analysis.judged)}
    tables = {
        "summary": analysis.summary(),
        "surveys": analysis.per_survey(),
        "agreement": analysis.agreements(),
        "power": analysis.power(),
        "answers": analysis.judged,
        "published": pd.DataFrame(PUBLISHED).assign(source=SOURCE),
        **{name: table for name, table in told.items() if len(table)},
    }
    for name, table in tables.items():
        write_csv(folder / f"{name}.csv", table)
    figures = [figure for view in views_answered(analysis) for figure in _confusions(analysis, view, folder)]
    content = {
        "set": analysis.surveys.name,
        "classifiers": facts,
        "counts": analysis.counts(),
        "left_out": analysis.answers.left_out,
        "warnings": analysis.answers.warnings,
        # Through pandas, which writes what is not a number as null.
        **{name: json.loads(tables[name].to_json(orient="records")) for name in tables if name != "answers"},
    }
    write_text(folder / "analysis.json", json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    write_report(
        folder / "report.html",
        title="Classifier and clinicians",
        lead=_lead(analysis.comparisons[0]),
        notice=_notice(analysis),
        sections=[
            _counts(analysis),
            _accuracies(analysis),
            _differences(analysis),
            _boxes(analysis),
            Section(
                "What was taken for what",
                "Row-normalised; both judge the same pictures equally often, since each answer counts once.",
                figures=figures,
                side_by_side=True,
            ),
            *self_report_sections(**told),
            _agreement(analysis),
            _power(tables["power"]),
            _published(),
            _methods(),
        ],
        wide=True,
    )
    return folder / "report.html"


def points(estimate: Estimate) -> str:
    """A difference of accuracies in percentage points, with its interval."""
    value, low, high = (100 * number for number in estimate)
    return f"{value:+.1f} ({low:+.1f} to {high:+.1f})"


def _lead(whole: Comparison) -> str:
    return (
        f"Accuracy of the classifier: {format_estimate(whole.classifier)}; of {whole.participants} "
        f"participants: {format_estimate(whole.clinicians)}; their difference: {points(whole.difference)} "
        f"percentage points, with 95% intervals, from {whole.answers} answers to {whole.images} images in "
        f"{len(whole.per_survey)} surveys."
    )


def _notice(analysis: Analysis) -> str:
    phantoms = (
        "The pictures are phantoms, procedural drawings: this says nothing about patients. "
        if analysis.surveys.phantom
        else ""
    )
    return (
        f"{phantoms}Pictures without history or examination are no clinical situation: the figures compare "
        "answers to these pictures, not care. answers.csv has the participants' codes: keep it as "
        "their consent says."
    )


def _counts(analysis: Analysis) -> Section:
    whole = analysis.comparisons[0]
    patients = analysis.judged["group"].nunique()
    alarms = [f"Left out: {sentence}" for sentence in analysis.answers.left_out]
    alarms += analysis.answers.warnings
    for number, what in [(whole.participants, "participants"), (patients, "patients")]:
        if number < _FEW:
            alarms.append(f"Only {number} {what}: bootstrap intervals of fewer than {_FEW} are too narrow.")
    facts = [(name, str(number)) for name, number in analysis.counts().items()]
    return Section("What there is", facts=[*facts, ("patients (groups)", str(patients))], alarms=alarms)


def _accuracies(analysis: Analysis) -> Section:
    rows = []
    for c in analysis.comparisons:
        counts = (c.participants, len(c.per_survey), c.sheets, c.images, c.answers)
        rows.append(
            [_name(c), *map(str, counts), format_estimate(c.clinicians), format_estimate(c.classifier)]
        )
    return Section(
        "Accuracies",
        "Shares of right answers, with the 95% interval of the two-way bootstrap.",
        table=Table([*_COLUMNS, "clinicians", "classifier"], rows),
    )


def _differences(analysis: Analysis) -> Section:
    rows = [
        [_name(c), str(c.answers), points(c.difference), str(len(c.per_survey)), *_tested(c)]
        for c in analysis.comparisons
    ]
    return Section(
        "Their difference",
        "Classifier - clinicians, percentage points: over all answers, with the two-way bootstrap's 95% "
        "interval, and as the mean over surveys, with that of a paired t-test and its two-sided p (not "
        "corrected for the number of tests). The t-test takes surveys for independent although they share "
        "pictures; where it is surer than the bootstrap, believe the bootstrap.",
        table=Table(
            [_COLUMNS[0], "answers", "difference", "surveys", "mean over surveys", "t (df)", "p"], rows
        ),
    )


def _name(comparison: Comparison) -> str:
    return f"{comparison.view}, {comparison.specialty}"


def _tested(comparison: Comparison) -> list[str]:
    test = comparison.test
    if test is None:
        return ["–", "–", "–"]
    p = f"{test.p:.3f}" if test.p >= 0.001 else "< 0.001"
    return [points(test.mean), f"{test.statistic:.2f} ({test.freedom})", p]


def _boxes(analysis: Analysis) -> Section:
    figures = []
    for view in (BOTH, *views_answered(analysis)):
        drawn = [c for c in analysis.comparisons if c.view == view]
        caption = (
            f"{view} view{'s' if view == BOTH else ''}: one dot a survey, {len(drawn[0].per_survey)} in all."
        )
        figures.append(Figure(draw_differences(drawn), caption))
    return Section(
        "Differences by survey",
        "Classifier - clinicians on the same pictures, percentage points. Boxes reach from quartile to "
        "quartile, with the median; whiskers to the furthest survey within 1.5 of the box's height.",
        figures=figures,
        side_by_side=True,
    )


def draw_differences(comparisons: list[Comparison]) -> str:
    """Box plots of the surveys' differences, one box a specialty, as the text of an <svg> element."""
    width = 2.6 + 1.1 * len(comparisons)
    figure = Drawing(figsize=(width, 3.6), layout="constrained", facecolor="white")
    axes = figure.subplots()
    values = [100 * c.per_survey["difference"].to_numpy() for c in comparisons]
    axes.boxplot(
        values, widths=0.5, showfliers=False, medianprops={"color": "#1f2430", "lw": 1.6}, boxprops={"lw": 1}
    )
    for index, dots in enumerate(values):
        # Beside each other in their order, since surveys often have the same difference.
        places = index + 1 + np.linspace(-0.16, 0.16, len(dots)) if len(dots) > 1 else [index + 1]
        axes.scatter(places, dots, s=16, color=colour(index), alpha=0.7, lw=0, zorder=3)
    names = [f"{fill(plain(c.specialty), 16)}\n{c.sheets} sheets" for c in comparisons]
    axes.set_xticks(range(1, len(values) + 1), names)
    axes.axhline(0, color="#b3261e", lw=1, ls="--", zorder=1)
    axes.set_ylabel("classifier - clinicians, points")
    axes.spines[["top", "right"]].set_visible(False)
    return svg(figure)


def _confusions(analysis: Analysis, view: str, folder: Path) -> list[Figure]:
    figures = []
    for who, column in [("clinicians", "answer"), ("classifier", "predicted")]:
        counts = analysis.confusion(view, column)
        path = folder / f"confusion-{view}-{who}.png"
        accuracy = np.trace(counts) / counts.sum()
        draw_confusion(path, counts, analysis.surveys.conditions, f"{who}, {view}: accuracy {accuracy:.3f}")
        figures.append(Figure(path, f"{who.capitalize()}, {view} view, {counts.sum()} answers."))
    return figures


def _agreement(analysis: Analysis) -> Section:
    rows, without = [], []
    for c in analysis.comparisons:
        a = c.agreement
        if a is None:
            without.append((_name(c), f"not computed: {c.agreement_note}"))
        else:
            icc = [_signed(estimate) for estimate in (a.one_way, a.absolute, a.consistency)]
            rows.append([_name(c), *icc, f"{a.subjects} x {a.raters}", c.agreement_note])
    return Section(
        "Agreement between participants",
        "Intraclass correlations of the sheets' accuracies: subjects are surveys (n), raters the sheets of "
        "each (k). Where every survey has participants of its own, ICC(1,1) is the one to read. Near or "
        "below 0: sheets of one survey are no more alike than those of different surveys.",
        facts=without,
        table=Table([_COLUMNS[0], "ICC(1,1)", "ICC(A,1)", "ICC(C,1)", "n x k", "used"], rows)
        if rows
        else None,
    )


def _signed(estimate: Estimate) -> str:
    return f"{estimate.value:+.3f} ({estimate.low:+.3f} to {estimate.high:+.3f})"


def _power(power: pd.DataFrame) -> Section:
    rows = [
        [
            f"{row['view']}, {100 * row['true_difference']:.0f} points",
            f"{100 * row['deviation']:.1f}",
            f"{row['surveys']}",
            f"{row['power']:.2f}",
            *(f"{value}" for name, value in row.items() if str(name).startswith("surveys_for")),
        ]
        for row in power.to_dict("records")
    ]
    return Section(
        "Power",
        "Probability that a paired t-test (two-sided, p < 0.05) of this many surveys finds a true "
        "difference, and how many surveys would find it with a power of 80% and 90%; "
        "noncentral t, with the standard deviation of the surveys' differences as "
        "observed. For planning: it adds nothing to the results."
        if rows
        else "Not computed: fewer than two surveys were answered, or their differences are all the same.",
        table=Table(
            ["view, true difference", "deviation, points", "surveys", "power", "for 80%", "for 90%"], rows
        )
        if rows
        else None,
    )


def _published() -> Section:
    rows = []
    for row in PUBLISHED:
        sign = "+" if "difference" in row.quantity else ""
        ends = "" if row.low is None else f"{row.low:+.3f} to {row.high:+.3f}"
        rows.append([f"{row.quantity}, {row.view}", f"{row.value:{sign}.3f}", ends])
    return Section(
        "Published figures, for comparison",
        f"{SOURCE}. Other pictures, other participants and another classifier; accuracies and differences as "
        "shares.",
        facts=[(f"{row.quantity} {row.value:.3f}", row.note) for row in PUBLISHED if row.note],
        table=Table(["quantity, view", "value", "95% interval"], rows),
    )


def _methods() -> Section:
    return Section(
        "How it was computed",
        facts=[
            (
                "answers",
                "The first answer of a participant to a question counts; sheets with 95% or less of the "
                "questions answered are left out; unanswered questions count for neither side.",
            ),
            (
                "classifier",
                "The most probable of the survey's conditions. As far as is known no picture was in its "
                "training.",
            ),
            (
                "bootstrap",
                "Patients and participants are drawn with replacement, independently (pigeonhole bootstrap, "
                "Owen 2007); it errs towards wider intervals. An interval without width comes from "
                "accuracies of 0 or 1, which few pictures do not prove.",
            ),
            ("t-test", "Two-sided, paired, one pair a survey: both accuracies over the survey's answers."),
            (
                "agreement",
                "McGraw & Wong 1996, F-based intervals; ICC(A,1) with Satterthwaite's degrees of freedom.",
            ),
        ],
    )

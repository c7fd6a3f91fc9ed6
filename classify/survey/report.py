"""The report of a set of surveys: one HTML file, and its tables as CSV and JSON."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from morphoscope.classify.survey.agreement import Agreement
from morphoscope.classify.survey.analysis import Analysis, PowerEstimate
from morphoscope.classify.survey.comparison import Comparison, PairedTest
from morphoscope.classify.survey.figures import confusion_figures, difference_figures
from morphoscope.classify.survey.groups import GroupAgreement, GroupTest
from morphoscope.classify.survey.published import PUBLISHED, SOURCE
from morphoscope.classify.survey.self_reports import (
    by_confidence,
    by_experience,
    self_report_sections,
    self_report_table,
)
from morphoscope.cohort.spreadsheet import write_csv
from morphoscope.runtime import write_text
from morphoscope.runtime.reporting.report import Section, Table, write_report
from morphoscope.runtime.statistics import Estimate, format_estimate, format_p

_FORMS = ("ICC(1,1)", "ICC(A,1)", "ICC(C,1)")
_SUBSET = "view, specialty"  # title of the first column of most tables
_FEW = 10  # below this number of participants or patients, bootstrap intervals are too narrow


def write_analysis(analysis: Analysis, folder: Path, facts: list[dict[str, Any]]) -> Path:
    """Write report.html, its tables (CSV), analysis.json and the confusion matrices (PNG) into `folder`.

    Args:
        facts: of each evaluation: which ensemble, cohort and rows; part of analysis.json.

    Returns:
        The report's path.
    """
    tables = _tables(analysis)
    for name, table in {**tables, "answers": analysis.scored}.items():
        write_csv(folder / f"{name}.csv", table, "%.6g")
    content = {
        "set": analysis.surveys.name,
        "classifiers": facts,
        "counts": analysis.counts().labelled(),
        "left_out": analysis.answers.left_out,
        "warnings": analysis.answers.warnings,
        # Through pandas, which writes NaN as null.
        **{name: json.loads(table.to_json(orient="records")) for name, table in tables.items()},
    }
    write_text(folder / "analysis.json", json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    write_report(
        folder / "report.html",
        title="Classifier and clinicians",
        lead=_lead(analysis.comparisons[0]),
        notice=_notice(analysis.surveys.phantom),
        sections=_sections(analysis, folder),
        wide=True,
    )
    return folder / "report.html"


def _tables(analysis: Analysis) -> dict[str, pd.DataFrame]:
    """The tables by the names of their files; those of self-reports only if participants gave any."""
    tables = {
        "summary": analysis.summary_table(),
        "surveys": analysis.per_survey_table(),
        "groups": analysis.group_test_table(),
        "agreement": analysis.agreement_table(),
        "power": analysis.power_table(),
        "published": pd.DataFrame(PUBLISHED).assign(source=SOURCE),
        "confidence": self_report_table(by_confidence(analysis.scored), "confidence"),
        "experience": self_report_table(by_experience(analysis.scored), "years"),
    }
    optional = ("confidence", "experience")
    return {name: table for name, table in tables.items() if len(table) or name not in optional}


def _sections(analysis: Analysis, folder: Path) -> list[Section]:
    return [
        _data(analysis),
        _accuracies(analysis.comparisons),
        _differences(analysis.comparisons),
        Section(
            "Differences by survey",
            "Accuracy of the classifier minus that of the clinicians on the same images, in percentage "
            "points. Boxes extend from the first to the third quartile, with a line at the median; whiskers "
            "extend to the furthest survey within 1.5 times the interquartile range.",
            figures=difference_figures(analysis),
            side_by_side=True,
        ),
        Section(
            "Confusion matrices",
            "Row-normalised. Each answer counts once, so that an image has the same weight for clinicians "
            "and classifier.",
            figures=confusion_figures(analysis, folder),
            side_by_side=True,
        ),
        *self_report_sections(by_confidence(analysis.scored), by_experience(analysis.scored)),
        _group_tests(analysis.group_tests),
        _group_agreement(analysis.group_agreements),
        _agreement(analysis.comparisons),
        _power(analysis.power()),
        _published(),
        _METHODS,
    ]


def format_points(estimate: Estimate) -> str:
    """Format a difference of accuracies in percentage points, e.g. "+15.6 (+3.1 to +30.7)"."""
    value, low, high = (100 * number for number in estimate)
    return f"{value:+.1f} ({low:+.1f} to {high:+.1f})"


def _lead(whole: Comparison) -> str:
    clinicians, classifier, difference = whole.accuracies
    return (
        f"Accuracy of the classifier {format_estimate(classifier)}, accuracy of the clinicians "
        f"{format_estimate(clinicians)}, difference {format_points(difference)} percentage points, all with "
        f"95% intervals: {whole.answers} answers by {whole.participants} participants to {whole.images} "
        f"images in {len(whole.per_survey)} surveys."
    )


def _notice(phantom: bool) -> str:
    phantoms = (
        "The images are phantoms, computer-generated drawings: these results say nothing about patients. "
        if phantom
        else ""
    )
    return (
        f"{phantoms}Images without history or examination are not a clinical situation: the results compare "
        "answers about these images, not the quality of care. answers.csv contains the participants' codes: "
        "store it as their consent requires."
    )


def _data(analysis: Analysis) -> Section:
    whole = analysis.comparisons[0]
    patients = analysis.scored["group"].nunique()
    alarms = [f"Left out: {sentence}" for sentence in analysis.answers.left_out]
    alarms += analysis.answers.warnings
    for number, what in ((whole.participants, "participants"), (patients, "patients")):
        if number < _FEW:
            alarms.append(
                f"Number of {what}: {number}. With fewer than {_FEW}, bootstrap intervals are too narrow."
            )
    facts = [(name, str(number)) for name, number in analysis.counts().labelled().items()]
    return Section("Data", facts=[*facts, ("patients (groups)", str(patients))], alarms=alarms)


def _accuracies(comparisons: Sequence[Comparison]) -> Section:
    rows = []
    for c in comparisons:
        counts = (c.participants, len(c.per_survey), c.sheets, c.images, c.answers)
        accuracies = (c.accuracies.clinicians, c.accuracies.classifier)
        rows.append([_name(c), *map(str, counts), *map(format_estimate, accuracies)])
    columns = [_SUBSET, "participants", "surveys", "sheets", "images", "answers", "clinicians", "classifier"]
    return Section(
        "Accuracy",
        "Proportion of correct answers, with 95% intervals from the two-way bootstrap.",
        table=Table(columns, rows),
    )


def _differences(comparisons: Sequence[Comparison]) -> Section:
    rows = [
        [
            _name(c),
            str(c.answers),
            format_points(c.accuracies.difference),
            str(len(c.per_survey)),
            *_test_cells(c.test),
        ]
        for c in comparisons
    ]
    return Section(
        "Difference in accuracy",
        "Accuracy of the classifier minus that of the clinicians, in percentage points: over all answers, "
        "with 95% intervals from the two-way bootstrap; and as the mean over surveys, with 95% intervals and "
        "two-sided p from a paired t-test (not corrected for multiple testing). The t-test treats surveys as "
        "independent although they share images: if its interval is narrower, rely on the bootstrap.",
        table=Table([_SUBSET, "answers", "difference", "surveys", "mean over surveys", "t (df)", "p"], rows),
    )


def _name(comparison: Comparison) -> str:
    return f"{comparison.view}, {comparison.specialty}"


def _test_cells(test: PairedTest | None) -> list[str]:
    """Mean over surveys, t and p."""
    if test is None:
        return ["–", "–", "–"]
    return [format_points(test.mean), f"{test.t:.2f} ({test.degrees_of_freedom})", format_p(test.p)]


def _group_tests(tests: Sequence[GroupTest]) -> Section:
    rows = [
        [
            one.within,
            f"{one.first} - {one.second}",
            str(one.surveys),
            f"{one.first_accuracy:.3f}",
            f"{one.second_accuracy:.3f}",
            *_test_cells(one.test),
        ]
        for one in tests
        if one.surveys
    ]
    columns = ["within", "compared", "surveys", "first", "second", "mean difference", "t (df)", "p"]
    return Section(
        "Between specialties, and between views",
        "Paired t-tests over the surveys that have both: two specialties on the same view, and focused "
        "against panoramic images within the classifier and within each specialty. Accuracies are means over "
        "these surveys, the difference is in percentage points. Not corrected for multiple testing.",
        table=Table(columns, rows) if rows else None,
    )


def _group_agreement(found: Sequence[GroupAgreement]) -> Section:
    rows, without = [], []
    for one in found:
        if one.agreement is None:
            without.append((f"not computed: {one.view}", one.note))
        else:
            rows.append(
                [one.view, ", ".join(one.raters), *_icc_cells(one.agreement), str(one.agreement.subjects)]
            )
    return Section(
        "Agreement: classifier and specialties as raters",
        "The published design: intraclass correlations (ICC) with surveys as subjects; the raters are the "
        "classifier and each specialty, with their accuracies in the survey. Values near or below 0 mean "
        "that a survey that is easy for one group is not easier for the others.",
        facts=without,
        table=Table(["view", "raters", *_FORMS, "surveys"], rows) if rows else None,
    )


def _agreement(comparisons: Sequence[Comparison]) -> Section:
    rows: list[list[str]] = []
    without: dict[str, list[str]] = {}
    for c in comparisons:
        a = c.agreement
        if a is None:
            without.setdefault(c.agreement_note, []).append(_name(c))
        else:
            rows.append([_name(c), *_icc_cells(a), str(a.subjects), f"{a.raters:.3g}", c.agreement_note])
    columns = [_SUBSET, *_FORMS, "surveys", "sheets per survey", "used"]
    return Section(
        "Agreement: participants as raters",
        "Intraclass correlations (ICC) of the sheets' accuracies, with surveys as subjects and participants "
        "as raters. ICC(A,1) and ICC(C,1) are defined only if the same participants answered every survey. "
        "Values near or below 0 mean that sheets of one survey are no more alike than sheets of different "
        "surveys.",
        facts=[(f"not computed: {reason}", "; ".join(names)) for reason, names in without.items()],
        table=Table(columns, rows) if rows else None,
    )


def _icc_cells(found: Agreement) -> list[str]:
    return [_signed(found.forms[form]) if form in found.forms else "–" for form in _FORMS]


def _signed(estimate: Estimate) -> str:
    return f"{estimate.value:+.3f} ({estimate.low:+.3f} to {estimate.high:+.3f})"


def _power(estimates: Sequence[PowerEstimate]) -> Section:
    if not estimates:
        return Section(
            "Power",
            "Not computed: fewer than two surveys were answered, or their differences are all the same.",
        )
    rows = [
        [
            f"{one.view}, {100 * one.true_difference:.0f} points",
            f"{100 * one.standard_deviation:.1f}",
            str(one.surveys),
            f"{one.power:.2f}",
            str(one.surveys_for_80),
            str(one.surveys_for_90),
        ]
        for one in estimates
    ]
    return Section(
        "Power",
        "Probability that a paired t-test (two-sided, p < 0.05) of this number of surveys finds a true "
        "difference, and the numbers of surveys needed for a power of 80% and 90%. Computed from the "
        "noncentral t distribution with the observed standard deviation (SD) of the surveys' differences. "
        "For planning only: it adds nothing to the results.",
        table=Table(
            ["view, true difference", "SD, points", "surveys", "power", "surveys for 80%", "surveys for 90%"],
            rows,
        ),
    )


def _published() -> Section:
    rows = []
    for row in PUBLISHED:
        sign = "+" if "difference" in row.quantity else ""
        ends = "" if row.low is None else f"{row.low:+.3f} to {row.high:+.3f}"
        rows.append([f"{row.quantity}, {row.view}", f"{row.value:{sign}.3f}", ends])
    return Section(
        "Published results, for comparison",
        f"{SOURCE}. With other images, other participants and another classifier; accuracies in [0, 1], "
        "differences in [-1, 1].",
        facts=[(f"{row.quantity} {row.value:.3f}", row.note) for row in PUBLISHED if row.note],
        table=Table(["quantity, view", "value", "95% interval"], rows),
    )


_METHODS = Section(
    "Methods",
    facts=[
        (
            "answers",
            "A participant's first answer to a question counts. Sheets with 95% or less of the questions "
            "answered are left out. Unanswered questions count for neither side.",
        ),
        (
            "classifier",
            "The most probable of the survey's conditions. As far as is known, it was not trained on any of "
            "the images.",
        ),
        (
            "bootstrap",
            "Patients and participants are drawn with replacement, independently of each other (pigeonhole "
            "bootstrap, Owen 2007); its intervals tend to be too wide. An interval without width "
            "results from an accuracy of 0 or 1, which a few images do not prove.",
        ),
        (
            "t-test",
            "Two-sided, paired; one pair per survey: both accuracies over the survey's answers.",
        ),
        (
            "agreement",
            "McGraw & Wong 1996, F-based intervals; ICC(A,1) with Satterthwaite's degrees of freedom. With "
            "different numbers of sheets per survey the interval of ICC(1,1) is an approximation.",
        ),
    ],
)

"""Writes the report of a study: report.html, CSV, LaTeX, figures, and results.json for other programs."""

import json
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

from matplotlib.figure import Figure as Drawing

from morphoscope.apps.study.analysis import Analysis
from morphoscope.apps.study.cell import Store
from morphoscope.apps.study.leaks import Check
from morphoscope.apps.study.plan import StudyPlan
from morphoscope.apps.study.planning import RESULTS
from morphoscope.apps.study.report import figures, tables
from morphoscope.apps.study.report.answer import answer
from morphoscope.apps.study.report.checklist import checklist
from morphoscope.apps.study.report.choices import choice_sections, choices
from morphoscope.apps.study.report.generators import generator_sections
from morphoscope.apps.study.strata import FEW_PATIENTS
from morphoscope.apps.study.workflow.engine import Failure
from morphoscope.classify.certainty.strata import FEW
from morphoscope.cohort import Cohort
from morphoscope.cohort.spreadsheet import write_csv
from morphoscope.configs import first_names
from morphoscope.configs.study import REFERENCE
from morphoscope.runtime import write_text
from morphoscope.runtime.reporting import Figure, Section, Table, write_report
from morphoscope.runtime.reporting.plots import VECTOR, save, svg

REPORT = "report.html"

_METHODS = (
    "The primary measure is the balanced accuracy on patients whom neither the classifier nor the generator "
    "has seen. Every comparison is paired with 'real': same outer fold, same images, same classifier seed. "
    "Differences are averaged over folds; their variance is split into patients, generator seeds, "
    "classifier seeds, single trainings and training sets by the method of moments, and intervals are t "
    "intervals with Satterthwaite's degrees of freedom. p values are two-sided and adjusted by Holm's "
    "method for the number of planned comparisons. An arm is equivalent to 'real' if two one-sided tests "
    "place the difference within the smallest one that matters, adjusted likewise; a difference that is "
    "certain but lies within it counts as equivalent. Otherwise the question is open, which is not evidence "
    "of no difference. Recalls by condition, log loss and Brier score have intervals of the same kind "
    "without adjustment. McNemar's test, Wilson's intervals and calibration errors describe the classifiers "
    "with the first seeds."
)
_OVERLAP = (
    "Outer folds are not independent: {share}, and a patient who is tested in one fold may be trained on in "
    "the others. The variance between training sets is thus estimated from sets that are more alike than new "
    "samples of patients would be, and no unbiased estimate of it exists (Bengio and Grandvalet 2004). The "
    "intervals describe this procedure on patients like these; for a training set of other patients they are "
    "somewhat too short."
)
_CHECKLIST = "Filled in where the study knows the answer; items marked with a dash are open."


def write_study_report(
    run: Path,
    plan: StudyPlan,
    store: Store,
    cohort: Cohort,
    analysis: Analysis,
    checks: list[Check],
    failed: list[Failure],
    environment: dict[str, str],
) -> Path:
    """Write every file of the report into the study's folder; returns the page's path.

    The page shows generated images and aggregated values, but no image of the cohort.

    Args:
        environment: versions of what computed the results.

    Raises:
        UserError: a file cannot be written.
    """
    drawings = _drawings(plan, analysis)
    for name, drawing in drawings.items():
        save(drawing, run / "figures" / f"{name}.svg", VECTOR)
    write_csv(run / "comparisons.csv", tables.comparison_frame(analysis), "%.6g")
    chosen = choices(plan, store)
    if len(chosen):
        write_csv(run / "choices.csv", chosen, "%.6g")
    if analysis.strata:
        write_csv(run / "strata.csv", tables.stratum_frame(analysis.strata), "%.6g")
    write_text(run / "comparisons.tex", tables.latex(tables.comparison_table(analysis.comparisons)))
    write_text(run / RESULTS, json.dumps(_results(plan, analysis, failed), indent=1) + "\n")
    sections = [
        *_failed(failed),
        *_comparisons(plan, analysis, drawings),
        *_strata(analysis),
        *_arms(plan, analysis, drawings),
        *choice_sections(chosen),
        *_variances(plan, analysis),
        *_reverse(plan, store),
        *generator_sections(plan, store),
        Section("Checks against leaks", table=_checks(checks)),
        Section(
            "TRIPOD+AI and CLAIM", _CHECKLIST, facts=checklist(plan, cohort, checks, bool(analysis.strata))
        ),
        Section("How this was computed", f"{_METHODS} {_overlap(plan.study.folds)}"),
        Section("To repeat it", facts=_facts(plan, environment)),
    ]
    phantom = "Every image is a phantom: the values say nothing about patients. " if cohort.phantom else ""
    write_report(
        run / REPORT,
        title="Study: does augmentation help?",
        lead=answer(plan.study, analysis.comparisons),
        notice=f"{phantom}Images on this page are generated; no image of the cohort is shown. Nothing here "
        "is a diagnosis.",
        sections=sections,
        wide=True,
    )
    return run / REPORT


def _drawings(plan: StudyPlan, analysis: Analysis) -> dict[str, Drawing]:
    """{name of the file: figure}; none without a finished comparison."""
    if not analysis.comparisons:
        return {}
    largest = plan.study.shots[-1]
    here = [one for one in analysis.comparisons if one.shots == largest]
    found = {"differences": figures.draw_differences(analysis.comparisons)}
    if len(plan.study.shots) > 1:
        found["learning-curves"] = figures.draw_learning_curves(analysis.arms, plan.study.shots)
    if here:
        found["conditions"] = figures.draw_conditions(here)
    found["calibration"] = figures.draw_calibration([one for one in analysis.arms if one.shots == largest])
    return found


def _shown(drawings: dict[str, Drawing], name: str, caption: str) -> list[Figure]:
    return [Figure(svg(drawings[name]), caption)] if name in drawings else []


def _failed(failed: list[Failure]) -> list[Section]:
    if not failed:
        return []
    started = [one for one in failed if one.lines]
    code = "\n\n".join("\n".join([one.name, *one.lines]) for one in started)
    text = (
        f"{len(started)} cells failed, and {len(failed) - len(started)} were not started because they need "
        "those. Comparisons below leave out the outer folds that lack a cell. Run the study again to retry."
    )
    return [Section("Cells that failed", alarms=[text], code=code)]


def _comparisons(plan: StudyPlan, analysis: Analysis, drawings: dict[str, Drawing]) -> list[Section]:
    if not analysis.comparisons:
        return []
    margin = f"The band marks differences below {plan.study.margin:g}, the smallest that matters."
    incomplete = [one for one in analysis.comparisons if one.folds < plan.study.folds]
    alarms = [f"{len(incomplete)} comparisons lack outer folds whose cells failed."] if incomplete else []
    if plan.study.folds < 3 or any(one.folds < 3 for one in analysis.comparisons):
        alarms.append("With fewer than 3 outer folds, the variation between training sets is hardly known.")
    return [
        Section(
            "Against the real images alone",
            alarms=alarms,
            table=tables.comparison_table(analysis.comparisons),
            figures=[
                *_shown(drawings, "differences", f"Differences with 95% intervals, not adjusted. {margin}"),
                *_shown(
                    drawings,
                    "learning-curves",
                    "Balanced accuracy of each arm over the numbers of patients; bands are 95% intervals.",
                ),
            ],
        ),
        Section(
            "By condition",
            "For whom: differences of recall, with 95% intervals that are not adjusted for their number.",
            table=tables.recall_table(analysis, plan.study),
            figures=_shown(drawings, "conditions", margin),
        ),
    ]


def _strata(analysis: Analysis) -> list[Section]:
    """By age, sex and skin tone, if the manifest has them."""
    if not analysis.strata:
        return []
    text = (
        "Accuracy at the largest number of patients: of the classifiers with the first seeds, with Wilson's "
        f"intervals by patient; and its difference to '{REFERENCE}' over all folds and seeds. Intervals are "
        "not adjusted for their number: with many strata, some exclude 0 by chance. Differences between "
        "strata may come from their conditions and cameras as well as from the attribute."
    )
    small = [f"{one.attribute}: {one.value} ({one.patients} patients)" for one in analysis.strata if one.few]
    alarms = []
    if small:
        alarms.append(
            f"Nothing can be said about {first_names(small)}: fewer than {FEW_PATIENTS} patients or "
            f"{FEW} images."
        )
    return [
        Section("By age, sex and skin tone", text, alarms=alarms, table=tables.stratum_table(analysis.strata))
    ]


def _arms(plan: StudyPlan, analysis: Analysis, drawings: dict[str, Drawing]) -> list[Section]:
    caption = "Expected calibration error at the largest number of patients, with 95% intervals."
    figures_ = _shown(drawings, "calibration", caption)
    return [Section("Each arm by itself", table=tables.arm_table(analysis), figures=figures_)]


def _variances(plan: StudyPlan, analysis: Analysis) -> list[Section]:
    table = tables.variance_table(analysis, plan.study)
    if table is None:
        return []
    text = (
        "Standard deviations between units of each level, at the largest number of patients, averaged over "
        "the arms; and the standard error of a difference if there were more of one level."
    )
    facts = tables.component_facts(analysis)
    return [Section("What the uncertainty comes from", text, facts=facts, table=table)]


def _reverse(plan: StudyPlan, store: Store) -> list[Section]:
    """Classifiers of real images on synthetic ones."""
    rows: dict[str, list[float]] = {}
    for place in plan.places:
        if place.reverse is not None and store.is_finished(cell := plan.cells[place.reverse]):
            rows.setdefault(str(place.shots), []).append(store.values(cell)["balanced_accuracy"])
    if not rows:
        return []
    text = (
        "Balanced accuracy of the classifiers of 'real' on images of the first generator, whose label "
        "counts as the truth. Near 1, the images show what the classifier looks for; low values mean that "
        "conditions are confused or not drawn. The opposite direction is an arm that trains on synthetic "
        "images only."
    )
    columns = ["patients per condition", "classifiers", "mean", "least", "most"]
    cells = [
        [shots, str(len(found)), *(f"{value:.3f}" for value in (fmean(found), min(found), max(found)))]
        for shots, found in rows.items()
    ]
    return [Section("Trained on real, tested on synthetic images", text, table=Table(columns, cells))]


def _overlap(folds: int) -> str:
    """What the overlap of training sets means for the intervals."""
    share = (folds - 2) / (folds - 1)
    shared = f"the training sets of two of {folds} folds share up to {share:.0%} of their patients"
    return _OVERLAP.format(share=shared if folds > 2 else "the training set of one is the test of the other")


def _checks(checks: list[Check]) -> Table:
    rows = [[one.what, str(one.counted)] for one in checks]
    return Table(["check, passed before anything was trained", "looked at"], rows)


def _facts(plan: StudyPlan, environment: dict[str, str]) -> list[tuple[str, str]]:
    study = plan.study.model_dump(mode="json")
    return [
        ("cohort", plan.cohort_digest),
        ("cells", f"{len(plan.cells)}, each named by a digest of all that determines it: plan.json"),
        *((name, str(value)) for name, value in study.items() if name not in ("arms", "cohort")),
        *((f"arm {name}", _arm(value)) for name, value in study["arms"].items()),
        *environment.items(),
    ]


def _arm(settings: dict[str, Any]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in settings.items() if value is not None)


def _results(plan: StudyPlan, analysis: Analysis, failed: list[Failure]) -> dict[str, Any]:
    pilot = None
    if analysis.components is not None:
        pilot = {"components": asdict(analysis.components), "images": analysis.images}
    return {
        "answer": answer(plan.study, analysis.comparisons),
        "comparisons": [{**asdict(one), "verdict": one.verdict} for one in analysis.comparisons],
        "arms": [asdict(one) for one in analysis.arms],
        "strata": [asdict(one) for one in analysis.strata],
        "pilot": pilot,
        "failed": [one.name for one in failed],
    }

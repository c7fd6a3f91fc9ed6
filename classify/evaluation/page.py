"""The page of an evaluation: figures, tables with intervals, and what to read into them."""

from collections.abc import Mapping
from pathlib import Path

from morphoscope.classify.certainty.calibration import ACCEPTED
from morphoscope.classify.certainty.strata import FEW
from morphoscope.classify.evaluation.held_out_page import held_out_section
from morphoscope.classify.evaluation.results import Evaluation
from morphoscope.classify.held_out import alarm_limits
from morphoscope.cohort.conditions import Description, long_name
from morphoscope.configs import arguments
from morphoscope.configs.user_files import require_regular
from morphoscope.runtime.reporting import Figure, Section, Table, write_report
from morphoscope.runtime.statistics import Estimate, format_estimate

_ROWS = {
    "test": "the test fold, predicted by the whole ensemble",
    "out_of_fold": "those of the training folds, each predicted by the model that was not trained on it",
    "all": "every image of a cohort that no model has seen, predicted by the whole ensemble",
}
_CONFUSION = (
    "Recall is the proportion of a condition's images that are recognised. Balanced accuracy is its mean "
    "over the conditions, so that a rare one counts as much as a frequent one. All intervals count "
    "patients rather than images: several images of one patient are less evidence than images of several."
    " Where an interval is wide, there are too few patients to say more. In the matrix, look for pairs of"
    " conditions that are confused with each other, and for a condition that is named for many others."
)
_CALIBRATION = (
    "Of images predicted with a probability of 0.8, 80% should be predicted correctly. Points below the "
    "diagonal are overconfident. Even a perfectly calibrated model shows an error by chance with this "
    "number of images: only an error above that limit is evidence of miscalibration. A probability also "
    "assumes how frequent the conditions are. Where they are rarer or more frequent, it is another one: "
    "the option --prevalence computes it."
)
_SETS = (
    "A prediction set lists the conditions that cannot be ruled out. The table begins with the condition "
    "that is covered worst. Theory guarantees less than the stated coverage where calibration images are "
    "few: compare the measured coverage with both. Sets of one condition are useful only if they are also"
    " covered."
)
_NOVELTY = (
    "The alarm finds other kinds of image, such as healthy skin or another camera. No alarm does not mean "
    "that the true condition is among those listed."
)
_STRATA = (
    f"With 95% intervals. Strata of fewer than {FEW} images say nothing and are marked. Differences between "
    "strata may come from their conditions and cameras as well as from the attribute. With many strata, one "
    "that stands out by chance is to be expected."
)


def write_evaluation_page(
    evaluation: Evaluation, folder: Path, descriptions: Mapping[str, Description]
) -> Path:
    """Write report.html beside the files of `Evaluation.write`, whose figures it contains.

    Args:
        folder: where `Evaluation.write` has written.
        descriptions: what the names of the conditions stand for, as far as it is known.

    Returns:
        The page's path.

    Raises:
        UserError: an argument of another type, no figures in the folder, or the file cannot be written.
    """
    arguments.instance("evaluation", evaluation, Evaluation, "an Evaluation, from `evaluate`")
    arguments.instance("descriptions", descriptions, Mapping, "a mapping, as in Ensemble.descriptions")
    folder = arguments.path("folder", folder, "the folder that Evaluation.write has written into")
    for figure in ("confusion.svg", "reliability.svg"):
        require_regular(folder / figure)
    facts = evaluation.facts
    names = {name: long_name(name, descriptions) for name in evaluation.conditions}
    patients = len(set(evaluation.groups))
    phantom = (
        "This ensemble was trained on phantoms: it says nothing about patients. " if facts.phantom else ""
    )
    write_report(
        folder / "report.html",
        title="Evaluation of an ensemble",
        lead=f"Balanced accuracy {_named(evaluation.balanced_accuracy)} on {len(evaluation.truth)} "
        f"{facts.samples} of {patients} patients.",
        notice=f"{phantom}For research and teaching. Nothing here is a diagnosis.",
        sections=[
            _subject(evaluation, patients),
            _accuracy(evaluation, folder, names),
            _calibration(evaluation, folder, names),
            *_sets(evaluation, names),
            *_novelty(evaluation),
            *_held_out(evaluation, descriptions),
            *_strata(evaluation),
            Section(
                "Files beside this page",
                "metrics.json has every value on this page, probabilities.csv every image's prediction. "
                "The figures are there as PNG, SVG and PDF, and their values as CSV.",
            ),
        ],
    )
    return folder / "report.html"


def _named(estimate: Estimate) -> str:
    return format_estimate(estimate, named=True)


def _subject(evaluation: Evaluation, patients: int) -> Section:
    facts, prior = evaluation.facts, evaluation.prediction.prior
    alarms = []
    if evaluation.missing:
        alarms.append(f"No image of {', '.join(evaluation.missing)}: nothing here says anything about this.")
    if facts.epoch_chosen_on_these_images:
        alarms.append("Each model's best epoch was chosen on these same images: the metrics are optimistic.")
    if facts.leak_note:
        alarms.append(facts.leak_note)
    if facts.calibration_note:
        alarms.append(facts.calibration_note)
    elif facts.calibration is None:
        alarms.append("The ensemble is not calibrated: it has no prediction sets and no alarms.")
    views = [] if facts.view is None else [("view", facts.view)]
    return Section(
        "What was evaluated",
        alarms=alarms,
        facts=[
            ("cohort", f"{facts.cohort} (digest {facts.cohort_digest})"),
            ("images", _ROWS[facts.rows]),
            ("number", f"{len(evaluation.truth)} {facts.samples} of {patients} patients"),
            *views,
            ("models", f"{len(facts.folds)}, of the folds {', '.join(facts.folds)}"),
            ("orientations of each image", str(facts.test_time)),
            ("the probabilities assume", "unknown frequencies" if prior is None else prior.name),
        ],
    )


def _accuracy(evaluation: Evaluation, folder: Path, names: Mapping[str, str]) -> Section:
    totals = dict(zip(evaluation.conditions, evaluation.confusion.sum(axis=1), strict=True))
    return Section(
        "How often the answer is correct",
        _CONFUSION,
        facts=[
            ("balanced accuracy", _named(evaluation.balanced_accuracy)),
            ("accuracy", _named(evaluation.accuracy)),
            *((f"top-{k} accuracy", _named(found)) for k, found in evaluation.top_k.items() if k > 1),
        ],
        table=Table(
            ["condition", "images", "recall (95% interval)"],
            [
                [names[name], str(totals[name]), format_estimate(recall)]
                for name, recall in evaluation.recall.items()
            ],
        ),
        figures=[
            Figure(folder / "confusion.svg", "Confusion matrix: rows are true, columns predicted conditions.")
        ],
    )


def _calibration(evaluation: Evaluation, folder: Path, names: Mapping[str, str]) -> Section:
    error, change = evaluation.calibration_error, evaluation.change_by_temperature
    facts = [
        ("calibration error", _named(error.estimate)),
        ("by chance alone up to", f"{error.chance_limit:.3f}"),
    ]
    if change is not None:
        facts.append(("change by the calibration", _named(change)))
    rows = [
        [names[one.condition], str(one.named), f"{one.mean_probability:.3f}", format_estimate(one.correct)]
        for one in evaluation.class_calibration
        if one.correct is not None
    ]
    return Section(
        "Whether the probabilities can be trusted",
        _CALIBRATION,
        facts=facts,
        table=Table(["condition", "named", "mean probability", "correct (95% interval)"], rows),
        figures=[Figure(folder / "reliability.svg", "Reliability diagram, with intervals by patient.")],
    )


def _sets(evaluation: Evaluation, names: Mapping[str, str]) -> list[Section]:
    sets, promised = evaluation.coverage, evaluation.facts.guarantees or {}
    if sets is None:
        return []
    worst_first = sorted(sets.by_condition.items(), key=lambda pair: pair[1].coverage.value)
    rows = [
        [
            names[name],
            format_estimate(found.coverage),
            f"{promised[name]:.2f}" if name in promised else "–",
            f"{found.mean_size:.1f}",
        ]
        for name, found in worst_first
    ]
    return [
        Section(
            "Prediction sets",
            _SETS,
            facts=[
                ("stated coverage", f"{evaluation.prediction.coverage:.0%}"),
                ("measured", _named(sets.overall.coverage)),
                ("mean number of conditions", f"{sets.overall.mean_size:.2f}"),
                ("sets of a single condition", f"{sets.single:.0%}"),
            ],
            table=Table(["condition", "covered (95% interval)", "guaranteed", "conditions per set"], rows),
        )
    ]


def _novelty(evaluation: Evaluation) -> list[Section]:
    found = evaluation.novelty
    if found is None:
        return []
    intended = f"images of this cohort with an alarm ({1 - ACCEPTED:.0%} intended)"
    facts = [(intended, _named(found.false_alarms))]
    if found.unlike is not None:
        facts += [
            (f"detected, of {found.unlike.images} images of another kind", _named(found.unlike.detected)),
            ("area under the ROC curve", _named(found.unlike.auroc)),
        ]
    return [
        Section(
            "Another kind of image", f"{_NOVELTY} {alarm_limits(evaluation.prediction.held_out)}", facts=facts
        )
    ]


def _held_out(evaluation: Evaluation, descriptions: Mapping[str, Description]) -> list[Section]:
    held_out = evaluation.prediction.held_out
    return [held_out_section(held_out, descriptions)] if held_out else []


def _strata(evaluation: Evaluation) -> list[Section]:
    rows = [
        [
            f"{one.attribute}: {one.value}{f' (fewer than {FEW} images)' if one.few else ''}",
            str(one.images),
            str(one.groups),
            format_estimate(one.accuracy),
            format_estimate(one.balanced_accuracy),
        ]
        for one in evaluation.strata
    ]
    columns = ["stratum", "images", "patients", "accuracy", "balanced accuracy"]
    return [Section("Subgroups", _STRATA, table=Table(columns, rows))] if rows else []

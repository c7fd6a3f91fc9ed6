"""An ensemble's output in the terminal: the metrics of an evaluation, a table of predictions."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich.table import Table

from morphoscope.apps.verdict import assumption
from morphoscope.classify import Attribution, Ensemble, Estimate, Evaluation, Prediction
from morphoscope.classify.certainty.calibration import ACCEPTED
from morphoscope.classify.certainty.prior import COHORT
from morphoscope.classify.certainty.strata import FEW
from morphoscope.classify.held_out import alarm_limits
from morphoscope.classify.training.cross_validation import over_splits
from morphoscope.configs import UserError
from morphoscope.configs.commands import Explaining
from morphoscope.runtime.statistics import format_estimate
from morphoscope.runtime.terminal import say, show, table

NOT_CALIBRATED = (
    "This ensemble is not calibrated: it has no prediction sets, and no alarm for another kind of image. "
    "Calibrate it with `morphoscope classify calibrate` and the cohort that it was trained on, for the "
    "--test-time that you use."
)
ONLY_PHANTOMS = "This classifier was trained on phantoms (drawings of skin). It says nothing about patients."
_named = partial(format_estimate, named=True)


def ensemble_names(files: Sequence[Path]) -> list[str]:
    """A short name for each of several ensembles, all different: file, run folder, or whole path.

    Raises:
        UserError: a file was given twice.
    """
    candidates = (
        [file.stem for file in files],
        [file.resolve().parent.name for file in files],
        [str(file) for file in files],
    )
    if len({file.resolve() for file in files}) < len(files):
        raise UserError("An ensemble was given twice; a comparison needs different ones.")
    return next(names for names in candidates if len(set(names)) == len(names))


def print_evaluation(evaluation: Evaluation) -> None:
    """Print the metrics with their intervals."""
    evaluated = f"{len(evaluation.truth)} {evaluation.facts.samples}"
    if evaluation.facts.rows == "out_of_fold":
        say("Each image is predicted by the one model that was not trained on it, not by the whole ensemble.")
    if evaluation.missing:
        say(f"No image of {', '.join(evaluation.missing)}: nothing below says anything about this.")
    say(f"balanced accuracy {_named(evaluation.balanced_accuracy)}, {evaluated}")
    say(f"accuracy {_named(evaluation.accuracy)}")
    _print_rules(evaluation)
    for k, proportion in evaluation.top_k.items():
        if k > 1:
            say(f"top-{k} accuracy {_named(proportion)}")
    columns = ["condition", "recall", "95% interval"]
    sets = evaluation.coverage
    if sets is not None:
        columns += ["covered", "95% interval", "guaranteed", "set size"]
    guarantees = evaluation.facts.guarantees or {}
    recalls = list(evaluation.recall.items())
    if sets is not None:  # worst covered first
        recalls.sort(key=lambda pair: sets.by_condition[pair[0]].coverage.value)
    rows = []
    for condition, recall in recalls:
        cells = [condition, *estimate_cells(recall)]
        if sets is not None:
            own = sets.by_condition[condition]
            promised = guarantees.get(condition)
            cells += [*estimate_cells(own.coverage), "–" if promised is None else f"{promised:.2f}"]
            cells.append(f"{own.mean_size:.1f}")
        rows.append(cells)
    show(table(columns, rows))
    _print_certainty(evaluation)
    _print_priors(evaluation)
    _print_strata(evaluation)
    if evaluation.facts.leak_note:
        say(f"Warning: {evaluation.facts.leak_note}")


def print_repeats(evaluations: Sequence[Evaluation]) -> None:
    """Print the evaluation of the first split, the balanced accuracy of each, and what all have in common."""
    first = evaluations[0]
    if first.facts.rows == "nested":
        say(str(first.facts.calibration_note))
    say("Metrics of the first split:")
    print_evaluation(first)
    if len(evaluations) == 1:
        return
    for number, evaluation in enumerate(evaluations[1:], start=2):
        say(f"balanced accuracy with split {number}: {_named(evaluation.balanced_accuracy)}")
    for name, found in over_splits(evaluations).items():
        say(
            f"{name.replace('_', ' ')} over {len(evaluations)} splits: {_named(found.mean)}, standard "
            f"deviation between splits {found.spread:.3f}"
        )
    say(
        "The intervals are by patient: other patients like these may give other values. The standard "
        "deviation says only how far the values depend on which patients share a fold."
    )


def _print_rules(evaluation: Evaluation) -> None:
    """Accuracies by both rules, if they can differ."""
    if not evaluation.facts.auxiliary and evaluation.facts.rule == "targets":
        return
    for name, rule in evaluation.rules.items():
        outside = f"; an auxiliary class in {rule.auxiliary:.0%}" if rule.auxiliary else ""
        say(
            f"{name}: balanced accuracy {format_estimate(rule.balanced_accuracy)}, accuracy "
            f"{format_estimate(rule.accuracy)}{outside}"
        )


def _print_priors(evaluation: Evaluation) -> None:
    """What the probabilities assume, and how good they are for that and for the training cohort."""
    say(assumption(evaluation.prediction))
    there = evaluation.at_cohort_prevalence
    if there is not None and there.prediction.prior != evaluation.prediction.prior:
        say(
            f"For {COHORT}: accuracy {format_estimate(there.accuracy)}, balanced accuracy "
            f"{format_estimate(there.balanced_accuracy)}, calibration error "
            f"{there.calibration_error.value:.3f} (--prevalence cohort)"
        )
    shown = evaluation if there is None else there
    rows = [
        (one.condition, str(one.named), f"{one.mean_probability:.3f}", *estimate_cells(one.correct))
        for one in shown.class_calibration
        if one.correct is not None
    ]
    prior = shown.prediction.prior
    say(f"Calibration by condition{'' if prior is None else f', for {prior.name}'}:")
    show(table(["condition", "named", "mean probability", "correct", "95% interval"], rows))


def prediction_table(names: Sequence[str], prediction: Prediction) -> Table:
    """One row per image: probabilities, the prediction set, and reasons to distrust the prediction."""
    calibrated = prediction.prediction_sets is not None
    possible = [f"possible ({prediction.coverage:.0%})"] if calibrated else []
    auxiliary_first = prediction.auxiliary_first
    rows = []
    for index, name in enumerate(names):
        doubts = ["unsure"] if prediction.unsure[index] else []
        if prediction.novel is not None and prediction.novel[index]:
            doubts.append("another kind of image than the training images")
        if auxiliary_first[index] is not None:
            doubts.append(f"rather {auxiliary_first[index]}")
        if prediction.votes[index] < prediction.models:
            doubts.append(f"{prediction.votes[index]} of {prediction.models} models agree")
        cells = [f"{p:.3f}" for p in prediction.combined[index]]
        if calibrated:
            cells.append(", ".join(prediction.possible(index) or []))
        rows.append((name, *cells, "; ".join(doubts)))
    return table(["image", *prediction.conditions, *possible, ""], rows)


def print_attribution(found: Attribution, named: str, settings: Explaining) -> None:
    """Print how far the models agree on a map of the condition `named`, what it sums to, and a warning."""
    say(f"Evidence for {named} by {settings.method}.")
    if found.agreement is not None:
        say(f"Mean rank correlation between the folds' maps: {found.agreement:.2f}.")
    if found.difference is not None:
        say(
            f"The map sums to {found.difference:+.3f} of probability (baseline {settings.baseline}); "
            f"convergence delta up to {found.convergence_delta:+.4f}."
        )
    if found.warning:
        say(f"Warning: {found.warning} (--steps {2 * settings.steps})")


def print_descriptions(model: Ensemble) -> None:
    """A line per condition that is described: "NF1: neurofibromatosis type 1 (OMIM 162200)"."""
    for name, found in model.descriptions.items():
        code = f" ({found.code})" if found.code else ""
        say(f"{name}: {found.full_name}{code}")


def _print_certainty(evaluation: Evaluation) -> None:
    before, sets, novelty = evaluation.error_without_temperature, evaluation.coverage, evaluation.novelty
    error, change = evaluation.calibration_error, evaluation.change_by_temperature
    say(
        f"calibration error {_named(error.estimate)}; a perfectly calibrated model would show up to "
        f"{error.chance_limit:.3f} by chance"
    )
    if before is not None and change is not None:
        say(
            f"without temperature {_named(before.estimate)}, by chance up to {before.chance_limit:.3f}; "
            f"temperature changes the error by {_named(change)}"
        )
    if sets is None or novelty is None:
        say(evaluation.facts.calibration_note or NOT_CALIBRATED)
        return
    overall = sets.overall
    say(
        f"prediction sets for {evaluation.prediction.coverage:.0%} coverage contain the true condition in "
        f"{_named(overall.coverage)}; {overall.mean_size:.2f} conditions on average, a single one in "
        f"{sets.single:.0%}"
    )
    say(
        f"images of this cohort that are called another kind of image: {_named(novelty.false_alarms)}, "
        f"{1 - ACCEPTED:.0%} intended"
    )
    say(alarm_limits(evaluation.prediction.held_out))
    unlike = novelty.unlike
    if unlike is not None:
        say(
            f"of {unlike.images} images of another kind: detected {_named(unlike.detected)}; "
            f"area under the ROC curve {_named(unlike.auroc)}"
        )


def _print_strata(evaluation: Evaluation) -> None:
    if not evaluation.strata:
        return
    rows = [
        (
            stratum.attribute,
            stratum.value,
            str(stratum.images),
            format_estimate(stratum.accuracy),
            format_estimate(stratum.balanced_accuracy),
            f"fewer than {FEW} images: uninformative" if stratum.few else "",
        )
        for stratum in evaluation.strata
    ]
    show(table(["", "", "images", "accuracy (95% interval)", "balanced accuracy (95% interval)", ""], rows))


def estimate_cells(estimate: Estimate) -> list[str]:
    """The cells of a table for a value and its interval."""
    return [f"{estimate.value:.3f}", f"{estimate.low:.3f} to {estimate.high:.3f}"]

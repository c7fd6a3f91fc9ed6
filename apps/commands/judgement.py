"""What an ensemble said, as text in the terminal: figures of an evaluation, a table of predictions."""

from collections.abc import Sequence
from functools import partial

from rich.console import Console
from rich.table import Table

from morphoscope.classify import Estimate, Evaluation, Prediction
from morphoscope.classify.certainty.strata import FEW
from morphoscope.runtime.statistics import format_estimate

NOT_CALIBRATED = (
    "This ensemble is not calibrated: no prediction sets, and nothing is called unlike its training. "
    "`morphoscope classify calibrate` does it, with the cohort that it was trained on, for as many test-time "
    "views as it is asked for."
)
_named = partial(format_estimate, named=True)


def print_evaluation(console: Console, evaluation: Evaluation) -> None:
    """The figures, with their intervals."""
    judged = f"{len(evaluation.truth)} {evaluation.facts.get('judged', 'images')}"
    _line(console, f"balanced accuracy {_named(evaluation.balanced_accuracy)}, {judged}")
    _line(console, f"accuracy {_named(evaluation.accuracy)}")
    for k, share in evaluation.top_k.items():
        if k > 1:
            _line(console, f"true condition among the {k} most probable {_named(share)}")
    columns = ["condition", "recall", "95% interval"]
    sets = evaluation.coverage
    if sets is not None:
        columns += ["covered", "95% interval", "set size"]
    table = Table(*columns)
    for condition, recall in evaluation.recall.items():
        cells = [condition, *_cells(recall)]
        if sets is not None:
            own = sets["by_condition"][condition]
            cells += [*_cells(Estimate(**own["coverage"])), f"{own['mean_size']:.1f}"]
        table.add_row(*cells)
    console.print(table)
    _print_certainty(console, evaluation)
    _print_strata(console, evaluation)


def prediction_table(names: Sequence[str], prediction: Prediction) -> Table:
    """One row an image: probabilities, the conditions that remain possible, and what casts doubt on it."""
    calibrated = prediction.prediction_sets is not None
    possible = [f"possible ({prediction.coverage:.0%})"] if calibrated else []
    table = Table("image", *prediction.conditions, *possible, "")
    for index, name in enumerate(names):
        doubts = ["unsure"] if prediction.unsure[index] else []
        if prediction.novel is not None and prediction.novel[index]:
            doubts.append("unlike anything it was trained on")
        other = prediction.rather(index)
        if other is not None:
            doubts.append(f"rather {other}")
        agreeing = round(prediction.agreement[index] * len(prediction.per_fold))
        if agreeing < len(prediction.per_fold):
            doubts.append(f"{agreeing} of {len(prediction.per_fold)} models agree")
        cells = [f"{p:.3f}" for p in prediction.combined[index]]
        if calibrated:
            cells.append(", ".join(prediction.possible(index) or []))
        table.add_row(name, *cells, "; ".join(doubts))
    return table


def _print_certainty(console: Console, evaluation: Evaluation) -> None:
    before, sets, novelty = evaluation.error_without_temperature, evaluation.coverage, evaluation.novelty
    without = "" if before is None else f"; without temperature {_named(before)}"
    _line(console, f"calibration error {_named(evaluation.calibration_error)}{without}")
    if sets is None or novelty is None:
        _line(console, evaluation.facts.get("calibration_note") or NOT_CALIBRATED)
        return
    covered = _named(Estimate(**sets["coverage"]))
    _line(
        console,
        f"prediction sets, meant to hold the true condition in {evaluation.prediction.coverage:.0%}, do so "
        f"in {covered}; {sets['mean_size']:.2f} conditions on average, one only in {sets['single']:.0%}",
    )
    _line(console, f"called unlike the training {_named(Estimate(**novelty['false_alarms']))}")
    if "unlike" in novelty:
        unlike = {name: _named(Estimate(**novelty["unlike"][name])) for name in ("auroc", "detected")}
        _line(
            console,
            f"of {novelty['unlike']['images']} pictures that are: found {unlike['detected']}; area under the "
            f"ROC curve {unlike['auroc']}",
        )


def _print_strata(console: Console, evaluation: Evaluation) -> None:
    if not evaluation.strata:
        return
    table = Table("", "", "images", "accuracy (95% interval)", "balanced accuracy (95% interval)", "")
    for stratum in evaluation.strata:
        table.add_row(
            stratum.attribute,
            stratum.value,
            str(stratum.images),
            format_estimate(stratum.accuracy),
            format_estimate(stratum.balanced_accuracy),
            f"fewer than {FEW} images: says little" if stratum.few else "",
        )
    console.print(table)


def _line(console: Console, text: str) -> None:
    console.print(text, highlight=False)


def _cells(estimate: Estimate) -> list[str]:
    return [f"{estimate.value:.3f}", f"{estimate.low:.3f} to {estimate.high:.3f}"]

"""The report of a comparison: one HTML page with figures, and its tables as CSV and JSON."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from morphoscope.classify.certainty.prior import Prior
from morphoscope.classify.ensemble_comparison.comparison import EnsembleComparison, PairComparison
from morphoscope.classify.ensemble_comparison.figures import draw_differences, draw_disagreements
from morphoscope.cohort import Cohort
from morphoscope.cohort.spreadsheet import write_csv
from morphoscope.runtime import write_text
from morphoscope.runtime.paired_statistics import Difference
from morphoscope.runtime.reporting import Figure, Section, Table, write_report
from morphoscope.runtime.statistics import Estimate, format_estimate, format_p

_SHOWN = 18  # images on which the ensembles disagree
_SIDE = 160  # pixels of each

_METHODS = (
    "All ensembles predict the same images, and none of them has seen these images. Differences are paired. "
    "Their 95% intervals come from a bootstrap that draws whole patients within every condition, widened so "
    "that they keep a width where the ensembles agree on every image. p values come from exchanging the two "
    "ensembles within whole patients; with one image per patient this is McNemar's exact test. They are "
    "adjusted by Holm's method: those of balanced accuracy for the number of pairs, those of recall for the "
    "number of conditions and pairs. Differences of areas under the ROC curve have DeLong's interval, by "
    "patient. An ensemble is called better only if the interval of the balanced accuracy excludes 0 and its "
    "adjusted p value is below 0.05. Ensembles count as equivalent if the whole interval lies within the "
    "margin. The intervals contain the chance of which patients were tested. They do not contain the chance "
    "of training: train each kind with several seeds to see it."
)


def write_comparison(comparison: EnsembleComparison, cohort: Cohort, folder: Path) -> Path:
    """Write report.html, differences.csv, predictions.csv and comparison.json into `folder`.

    Args:
        cohort: that of the comparison; its images are shown in the report.

    Returns:
        The report's path.

    Raises:
        UserError: a file cannot be written.
    """
    folder = Path(folder)
    write_csv(folder / "differences.csv", difference_table(comparison), "%.6g")
    write_csv(folder / "predictions.csv", _prediction_table(comparison), "%.6g")
    write_text(
        folder / "comparison.json", json.dumps(_as_json(comparison), indent=2, ensure_ascii=False) + "\n"
    )
    first = next(iter(comparison.evaluations.values()))
    patients = len(set(first.groups))
    write_report(
        folder / "report.html",
        title="Comparison of ensembles",
        lead=" ".join(pair.sentence for pair in comparison.pairs[:1]),
        notice=_notice(comparison),
        sections=[
            Section(
                "What was compared",
                facts=[
                    ("ensembles", ", ".join(comparison.evaluations)),
                    ("cohort", f"{first.facts.cohort} ({first.facts.rows})"),
                    (first.facts.samples, f"{len(first.truth)} of {patients} patients"),
                    ("probabilities assume", _prior(comparison).name),
                    ("margin of equivalence", f"{comparison.pairs[0].margin:g}"),
                ],
            ),
            _ensembles(comparison),
            *(_pair(pair) for pair in comparison.pairs),
            *_disagreements(comparison, cohort),
            Section("How this was computed", _METHODS),
        ],
        wide=True,
    )
    return folder / "report.html"


def difference_table(comparison: EnsembleComparison) -> pd.DataFrame:
    """One row per pair and measure, and per condition: value, 95% interval, p value, adjusted p value.

    Columns first, second, measure, condition, difference, low, high, p, adjusted_p; NaN where there is none.
    """
    rows: list[dict[str, Any]] = []
    for pair in comparison.pairs:
        names = {"first": pair.first, "second": pair.second}
        for measure in ("balanced_accuracy", "accuracy", "log_likelihood"):
            found: Difference = getattr(pair, measure)
            adjusted = pair.adjusted_p if measure == "balanced_accuracy" else np.nan
            rows.append(
                {**names, "measure": measure, "condition": "", **_cells(found), "adjusted_p": adjusted}
            )
        for one in pair.conditions:
            here = {**names, "condition": one.condition}
            rows.append({**here, "measure": "recall", **_cells(one.recall), "adjusted_p": one.adjusted_p})
            if one.auroc is not None:
                rows.append({**here, "measure": "auroc", **_ends(one.auroc)})
    return pd.DataFrame(rows)


def _cells(found: Difference) -> dict[str, float]:
    return {**_ends(found.estimate), "p": found.p}


def _ends(estimate: Estimate) -> dict[str, float]:
    return {"difference": estimate.value, "low": estimate.low, "high": estimate.high}


def _prediction_table(comparison: EnsembleComparison) -> pd.DataFrame:
    """One row per image: file, patient, condition, and each ensemble's prediction and its probability."""
    first = next(iter(comparison.evaluations.values()))
    table = pd.DataFrame(
        {
            "file": first.files,
            "group": first.groups,
            "condition": [first.conditions[k] for k in first.truth],
        }
    )
    for name, found in comparison.evaluations.items():
        predicted = found.prediction.predicted
        table[f"{name}: predicted"] = [found.conditions[k] for k in predicted]
        table[f"{name}: probability"] = found.prediction.combined[np.arange(len(predicted)), predicted]
    return table


def _as_json(comparison: EnsembleComparison) -> dict[str, Any]:
    pairs = [
        {**asdict(pair), "equivalent": pair.equivalent, "better": pair.better, "sentence": pair.sentence}
        for pair in comparison.pairs
    ]
    ensembles = {
        name: {
            "balanced_accuracy": found.balanced_accuracy._asdict(),
            "accuracy": found.accuracy._asdict(),
            "folds": found.facts.folds,
        }
        for name, found in comparison.evaluations.items()
    }
    first = next(iter(comparison.evaluations.values()))
    facts = {
        "cohort": first.facts.cohort,
        "cohort_digest": first.facts.cohort_digest,
        "rows": first.facts.rows,
        "prior": _prior(comparison).as_json(first.conditions),
    }
    return {**facts, "images": len(first.truth), "ensembles": ensembles, "pairs": pairs}


def _prior(comparison: EnsembleComparison) -> Prior:
    """The frequencies of the conditions that all probabilities assume."""
    prior = next(iter(comparison.evaluations.values())).prediction.prior
    assert prior is not None  # `compare_ensembles` refuses unknown ones
    return prior


def _notice(comparison: EnsembleComparison) -> str:
    phantom = any(found.facts.phantom for found in comparison.evaluations.values())
    about = "An ensemble here was trained on phantoms, which say nothing about patients. " if phantom else ""
    return (
        f"{about}This page contains images of the cohort: keep and share it as you would the cohort itself. "
        "Nothing here is a diagnosis."
    )


def _ensembles(comparison: EnsembleComparison) -> Section:
    rows = [
        [
            name,
            format_estimate(found.balanced_accuracy),
            format_estimate(found.accuracy),
            str(len(found.facts.folds)),
        ]
        for name, found in comparison.evaluations.items()
    ]
    return Section(
        "Each ensemble",
        "With 95% intervals. Two intervals that overlap do not mean that there is no difference: see the "
        "paired differences below.",
        table=Table(["ensemble", "balanced accuracy", "accuracy", "models"], rows),
    )


def _pair(pair: PairComparison) -> Section:
    measures = [
        ("balanced accuracy", pair.balanced_accuracy, format_p(pair.adjusted_p)),
        ("accuracy", pair.accuracy, "–"),
        ("mean log probability of the true condition (nats)", pair.log_likelihood, "–"),
    ]
    rows = [
        [name, format_estimate(found.estimate), format_p(found.p), adjusted]
        for name, found, adjusted in measures
    ]
    rows += [
        [
            f"recall of {one.condition}",
            format_estimate(one.recall.estimate),
            format_p(one.recall.p),
            format_p(one.adjusted_p),
        ]
        for one in pair.conditions
    ]
    rows += [
        [f"area under the ROC curve, {one.condition}", format_estimate(one.auroc), "–", "–"]
        for one in pair.conditions
        if one.auroc is not None
    ]
    caption = (
        f"Dots are differences, lines their 95% intervals, the band is the margin of ±{pair.margin:g}. "
        f"To the right of 0, {pair.second} is better."
    )
    return Section(
        f"{pair.second} against {pair.first}",
        f"{pair.sentence} Only {pair.second} predicts {pair.only_second} images correctly, only {pair.first} "
        f"{pair.only_first}.",
        table=Table([f"{pair.second} − {pair.first}", "difference (95% interval)", "p", "adjusted p"], rows),
        figures=[Figure(draw_differences(pair), caption)],
    )


def _disagreements(comparison: EnsembleComparison, cohort: Cohort) -> list[Section]:
    first = next(iter(comparison.evaluations.values()))
    numbers = comparison.disagreements
    if not len(numbers):
        return [Section("Images", "All ensembles predict the same condition for every image.")]
    place = {file: row for row, file in enumerate(cohort.rows["file"])}
    # Evenly over the images, which stand in the manifest's order, usually by condition.
    chosen = numbers[np.unique(np.linspace(0, len(numbers) - 1, _SHOWN).round().astype(int))]
    shown = cohort.select(np.array([place[first.files[number]] for number in chosen]))
    what = f"{len(numbers)} of {len(first.truth)} {first.facts.samples} get different predictions"
    of_pairs = " Of pairs the focused image is shown." if first.partners is not None else ""
    return [
        Section(
            "Where they disagree",
            f"{what}; {len(chosen)} of them are shown.{of_pairs}",
            figures=[
                Figure(
                    draw_disagreements(comparison, chosen.tolist(), list(shown.images(_SIDE))),
                    "Below each image the true condition, then each ensemble's prediction with its "
                    "probability.",
                )
            ],
        )
    ]

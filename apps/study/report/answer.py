"""The answer of a study in two sentences, computed from its intervals."""

from collections.abc import Sequence

from morphoscope.apps.study.analysis import Comparison
from morphoscope.configs import first_names
from morphoscope.configs.study import REFERENCE, Study
from morphoscope.runtime.statistics import format_estimate


def answer(study: Study, comparisons: Sequence[Comparison]) -> str:
    """What helped at the largest number of shots, by how much, and how certain that is."""
    largest = study.shots[-1]
    here = [one for one in comparisons if one.shots == largest]
    if not here:
        return "No comparison has finished: see the failed cells below."
    patients = "all patients" if largest == "all" else f"{largest} patients per condition"
    return f"{_first(here, patients)} {_second(here, study.margin)}"


def _first(here: Sequence[Comparison], patients: str) -> str:
    best = max(here, key=lambda one: one.balanced_accuracy.estimate.value)
    change = format_estimate(best.balanced_accuracy.estimate, named=True)
    better = [one.arm for one in here if one.verdict == "better"]
    if better:
        return (
            f"Trained on {patients}, {first_names(better)} classified better than '{REFERENCE}'; the largest "
            f"difference of balanced accuracy was that of {best.arm}, {change}."
        )
    return (
        f"Trained on {patients}, no arm classified demonstrably better than '{REFERENCE}'; the largest "
        f"difference of balanced accuracy was that of {best.arm}, {change}."
    )


def _second(here: Sequence[Comparison], margin: float) -> str:
    texts = {
        "equivalent": f"{{}} differed by less than {margin:g}, the smallest difference that matters",
        "worse": "{} classified worse",
        "open": f"the question is open for {{}}, whose intervals do not rule out differences of {margin:g}",
    }
    parts = []
    for verdict, text in texts.items():
        names = [one.arm for one in here if one.verdict == verdict]
        if names:
            parts.append(text.format(first_names(names)))
    if not parts:
        return "No other arm was planned."
    return f"Compared with '{REFERENCE}', {'; '.join(parts)}."

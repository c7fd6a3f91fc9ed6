"""What was chosen inside each outer fold, for arms that leave ratio, psi or snapshot open."""

from collections import Counter
from typing import Any

import pandas as pd

from morphoscope.apps.study.cell import Store
from morphoscope.apps.study.plan import Candidate, StudyPlan
from morphoscope.runtime.reporting import Section, Table

_TEXT = (
    "For each training set, the candidate was chosen whose classifiers had the best mean balanced accuracy "
    "on the calibration patients, who are neither trained on nor tested: the test had no part in it. The "
    "scores below are those of the choice, and therefore too good. Choices that differ from fold to fold "
    "mean that the candidates hardly differ, or that too few patients decided."
)


def choices(plan: StudyPlan, store: Store) -> pd.DataFrame:
    """One row per finished choice: arm, shots, fold, generator seed, what was chosen, and the scores."""
    rows: dict[str, dict[str, Any]] = {}
    for place in plan.places:
        choice = plan.cells[place.cell].needs.get("choice")
        if choice is None or not store.is_finished(choice):
            continue
        found = store.values(choice)
        scores = found["scores"]
        rows[f"{place.arm} {choice.name}"] = {
            "arm": place.arm,
            "shots": place.shots,
            "fold": place.fold,
            "generator_seed": place.generator_seed,
            **{name: found[name] for name in Candidate._fields},
            "score": scores[found["chosen"]],
            "least": min(scores),
            "candidates": len(scores),
        }
    return pd.DataFrame(list(rows.values()))


def choice_sections(found: pd.DataFrame) -> list[Section]:
    """A section with a table of all choices, and how often each was made; or nothing."""
    if found.empty:
        return []
    columns = ["arm", "patients per condition", "fold", "generator", *Candidate._fields]
    columns += ["score", "least of all candidates"]
    rows = [
        [
            *(str(row[name]) for name in ("arm", "shots", "fold", "generator_seed")),
            *_named(row),
            *(f"{row[name]:.3f}" for name in ("score", "least")),
        ]
        for row in found.to_dict("records")
    ]
    facts = []
    for arm, own in found.groupby("arm", sort=False):
        counts = Counter(", ".join(_named(row)) for row in own.to_dict("records"))
        described = "; ".join(f"{what}: {count}" for what, count in counts.most_common())
        facts.append((f"{arm} (ratio, psi, snapshot: times)", described))
    return [Section("What was chosen inside the folds", _TEXT, facts=facts, table=Table(columns, rows))]


def _named(row: dict[Any, Any]) -> list[str]:
    """Ratio, psi and snapshot."""
    snapshot = row["snapshot"]
    return [f"{row['ratio']:g}", f"{row['psi']:g}", "last" if pd.isna(snapshot) else f"{snapshot:g}"]

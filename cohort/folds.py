"""Folds, stratified by condition and grouped by patient."""

import numpy as np
import pandas as pd

from morphoscope.cohort.manifest import TEST_FOLD
from morphoscope.configs import UserError, arguments

_ATTEMPTS = 50


def assign_folds(rows: pd.DataFrame, folds: int, seed: int, test_fraction: float) -> pd.DataFrame:
    """Set the column `fold` of normalised manifest rows; see `Cohort.split`.

    First the test fold: of each condition, every group has the same probability of being drawn, whatever its
    number of images. The rest is balanced: the condition with the fewest groups is assigned first, its groups
    from large to small, each to the fold with the fewest images of the condition. Bounds, if no group holds
    several conditions:

    - The number of a condition's test groups is `test_fraction` of its groups, rounded up or down by chance,
      but at least 1, and at least one group remains for each fold.
    - The number of its test images differs from the same proportion of its images by fewer than the largest
      group has.
    - Its images in two of the other folds differ by at most those of its largest group.

    Groups with the same `family`, a column that need not be there, count as one group.

    With groups that hold several conditions the bounds are approximate, and a draw that leaves a fold without
    a condition is repeated.

    Raises:
        UserError: an argument out of range, or a condition with fewer groups than folds; all are named.
    """
    arguments.whole_number("folds", folds, 2)
    arguments.whole_number("seed", seed, 0)
    arguments.real_number("test_fraction", test_fraction)
    if not 0.0 <= test_fraction < 1.0:
        raise UserError(f"test_fraction {test_fraction}: expected a number from 0 to below 1.")
    names = [str(number) for number in range(folds)]
    real, units = rows["source"] == "real", units_of(rows)
    if test_fraction > 0:
        names.append(TEST_FOLD)
        split = real
    else:
        tested = set(units[rows["fold"] == TEST_FOLD])
        split = real & ~units.isin(tested)
    counts = pd.crosstab(units[split], rows["condition"][split])
    _require_groups(counts, len(names))
    for attempt in range(_ATTEMPTS):
        random = np.random.default_rng([seed, attempt])
        fold_of_group = _assign_groups(counts, folds, test_fraction, random)
        per_fold = counts.groupby(fold_of_group).sum().reindex(names, fill_value=0)
        if (per_fold > 0).all(axis=None):
            result = rows.copy()
            result["fold"] = units.map(fold_of_group).where(split, TEST_FOLD).where(real, "")
            return result
    missing = [f"'{condition}'" for condition in counts.columns if (per_fold[condition] == 0).any()]
    raise UserError(
        f"No split found that puts every condition into each of {len(names)} folds: groups of "
        f"{', '.join(missing)} also contain other conditions. Use fewer folds."
    )


def units_of(rows: pd.DataFrame) -> pd.Series:
    """What stays together in one fold: a row's family, if the column `family` names one, else its group."""
    if "family" not in rows.columns:
        return rows["group"]
    family = rows.groupby("group")["family"].transform("max")  # rows of a patient may leave it out
    return rows["group"].where(family == "", "family " + family)


def _require_groups(counts: pd.DataFrame, needed: int) -> None:
    groups = (counts > 0).sum()
    few = [f"'{condition}' has {number}" for condition, number in groups.items() if number < needed]
    if few:
        raise UserError(
            f"{needed} folds (including the test fold) need {needed} groups (patients) of each condition: "
            f"{', '.join(few)}. Use fewer folds, add patients, or leave the condition out."
        )


def _assign_groups(
    counts: pd.DataFrame, folds: int, test_fraction: float, random: np.random.Generator
) -> pd.Series:
    """The fold's name of every group.

    Args:
        counts: images of each condition (column) in each group (index).
        folds: number of folds beside the test fold.
    """
    table = counts.to_numpy()
    rarest_first = np.argsort((table > 0).sum(axis=0), kind="stable")
    tested = np.zeros(len(table), bool)
    if test_fraction > 0:
        tested = _draw_test_groups(table, rarest_first, folds, test_fraction, random)
    fold = np.full(len(table), -1)
    for condition in rarest_first:
        filled = np.array([table[fold == number, condition].sum() for number in range(folds)])
        for group in _largest_first(table[:, condition], (fold < 0) & ~tested, random):
            least = random.choice(np.flatnonzero(filled == filled.min()))
            fold[group] = least
            filled[least] += table[group, condition]
    names = np.array([*map(str, range(folds)), TEST_FOLD], dtype=object)
    return pd.Series(names[np.where(tested, folds, fold)], index=counts.index)


def _draw_test_groups(
    table: np.ndarray, rarest_first: np.ndarray, folds: int, fraction: float, random: np.random.Generator
) -> np.ndarray:
    """Which groups (rows of `table`) are in the test fold, bool [groups].

    A systematic sample of each condition: its groups in order of size, each with a segment of the same length
    on a line, and those drawn in whose segment one of the points u, u + 1, u + 2, … falls. Hence all
    have the same probability, and small and large ones are drawn in equal proportion.
    """
    tested, decided = (np.zeros(len(table), bool) for _ in range(2))
    for condition in rarest_first:
        holds = table[:, condition] > 0
        due = np.clip(fraction * holds.sum(), 1, holds.sum() - folds) - tested[holds].sum()
        ordered = _largest_first(table[:, condition], ~decided, random)
        if len(ordered) and due > 0:
            length = min(due / len(ordered), 1.0)
            # Rounded, so that a whole number of groups stays one despite the error of floating point.
            passed = np.floor(np.round(np.arange(len(ordered) + 1) * length, 9) + random.random())
            tested[ordered[np.diff(passed) > 0]] = True
        decided |= holds
    return tested


def _largest_first(sizes: np.ndarray, open_groups: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Numbers of the open groups (bool) with at least one image, the largest first, ties in random order."""
    groups = random.permutation(np.flatnonzero((sizes > 0) & open_groups))
    return groups[np.argsort(-sizes[groups], kind="stable")]

"""Folds, stratified by condition and grouped by patient."""

import numpy as np
import pandas as pd

from morphoscope.cohort.manifest import TEST_FOLD
from morphoscope.configs import UserError

_ATTEMPTS = 50


def assign_folds(rows: pd.DataFrame, folds: int, seed: int, test_fraction: float) -> pd.DataFrame:
    """Set the column `fold` of normalised manifest rows; see `Cohort.split`.

    The condition with the fewest groups is assigned first, its groups from large to small, each to the fold
    with the least of the condition relative to the fold's share. If a condition has at least one group per
    fold, no fold stays without it, unless groups hold several conditions: then other orders are tried.

    Raises:
        UserError: an argument out of range, or a condition with fewer groups than folds; all are named.
    """
    if folds < 2:
        raise UserError(f"folds {folds}: at least 2 are needed.")
    if not 0.0 <= test_fraction < 1.0:
        raise UserError(f"test_fraction {test_fraction}: expected a number from 0 to below 1.")
    names = [str(number) for number in range(folds)]
    shares = dict.fromkeys(names, (1 - test_fraction) / folds)
    real = rows["source"] == "real"
    if test_fraction > 0:
        shares[TEST_FOLD] = test_fraction
        split = real
    else:
        tested = set(rows["group"][rows["fold"] == TEST_FOLD])
        split = real & ~rows["group"].isin(tested)
    counts = pd.crosstab(rows["group"][split], rows["condition"][split])
    _require_groups(counts, len(shares))
    for attempt in range(_ATTEMPTS):
        fold_of_group = _assign_groups(counts, shares, np.random.default_rng([seed, attempt]))
        per_fold = counts.groupby(fold_of_group).sum().reindex(list(shares), fill_value=0)
        if (per_fold > 0).all(axis=None):
            result = rows.copy()
            result["fold"] = rows["group"].map(fold_of_group).where(split, TEST_FOLD).where(real, "")
            return result
    missing = [f"'{condition}'" for condition in counts.columns if (per_fold[condition] == 0).any()]
    raise UserError(
        f"No split found that puts every condition into each of {len(shares)} folds: groups of "
        f"{', '.join(missing)} also contain other conditions. Use fewer folds."
    )


def _require_groups(counts: pd.DataFrame, needed: int) -> None:
    groups = (counts > 0).sum()
    few = [f"'{condition}' has {number}" for condition, number in groups.items() if number < needed]
    if few:
        raise UserError(
            f"{needed} folds (including the test fold) need {needed} groups (patients) of each condition: "
            f"{', '.join(few)}. Use fewer folds, add patients, or leave the condition out."
        )


def _assign_groups(counts: pd.DataFrame, shares: dict[str, float], random: np.random.Generator) -> pd.Series:
    """The fold's name of every group.

    Args:
        counts: images of each condition (column) in each group (index).
        shares: proportion of images that each fold should get.
    """
    names = list(shares)
    share = np.array([shares[name] for name in names])
    table = counts.to_numpy()
    fold = np.full(len(table), -1)
    for condition in np.argsort((table > 0).sum(axis=0), kind="stable"):
        open_groups = random.permutation(np.flatnonzero((table[:, condition] > 0) & (fold < 0)))
        largest_first = open_groups[np.argsort(-table[open_groups, condition], kind="stable")]
        filled = np.array(
            [table[fold == number, condition].sum() for number in range(len(names))], dtype=float
        )
        for group in largest_first:
            # Ties go to the fold with the larger share, then to a random one.
            order = np.lexsort((random.random(len(names)), -share, filled / share))
            fold[group] = order[0]
            filled[order[0]] += table[group, condition]
    return pd.Series(np.array(names, dtype=object)[fold], index=counts.index)

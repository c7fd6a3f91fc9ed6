"""Folds: no group in two, every condition in each, in equal proportions."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from morphoscope.cohort.folds import _assign_groups, assign_folds
from morphoscope.cohort.manifest import manifest_problems, normalise_rows
from morphoscope.configs import UserError


def table(sizes: dict[str, list[int]]) -> pd.DataFrame:
    """Rows for each condition's groups of given sizes."""
    rows = [
        {"file": f"{condition}/{group}/{image}.png", "condition": condition, "group": f"{condition}{group}"}
        for condition, groups in sizes.items()
        for group, size in enumerate(groups)
        for image in range(size)
    ]
    return normalise_rows(pd.DataFrame(rows))


@settings(max_examples=60, deadline=None)
@given(
    folds=st.integers(2, 5),
    test_fraction=st.sampled_from([0.0, 0.1, 0.3]),
    seed=st.integers(0, 2**32 - 1),
    sizes=st.dictionaries(
        st.sampled_from("abcdef"), st.lists(st.integers(1, 9), min_size=6, max_size=15), min_size=1
    ),
)
def test_groups_stay_together_and_conditions_are_everywhere(
    folds: int, test_fraction: float, seed: int, sizes: dict[str, list[int]]
) -> None:
    rows = assign_folds(table(sizes), folds, seed, test_fraction)
    expected = {str(number) for number in range(folds)} | ({"test"} if test_fraction else set())
    assert (rows.groupby("group")["fold"].nunique() == 1).all()
    assert all(set(part["fold"]) == expected for _, part in rows.groupby("condition"))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1000),
    patients=st.lists(st.sets(st.sampled_from("abc"), min_size=1), min_size=1, max_size=40),
)
def test_patients_with_several_conditions(seed: int, patients: list[set[str]]) -> None:
    rows = [
        {"file": f"{number}{condition}.png", "condition": condition, "group": str(number)}
        for number, conditions in enumerate(patients)
        for condition in conditions
    ]
    try:
        split = assign_folds(normalise_rows(pd.DataFrame(rows)), 3, seed, 0.0)
    except UserError as error:
        assert "folds" in str(error)
        return
    assert (split.groupby("group")["fold"].nunique() == 1).all()
    assert all(part["fold"].nunique() == 3 for _, part in split.groupby("condition"))


def test_folds_of_single_image_groups_differ_by_one_image_at_most() -> None:
    rows = assign_folds(table({"a": [1] * 103, "b": [1] * 27}), 5, 0, 0.0)
    counts = pd.crosstab(rows["condition"], rows["fold"])
    assert (counts.max(axis=1) - counts.min(axis=1)).max() <= 1


def test_test_fraction_is_met() -> None:
    rows = assign_folds(table({"a": [1] * 100, "b": [1] * 50}), 5, 0, 0.2)
    counts = pd.crosstab(rows["condition"], rows["fold"])
    assert counts["test"].tolist() == [20, 10]
    assert counts["0"].tolist() == [16, 8]


HEAVY_TAILED = [60, 25, 12, 9, 8, 6, 5, 5, 4, 4, 3, 3, 3, 2, 2, 2, 2, *[1] * 23]


@pytest.fixture(scope="module")
def test_folds_over_seeds() -> np.ndarray:
    """Whether each of 40 patients is tested, bool [500 seeds, 40], the largest first."""
    counts = pd.DataFrame({"a": HEAVY_TAILED})
    drawn = [_assign_groups(counts, 5, 0.2, np.random.default_rng(seed)) == "test" for seed in range(500)]
    return np.array(drawn)


def test_the_size_of_a_group_does_not_predict_the_test_fold(test_folds_over_seeds: np.ndarray) -> None:
    frequency = test_folds_over_seeds.mean(axis=0)
    assert abs(frequency[0] - 0.2) < 0.055  # three standard errors of 500 draws
    assert frequency.min() > 0.14 and frequency.max() < 0.26
    correlations = [spearmanr(HEAVY_TAILED, tested).statistic for tested in test_folds_over_seeds]
    assert abs(np.mean(correlations)) < 0.02


def test_the_shares_of_the_test_fold_stay_within_their_bounds(test_folds_over_seeds: np.ndarray) -> None:
    assert set(test_folds_over_seeds.sum(axis=1)) == {8}
    images = test_folds_over_seeds @ np.array(HEAVY_TAILED)
    assert np.abs(images - 0.2 * sum(HEAVY_TAILED)).max() < max(HEAVY_TAILED)


@settings(max_examples=60, deadline=None)
@given(
    folds=st.integers(2, 5),
    fraction=st.floats(0.01, 0.9),
    seed=st.integers(0, 2**32 - 1),
    sizes=st.lists(st.integers(1, 50), min_size=6, max_size=60),
)
def test_shares_stay_within_the_stated_bounds(
    folds: int, fraction: float, seed: int, sizes: list[int]
) -> None:
    fold = _assign_groups(pd.DataFrame({"a": sizes}), folds, fraction, np.random.default_rng(seed))
    due = min(max(fraction * len(sizes), 1), len(sizes) - folds)
    assert abs((fold == "test").sum() - due) < 1
    images = pd.Series(sizes).groupby(fold).sum()
    assert abs(images["test"] - due / len(sizes) * sum(sizes)) < max(sizes)
    others = images.drop("test")
    assert others.max() - others.min() <= max(sizes)


def test_no_fold_attracts_large_groups() -> None:
    counts = pd.DataFrame({"a": HEAVY_TAILED})
    drawn = [_assign_groups(counts, 5, 0.0, np.random.default_rng(seed)) for seed in range(500)]
    frequency = pd.Series([fold[0] for fold in drawn]).value_counts(normalize=True)
    assert (frequency.sub(0.2).abs() < 0.055).all()


def test_a_patient_with_two_conditions_is_tested_as_often_as_others() -> None:
    counts = pd.DataFrame({"a": [9, 5, *[1] * 18, *[0] * 10], "b": [7, 0, *[0] * 18, *[2] * 10]})
    drawn = [_assign_groups(counts, 4, 0.2, np.random.default_rng(seed)) == "test" for seed in range(500)]
    frequency = np.mean(drawn, axis=0)
    assert frequency.min() > 0.14 and frequency.max() < 0.27


def test_same_seed_same_folds_other_seed_other_folds() -> None:
    rows = table({"a": [1] * 30})
    first = assign_folds(rows, 5, 0, 0.0)["fold"]
    np.testing.assert_array_equal(first, assign_folds(rows, 5, 0, 0.0)["fold"])
    assert not first.equals(assign_folds(rows, 5, 1, 0.0)["fold"])


def test_conditions_with_too_few_groups_are_all_named() -> None:
    with pytest.raises(UserError, match=r"'b' has 1, 'c' has 4"):
        assign_folds(table({"a": [1] * 5, "b": [30], "c": [2] * 4}), 5, 0, 0.0)


def test_the_test_fold_counts_as_one_more() -> None:
    with pytest.raises(UserError, match="6 folds"):
        assign_folds(table({"a": [1] * 5}), 5, 0, 0.2)


def test_synthetic_rows_get_no_fold() -> None:
    rows = table({"a": [1] * 12})
    rows.loc[::2, "source"] = "synthetic"
    rows.loc[::2, "fold"] = "3"
    split = assign_folds(rows, 3, 0, 0.0)
    assert (split["fold"][split["source"] == "synthetic"] == "").all()
    assert set(split["fold"][split["source"] == "real"]) == {"0", "1", "2"}


def test_an_existing_test_fold_stays_with_all_of_its_groups() -> None:
    rows = table({"a": [2] * 12})
    rows.loc[0, "fold"] = "test"
    split = assign_folds(rows, 5, 0, 0.0)
    assert split["file"][split["fold"] == "test"].tolist() == ["a/0/0.png", "a/0/1.png"]


def test_a_test_fraction_redraws_the_test_fold() -> None:
    rows = table({"a": [1] * 20})
    rows["fold"] = "test"
    split = assign_folds(rows, 4, 0, 0.2)
    assert split["fold"].value_counts().to_dict() == {"0": 4, "1": 4, "2": 4, "3": 4, "test": 4}


@pytest.mark.parametrize(("folds", "fraction"), [(1, 0.0), (5, 1.0), (5, -0.1)])
def test_arguments_out_of_range(folds: int, fraction: float) -> None:
    with pytest.raises(UserError):
        assign_folds(table({"a": [1] * 10}), folds, 0, fraction)


def test_families_stay_together() -> None:
    rows = table({"a": [2] * 20})
    names = sorted(set(rows["group"]))
    related = {name: f"f{place // 2}" for place, name in enumerate(names[:12])}
    rows["family"] = rows["group"].map(related).fillna("")
    rows.loc[rows["group"] == names[1], "family"] = ["f0", ""]  # named in one of the patient's rows only
    split = assign_folds(rows, 3, 0, 0.2)
    assert (split.groupby("group")["fold"].nunique() == 1).all()
    known = split[split["family"] != ""]
    assert (known.groupby("family")["fold"].nunique() == 1).all()
    assert split["fold"][split["group"].isin(names[:2])].nunique() == 1


def test_relatives_in_two_folds_are_a_problem() -> None:
    rows = table({"a": [1] * 4})
    rows["fold"], rows["family"] = ["0", "1", "0", "1"], ["f", "f", "", ""]
    found = [problem for problem in manifest_problems(rows) if problem.kind == "family-leak"]
    assert len(found) == 1
    assert "'f' is in the folds 0, 1" in found[0].message

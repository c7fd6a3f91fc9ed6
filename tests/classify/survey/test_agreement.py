"""Intraclass correlations: published examples, and properties of any ratings."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphoscope.classify.survey.agreement import agreement, interval, one_way_agreement
from morphoscope.classify.survey.published import PUBLISHED
from morphoscope.configs import UserError

# Shrout & Fleiss 1979, table 2: six targets, four judges.
SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
)


def test_shrout_and_fleiss_example() -> None:
    found = agreement(SHROUT_FLEISS)
    assert (found.subjects, found.raters) == (6, 4)
    # The values .17, .29 and .71 are from the paper; the intervals are those of R's psych::ICC.
    assert found.one_way == pytest.approx((0.1657, -0.1329, 0.7226), abs=5e-5)
    assert found.absolute == pytest.approx((0.2898, 0.0188, 0.7611), abs=5e-5)
    assert found.consistency == pytest.approx((0.7148, 0.3425, 0.9459), abs=5e-5)


def test_interval_from_the_value_equals_that_from_the_ratings() -> None:
    found = agreement(SHROUT_FLEISS)
    assert interval(found.one_way.value, 6, 4) == pytest.approx(found.one_way)
    assert interval(found.consistency.value, 6, 4, "ICC(C,1)") == pytest.approx(found.consistency)


def test_published_intervals_are_those_of_icc_1_1_with_30_surveys_and_3_raters() -> None:
    first, second = [row for row in PUBLISHED if row.quantity == "ICC"]
    assert interval(-0.315, 30, 3)[1:] == pytest.approx((first.low, first.high), abs=5e-4)
    assert interval(-0.0899, 30, 3)[1:] == pytest.approx((second.low, second.high), abs=5e-4)
    assert (round(-0.0899, 3), second.value) == (-0.09, -0.09)
    lost_sign = interval(0.315, 30, 3)
    assert lost_sign.low > 0  # quite different from the printed interval


def test_no_other_form_or_order_gives_the_published_intervals() -> None:
    second = next(row for row in PUBLISHED if row.value == -0.09)
    for form, n, k in [("ICC(C,1)", 30, 3), ("ICC(1,1)", 3, 30), ("ICC(C,1)", 3, 30)]:
        for value in np.arange(max(-0.0905, -1 / (k - 1)), -0.0895, 0.00002):
            if value >= -1 / (k - 1):
                found = interval(float(value), n, k, form)[1:]  # type: ignore[arg-type]
                assert found != pytest.approx((second.low, second.high), abs=5e-4)


ratings = st.tuples(st.integers(2, 8), st.integers(2, 5), st.integers(0, 2**16)).map(
    lambda case: np.random.default_rng(case[2]).normal(size=case[:2])
)


@given(ratings, st.floats(0.1, 10), st.floats(-5, 5))
def test_scale_and_offset_do_not_matter(table: np.ndarray, unit: float, origin: float) -> None:
    one, other = agreement(table), agreement(unit * table + origin)
    for form in ("one_way", "absolute", "consistency"):
        assert getattr(one, form) == pytest.approx(getattr(other, form), abs=1e-6)


@given(ratings)
def test_values_are_within_their_intervals_and_range(table: np.ndarray) -> None:
    found, k = agreement(table), table.shape[1]
    for estimate in (found.one_way, found.consistency):
        assert estimate.low <= estimate.value <= estimate.high
        assert -1 / (k - 1) - 1e-9 <= estimate.low and estimate.high <= 1
    assert agreement(table + np.arange(k)).consistency == pytest.approx(found.consistency)


def test_perfect_agreement_is_one() -> None:
    found = agreement(np.repeat([[1.0], [2.0], [4.0]], 3, axis=1))
    for estimate in (found.one_way, found.absolute, found.consistency):
        assert estimate == pytest.approx((1, 1, 1))


def test_one_way_interval_covers_the_truth_95_times_out_of_100() -> None:
    random = np.random.default_rng(0)
    truth, covered = 0.4, 0
    for _ in range(400):
        subjects = random.normal(0, np.sqrt(truth), (12, 1))
        table = subjects + random.normal(0, np.sqrt(1 - truth), (12, 3))
        covered += agreement(table).one_way.low <= truth <= agreement(table).one_way.high
    assert 0.92 <= covered / 400 <= 0.98


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([[1.0, np.nan], [2.0, 3.0]], "1 of 2 subjects lack a rating"),
        ([[1.0, 2.0]], "at least two subjects"),
        ([[1.0], [2.0]], "two raters"),
        ([[0.5, 0.5], [0.5, 0.5]], "All ratings are the same"),
    ],
)
def test_ratings_without_agreement_are_errors(table: list, message: str) -> None:
    with pytest.raises(UserError, match=message):
        agreement(np.array(table))


def test_impossible_value_is_an_error() -> None:
    with pytest.raises(UserError, match=r"-0\.6 of 30 subjects and 3 raters"):
        interval(-0.6, 30, 3)


@given(st.lists(st.integers(1, 5), min_size=2, max_size=8), st.integers(0, 2**16))
def test_one_way_agreement_does_not_depend_on_any_order(counts: list[int], seed: int) -> None:
    if sum(counts) == len(counts):
        counts = [*counts, 2]
    random = np.random.default_rng(seed)
    ratings = [random.normal(size=count) for count in counts]
    shuffled = [random.permutation(ratings[i]) for i in random.permutation(len(ratings))]
    assert one_way_agreement(shuffled).one_way == pytest.approx(one_way_agreement(ratings).one_way)


@given(ratings)
def test_one_way_agreement_of_equal_numbers_is_that_of_the_table(table: np.ndarray) -> None:
    found = one_way_agreement(list(table))
    assert found.one_way == pytest.approx(agreement(table).one_way)
    assert (found.subjects, found.raters) == table.shape and found.absolute is found.consistency is None
    assert list(found.forms) == ["ICC(1,1)"]


def test_one_way_interval_of_unequal_numbers_covers_the_truth_95_times_out_of_100() -> None:
    random = np.random.default_rng(1)
    truth, covered, counts = 0.4, 0, [2, 2, 3, 3, 3, 4, 4, 5, 5, 6, 6, 8]
    for _ in range(600):
        ratings = [random.normal(0, np.sqrt(truth)) + random.normal(0, np.sqrt(1 - truth), k) for k in counts]
        found = one_way_agreement(ratings).one_way
        covered += found.low <= truth <= found.high
    assert 0.92 <= covered / 600 <= 0.98


@pytest.mark.parametrize(
    ("subjects", "message"),
    [
        ([[1.0, 2.0]], "at least two subjects"),
        ([[1.0], [2.0]], "two raters"),
        ([[1.0, np.nan], [2.0]], "A rating is missing"),
        ([[0.5, 0.5], [0.5]], "All ratings are the same"),
    ],
)
def test_subjects_without_one_way_agreement_are_errors(subjects: list, message: str) -> None:
    with pytest.raises(UserError, match=message):
        one_way_agreement([np.array(own) for own in subjects])

"""Paired differences: known values, the tests that they contain as special cases, and simulated coverage."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from morphoscope.runtime.paired_statistics import auroc_difference, holm, paired_difference


def alone(number: int) -> np.ndarray:
    return np.arange(number)


@pytest.mark.parametrize(("only_first", "only_second"), [(0, 0), (1, 6), (3, 3), (0, 9), (4, 8)])
def test_with_one_image_per_patient_it_is_mcnemars_exact_test(only_first: int, only_second: int) -> None:
    first = np.array([1] * 20 + [1] * only_first + [0] * only_second)
    second = np.array([1] * 20 + [0] * only_first + [1] * only_second)
    found = paired_difference(first, second, alone(len(first)))
    discordant = only_first + only_second
    exact = binomtest(only_first, discordant).pvalue if discordant else 1.0
    assert found.p == pytest.approx(exact, abs=1e-12)
    assert found.estimate.value == pytest.approx((only_second - only_first) / len(first))


def test_many_patients_give_nearly_the_exact_p_value() -> None:
    first = np.array([1] * 30 + [1] * 6 + [0] * 18)
    second = np.array([1] * 30 + [0] * 6 + [1] * 18)
    found = paired_difference(first, second, alone(len(first)))
    assert found.p == pytest.approx(binomtest(6, 24).pvalue, abs=0.006)


def test_copies_of_an_image_are_no_further_evidence() -> None:
    first, second = np.array([1, 0, 0, 0, 0, 1, 1, 0]), np.array([1, 1, 1, 1, 1, 1, 0, 1])
    once = paired_difference(first, second, alone(8))
    copied = paired_difference(np.repeat(first, 9), np.repeat(second, 9), np.repeat(alone(8), 9))
    assert copied.estimate == pytest.approx(once.estimate, abs=1e-9)
    assert copied.p == once.p


def test_agreement_on_every_image_keeps_a_width() -> None:
    scores = np.ones(40)
    value, low, high = paired_difference(scores, scores, alone(40)).estimate
    assert value == 0 and low == -high and 0.03 < high < 0.08  # 3/40, the rule of three, is 0.075
    wider = paired_difference(scores[:10], scores[:10], alone(10)).estimate
    assert wider.high > high


@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 6), st.integers(0, 2)),
        min_size=1,
        max_size=60,
    )
)
def test_exchanging_the_classifiers_changes_the_sign(images: list[tuple[int, int, int, int]]) -> None:
    first, second, groups, classes = (np.array(column) for column in zip(*images, strict=True))
    there = paired_difference(first, second, groups, classes)
    back = paired_difference(second, first, groups, classes)
    assert there.estimate.value == pytest.approx(-back.estimate.value)
    assert there.estimate.low == pytest.approx(-back.estimate.high)
    assert there.p == pytest.approx(back.p)
    assert -1 <= there.estimate.low <= there.estimate.value <= there.estimate.high <= 1


def simulated(
    random: np.random.Generator, patients: int, icc: float, accuracies: tuple[float, float]
) -> tuple[np.ndarray, ...]:
    """(first, second, groups, classes) of two classifiers whose mistakes go together within patients."""
    from scipy.stats import norm

    sizes = random.integers(1, 6, patients)
    groups = np.repeat(alone(patients), sizes)
    shared, own = random.normal(size=patients), random.normal(size=(2, patients))
    noise, single = random.normal(size=len(groups)), random.normal(size=(2, len(groups)))
    correct = []
    for which, accuracy in enumerate(accuracies):
        by_patient = np.sqrt(0.7) * shared + np.sqrt(0.3) * own[which]
        by_image = np.sqrt(0.7) * noise + np.sqrt(0.3) * single[which]
        latent = np.sqrt(icc) * by_patient[groups] + np.sqrt(1 - icc) * by_image
        correct.append(latent < norm.ppf(accuracy))
    return (*correct, groups, (alone(patients) % 4)[groups])


@pytest.mark.parametrize("patients", [20, 60])
@pytest.mark.parametrize("icc", [0.0, 0.6])
@pytest.mark.parametrize("accuracies", [(0.9, 0.9), (0.7, 0.8)])
@pytest.mark.parametrize("balanced", [False, True])
def test_intervals_cover_and_the_test_keeps_its_level(
    patients: int, icc: float, accuracies: tuple[float, float], balanced: bool
) -> None:
    random = np.random.default_rng(7)
    true = accuracies[1] - accuracies[0]
    found = []
    for _ in range(120):
        first, second, groups, classes = simulated(random, patients, icc, accuracies)
        found.append(paired_difference(first, second, groups, classes if balanced else None))
    covered = np.mean([low <= true <= high for (_, low, high), _ in found])
    assert covered >= 0.93 - 2 * np.sqrt(0.93 * 0.07 / len(found))
    if true == 0:
        rejected = np.mean([p < 0.05 for _, p in found])
        assert rejected <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / len(found))


def test_auroc_difference_is_delongs_for_single_images() -> None:
    """The data of Hanley and McNeil's kind: value and variance by the definition, written out."""
    random = np.random.default_rng(3)
    positive = np.repeat([True, False], [30, 50])
    signal = np.where(positive, 1.0, 0.0)
    first, second = signal + random.normal(size=80), 1.5 * signal + random.normal(size=80)

    def placed(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        above = (scores[positive][:, None] > scores[~positive][None]).astype(float)
        return above.mean(axis=1), above.mean(axis=0)

    (a10, a01), (b10, b01) = placed(first), placed(second)
    value = b10.mean() - a10.mean()
    half = 1.959964 * np.sqrt((b10 - a10).var(ddof=1) / 30 + (b01 - a01).var(ddof=1) / 50)
    found = auroc_difference(first, second, positive, alone(80))
    assert found == pytest.approx((value, value - half, value + half))


def test_auroc_difference_of_equal_scores_keeps_a_width() -> None:
    positive = np.repeat([True, False], [6, 9])
    scores = np.where(positive, 2.0, 1.0)
    found = auroc_difference(scores, scores, positive, alone(15))
    assert found is not None and found.value == 0 and found.low < -0.1 and found.high > 0.1
    assert auroc_difference(scores, scores, np.ones(15, bool), alone(15)) is None


def test_auroc_interval_covers_by_patient() -> None:
    random = np.random.default_rng(11)
    covered = []
    for _ in range(300):
        patients = 40
        sizes = random.integers(1, 5, patients)
        groups = np.repeat(alone(patients), sizes)
        positive = (alone(patients) % 2 == 0)[groups]
        shared = random.normal(size=patients)[groups]
        scores = [positive * 1.2 + 0.7 * shared + 0.7 * random.normal(size=len(groups)) for _ in range(2)]
        found = auroc_difference(scores[0], scores[1], positive, groups)
        assert found is not None
        covered.append(found.low <= 0 <= found.high)
    assert np.mean(covered) >= 0.91


def test_holm_has_its_known_values() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    assert holm([]) == []

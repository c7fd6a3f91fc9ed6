"""The area under the ROC curve: known values, perfect separation, and patients instead of images."""

import numpy as np
import pytest

from morphoscope.runtime.roc import auroc, missed
from morphoscope.runtime.statistics import Estimate, proportion_by_group


def alone(negatives: np.ndarray, positives: np.ndarray) -> Estimate:
    """The area with an interval for images of as many patients."""
    scores = np.concatenate([negatives, positives])
    return auroc(scores, np.arange(len(scores)) >= len(negatives), np.arange(len(scores)))


def test_auroc_is_the_fraction_of_pairs_in_order() -> None:
    low, high = np.array([1.0, 2, 3, 4]), np.array([2.5, 3, 5])
    assert alone(low, high).value == pytest.approx((2 + 2.5 + 4) / 12)
    assert alone(high, low).value == pytest.approx(1 - 8.5 / 12)


def test_auroc_interval_agrees_with_the_bootstrap() -> None:
    random = np.random.default_rng(0)
    low, high = random.normal(0, 1, 80), random.normal(1.5, 1, 60)
    found = alone(low, high)
    draws = [alone(random.choice(low, 80), random.choice(high, 60)).value for _ in range(400)]
    assert [found.low, found.high] == pytest.approx(np.quantile(draws, [0.025, 0.975]).tolist(), abs=0.03)


def test_a_perfect_auroc_of_few_images_is_not_certain() -> None:
    found = alone(np.arange(10.0), np.arange(10.0) + 100)
    assert found.value == found.high == 1 and 0.75 < found.low < 0.9
    assert alone(np.arange(10.0) + 100, np.arange(10.0)).high == pytest.approx(1 - found.low)
    assert alone(np.zeros(1), np.ones(1)).low < 0.3


def test_copies_of_a_patients_image_prove_little_more() -> None:
    """Newcombe's and DeLong's intervals of the copies as if each were a patient would be half as wide."""
    random = np.random.default_rng(1)
    scores, positive = random.normal(size=30), np.arange(30) % 2 == 0
    scores[positive] += 1.5
    once = auroc(scores, positive, np.arange(30))
    copied = auroc(np.repeat(scores, 4), np.repeat(positive, 4), np.repeat(np.arange(30), 4))
    as_patients = auroc(np.repeat(scores, 4), np.repeat(positive, 4), np.arange(120))
    assert copied.value == pytest.approx(once.value)
    assert copied.high - copied.low == pytest.approx(once.high - once.low, rel=0.06)
    assert as_patients.high - as_patients.low < 0.6 * (once.high - once.low)


def test_a_perfect_auroc_of_few_patients_is_not_certain() -> None:
    positive, patients = np.repeat([False, True], 50), np.arange(100) // 10
    of_patients = auroc(positive.astype(float), positive, patients)
    of_images = auroc(positive.astype(float), positive, np.arange(100))
    assert of_patients.high == 1 and of_patients.low < 0.85 and of_images.low > 0.9


def test_a_patient_may_have_images_of_both_kinds() -> None:
    """What a patient adds to the scores of both kinds cancels, which the interval must not ignore."""
    random = np.random.default_rng(2)
    patients, positive = np.repeat(np.arange(40), 2), np.arange(80) % 2 == 0
    scores = positive + 2 * random.normal(size=40)[patients] + 0.5 * random.normal(size=80)
    paired, single = auroc(scores, positive, patients), auroc(scores, positive, np.arange(80))
    assert paired.value == single.value
    assert paired.high - paired.low <= single.high - single.low


def test_missed_includes_the_sampling_of_the_threshold() -> None:
    random = np.random.default_rng(3)
    scores, positive = (
        np.concatenate([random.normal(size=400), random.normal(2, 1, 400)]),
        np.arange(800) >= 400,
    )
    found = missed(scores, positive, np.arange(800))
    threshold = np.quantile(scores[:400], 0.95)
    assert found.value == np.mean(scores[400:] <= threshold)
    known = proportion_by_group(scores[400:] <= threshold, np.arange(400))
    assert found.low < known.low - 0.03 and found.high > known.high + 0.03
    # As if the negatives were without number, the threshold is known.
    many = missed(
        np.concatenate([random.normal(size=10**6), scores[400:]]),
        np.arange(10**6 + 400) >= 10**6,
        np.arange(10**6 + 400),
    )
    assert many.high - many.low == pytest.approx(known.high - known.low, rel=0.02)


def test_few_negatives_show_no_upper_threshold() -> None:
    scores, positive = np.concatenate([np.zeros(20), np.ones(20)]), np.arange(40) >= 20
    found = missed(scores, positive, np.arange(40))
    assert found.value == found.low == 0 and found.high == 1

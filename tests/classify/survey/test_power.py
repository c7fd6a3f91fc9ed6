"""Power of the paired design: a published value, a simulation, and the number of surveys needed."""

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from morphoscope.classify.survey.power import paired_power, surveys_needed
from morphoscope.configs import UserError


def test_known_values() -> None:
    assert paired_power(0.5, 1, 34) == pytest.approx(0.8078, abs=5e-5)  # G*Power 3.1: d = 0.5, 34 pairs
    assert paired_power(0, 1, 20) == pytest.approx(0.05)
    assert paired_power(-0.5, 1, 34) == paired_power(0.5, 1, 34)
    for spread in (0.1, 0.05, 0.01, 1e-3):
        assert paired_power(0.3, spread, 30) == pytest.approx(1)
    for difference in (1e-9, 1e-4):
        assert paired_power(difference, 1, 30) == pytest.approx(0.05, abs=1e-6)


def test_agrees_with_simulation() -> None:
    random = np.random.default_rng(0)
    found = ttest_1samp(random.normal(0.1, 0.15, (20_000, 12)), 0, axis=1).pvalue < 0.05
    assert paired_power(0.1, 0.15, 12) == pytest.approx(found.mean(), abs=0.012)


def test_surveys_needed_is_the_smallest_number() -> None:
    assert surveys_needed(0.5, 1) == 34  # Cohen 1988
    for difference, spread, power in [(0.1, 0.15, 0.9), (0.3, 0.1, 0.8), (-0.02, 0.2, 0.8)]:
        enough = surveys_needed(difference, spread, power)
        assert paired_power(difference, spread, enough) >= power
        assert enough == 2 or paired_power(difference, spread, enough - 1) < power


def test_arguments_out_of_range_are_errors() -> None:
    with pytest.raises(UserError, match="a difference other than 0"):
        surveys_needed(0, 1)
    with pytest.raises(UserError, match="more than 1000000 surveys"):
        surveys_needed(1e-6, 1)
    with pytest.raises(UserError, match="at least two surveys"):
        paired_power(0.1, 0.1, 1)
    with pytest.raises(UserError, match="standard deviation above 0"):
        paired_power(0.1, 0.0, 10)
    for difference, spread in [(float("nan"), 0.1), (30, 10), (0.1, float("inf"))]:
        with pytest.raises(UserError, match=r"difference in \[-1, 1\]"):
            surveys_needed(difference, spread)

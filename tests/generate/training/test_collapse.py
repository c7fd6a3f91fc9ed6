"""The collapse alarm: it names a condition once until that recovers."""

import math

import numpy as np
import pytest

from morphoscope.generate.metrics import Quality, QualityReport, diversity
from morphoscope.generate.training.collapse import DIVERSITY_ALARM, CollapseAlarm


def quality(diversity, real_diversity):
    return Quality(100, 100, 1.0, 0.01, 0.001, diversity, real_diversity)


def report(**ratios):
    by_condition = {name: quality(3.0 * ratio, 3.0) for name, ratio in ratios.items()}
    return QualityReport("some-features", quality(3.0, 3.0), by_condition)


def test_only_conditions_below_the_limit_are_named_with_their_value():
    (message,) = CollapseAlarm().check(report(nf1=0.31, tsc=DIVERSITY_ALARM, ml=1.2), 0.5)
    assert message.startswith("nf1 is collapsing")
    assert "0.31" in message
    assert "some-features" in message
    assert "sampling=balanced" in message


def test_an_alarm_is_raised_once_until_the_condition_recovers():
    alarm = CollapseAlarm()
    counts = [
        len(alarm.check(report(a=a, b=b), 0.5)) for a, b in [(0.3, 0.9), (0.2, 0.4), (0.7, 0.1), (0.4, 0.1)]
    ]
    assert counts == [1, 1, 0, 1]  # a; b; none; a again


def test_the_first_tenth_of_a_training_raises_no_alarm():
    alarm = CollapseAlarm()
    assert alarm.check(report(a=0.1), 0.09) == []
    assert len(alarm.check(report(a=0.1), 0.1)) == 1


@pytest.mark.parametrize("real", [0.0, math.nan])
def test_real_images_without_diversity_raise_no_alarm(real):
    unknown = QualityReport("some-features", quality(3.0, 3.0), {"a": quality(0.0, real)})
    assert CollapseAlarm().check(unknown, 0.5) == []


@pytest.mark.parametrize("different", [1, 2, 4, 10])
def test_the_limit_is_that_of_two_different_images_shown_equally_often(different):
    """Repeated corners of a simplex, all equally far apart, compared with 400 different ones."""
    ratio = diversity(np.eye(400)[np.arange(400) % different]) / diversity(np.eye(400))
    assert ratio == pytest.approx(1 - 1 / different, abs=0.003)
    assert (ratio < DIVERSITY_ALARM - 0.003) == (different == 1)

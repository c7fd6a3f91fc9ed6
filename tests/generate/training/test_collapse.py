"""The collapse alarm: it names a condition once until that recovers."""

import math

import numpy as np
import pytest

from morphoscope.generate.metrics import Quality, QualityReport, diversity, repeated_pairs
from morphoscope.generate.training.collapse import DIVERSITY_ALARM, CollapseAlarm, alarms_begin


def quality(diversity, real_diversity, repeated=0.0):
    return Quality(100, 100, 1.0, 0.01, 0.001, diversity, real_diversity, repeated)


def report(**ratios):
    by_condition = {name: quality(3.0 * ratio, 3.0) for name, ratio in ratios.items()}
    return QualityReport("some-features", quality(3.0, 3.0), by_condition)


TOTAL = 100.0  # thousand images of the whole training


def test_one_message_names_every_condition_below_the_limit_with_its_value():
    message = CollapseAlarm().check(report(nf1=0.31, tsc=DIVERSITY_ALARM, ma=0.2, ml=1.2), 50, TOTAL)
    assert message.startswith("2 of 4 conditions collapsing")
    assert "nf1 0.31, ma 0.20 (features of some-features)" in message
    assert "tsc" not in message and "ml" not in message
    assert "sampling=grouped" in message


def test_an_alarm_is_raised_once_until_the_condition_recovers():
    alarm = CollapseAlarm()
    raised = [
        alarm.check(report(a=a, b=b), 50, TOTAL) is not None
        for a, b in [(0.3, 0.9), (0.2, 0.8), (0.2, 0.4), (0.7, 0.1), (0.4, 0.1)]
    ]
    assert raised == [True, False, True, False, True]  # a; the same; b too; none; a again


@pytest.mark.parametrize(("total", "begin"), [(1000.0, 100.0), (100.0, 10.0), (20.0, 10.0), (1.4, 10.0)])
def test_no_alarm_before_a_tenth_of_the_training_nor_before_10_thousand_images(total, begin):
    alarm = CollapseAlarm()
    assert alarm.check(report(a=0.1), 0.99 * begin, total) is None
    assert alarm.check(report(a=0.1), begin, total) is not None
    assert alarms_begin(total) == begin


@pytest.mark.parametrize("real", [0.0, math.nan])
def test_real_images_without_diversity_raise_no_alarm(real):
    unknown = QualityReport("some-features", quality(3.0, 3.0), {"a": quality(0.0, real)})
    assert CollapseAlarm().check(unknown, 50, TOTAL) is None


@pytest.mark.parametrize("images", [20, 5, 3, 2, 1])
def test_a_few_images_repeated_raise_the_alarm(images):
    """20, 5, 3 and 2 repeated images had 0.97, 0.83, 0.72 and 0.54 of the diversity, and raised none."""
    random = np.random.default_rng(0)
    real, others = random.normal(size=(2, 100, 64))
    repeated = others[random.integers(0, images, 100)] + random.normal(0, 0.01, (100, 64))
    found = [repeated_pairs(generated, real) for generated in (repeated, others)]
    qualities = [
        quality(diversity(generated), diversity(real), pairs)
        for generated, pairs in zip((repeated, others), found, strict=True)
    ]
    message = CollapseAlarm().check(
        QualityReport("some-features", qualities[1], dict(zip(["few", "many"], qualities, strict=True))),
        50,
        TOTAL,
    )
    assert qualities[0].different == pytest.approx(images, rel=0.15)
    assert message is not None and "1 of 2 conditions" in message
    expected = (
        f"few {qualities[0].relative_diversity:.2f} with {round(qualities[0].different)} different image"
    )
    assert expected in message


@pytest.mark.parametrize("different", [1, 2, 4, 10])
def test_the_limit_is_that_of_two_different_images_shown_equally_often(different):
    """Repeated corners of a simplex, all equally far apart, compared with 400 different ones."""
    ratio = diversity(np.eye(400)[np.arange(400) % different]) / diversity(np.eye(400))
    assert ratio == pytest.approx(1 - 1 / different, abs=0.003)
    assert (ratio < DIVERSITY_ALARM - 0.003) == (different == 1)

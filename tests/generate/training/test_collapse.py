"""The collapse alarm names the condition, once until it recovers."""

import math
from types import SimpleNamespace

import pytest

from morphoscope.generate.training.collapse import DIVERSITY_ALARM, CollapseAlarm, diversity_ratio


def report(**ratios):
    qualities = {
        name: SimpleNamespace(diversity=3.0 * ratio, real_diversity=3.0) for name, ratio in ratios.items()
    }
    return SimpleNamespace(network="some-features", by_condition=qualities)


def test_only_what_is_below_the_line_is_named_with_its_figure():
    (message,) = CollapseAlarm().check(report(nf1=0.31, tsc=DIVERSITY_ALARM, ml=1.2))
    assert message.startswith("nf1 is collapsing")
    assert "0.31" in message
    assert "some-features" in message
    assert "sampling=balanced" in message


def test_is_raised_once_until_the_condition_recovers():
    alarm = CollapseAlarm()
    counts = [len(alarm.check(report(a=a, b=b))) for a, b in [(0.3, 0.9), (0.2, 0.4), (0.7, 0.1), (0.4, 0.1)]]
    assert counts == [1, 1, 0, 1]  # a; b; none; a again


@pytest.mark.parametrize("real", [0.0, math.nan])
def test_real_images_without_diversity_raise_nothing(real):
    quality = SimpleNamespace(diversity=0.0, real_diversity=real)
    assert CollapseAlarm().check(SimpleNamespace(network="n", by_condition={"a": quality})) == []


@pytest.mark.parametrize("pictures", [1, 2, 4, 10])
def test_the_line_lies_at_two_pictures_shown_equally_often(pictures):
    """Mean distance of all pairs among k equidistant points, against that of endless different ones."""
    shown = [index % pictures for index in range(40 * pictures)]
    pairs = [(a != b) for a in shown for b in shown]
    ratio = diversity_ratio(sum(pairs) / len(pairs), 1.0)
    assert ratio == pytest.approx(1 - 1 / pictures)
    assert (ratio < DIVERSITY_ALARM) == (pictures == 1)

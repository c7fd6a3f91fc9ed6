"""The copying alarm: both tests must reject, and a condition is named once until it recovers."""

import pytest

from morphoscope.generate.metrics import Copying, CopyingReport
from morphoscope.generate.training.copying_alarm import CopyingAlarm, copied_conditions
from morphoscope.runtime.statistics import Estimate


def test_of(p_value, pull_p_value):
    return Copying(100, 80, 40, 30, Estimate(0.9, 0.8, 0.95), -5.0, p_value, 0.5, pull_p_value)


test_of.__test__ = False
COPIES, HONEST, BLURRED = test_of(1e-9, 2e-4), test_of(0.4, 0.6), test_of(1e-9, 0.3)


def report(**by_condition):
    return CopyingReport("some-features", HONEST, by_condition)


@pytest.mark.parametrize("harmless", [HONEST, BLURRED, test_of(0.3, 2e-4), test_of(0.004, 0.004)])
def test_both_tests_must_reject_with_allowance_for_their_number(harmless):
    assert copied_conditions(report(a=harmless, b=COPIES)) == {"b": COPIES}


def test_an_alarm_is_raised_once_until_the_condition_recovers():
    alarm = CopyingAlarm()
    reports = [report(a=HONEST), report(a=COPIES), report(a=COPIES), report(a=HONEST), report(a=COPIES), None]
    messages = [alarm.check(one) for one in reports]
    assert [message is not None for message in messages] == [False, True, False, False, True, False]
    assert "a 0.90 (features of some-features)" in messages[1]

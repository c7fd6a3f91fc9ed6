"""Stages by name become stages by index."""

import pytest

from morphoscope.configs import UserError
from morphoscope.generate.training.stages import stage_indices

CONDITIONS = ["early", "healthy", "intermediate", "late"]


def test_names_become_indices():
    assert stage_indices({"intermediate": ("early", "late")}, CONDITIONS) == [[2, 0, 3]]
    assert stage_indices({}, CONDITIONS) == []


@pytest.mark.parametrize(
    ("stages", "reason"),
    [
        (
            {"intermediate": ("early", "lat")},
            "'lat' is not one of early, healthy, intermediate, late",
        ),
        ({"middle": ("early", "late")}, "stages: 'middle' is not one of"),
        ({"intermediate": ("early", "early")}, "'intermediate' lies between 'early' and itself"),
        ({"intermediate": ("early", "late"), "late": ("healthy", "intermediate")}, "'late', an end of"),
    ],
)
def test_the_error_names_the_condition(stages, reason):
    with pytest.raises(UserError, match=reason):
        stage_indices(stages, CONDITIONS)

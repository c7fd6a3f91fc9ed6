"""A tiny model, and settings that take a second."""

import pytest

from morphoscope.configs.projection import Projecting
from morphoscope.generate import load


@pytest.fixture(scope="session")
def model(tiny_snapshot):
    return load(tiny_snapshot)


@pytest.fixture
def quick():
    """quick(**settings) -> settings of a short projection."""

    def make(**changed):
        steps = {"search_steps": 4, "w_steps": 6, "w_plus_steps": 6, "tuning_steps": 6}
        return Projecting(
            **{"candidates": 8, "starts": 2, "film": False, "morph_steps": 3, **steps, **changed}
        )

    return make

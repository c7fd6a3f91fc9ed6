"""The transition from unconditional to conditional training."""

import pytest

from morphoscope.configs.generator import GeneratorTraining
from morphoscope.generate.training.transition import label_influence


@pytest.mark.parametrize(
    ("images_seen", "expected"), [(0, 0), (2000, 0), (2500, 0.125), (4000, 0.5), (6000, 1), (90_000, 1)]
)
def test_linear_between_its_ends(images_seen, expected):
    config = GeneratorTraining(transition_start_kimg=2, transition_end_kimg=6).resolved()
    assert label_influence(config, images_seen) == pytest.approx(expected)


def test_without_a_transition_labels_have_full_influence_from_the_start():
    assert label_influence(GeneratorTraining().resolved(), 0) == 1.0

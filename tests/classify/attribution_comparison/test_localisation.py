"""Pointing game and proportion of attribution inside the lesion mask, on known maps."""

import numpy as np
import pytest

from morphoscope.classify.attribution_comparison.localisation import points_at, proportion_inside

MASK = np.zeros((10, 10), bool)
MASK[:5, :4] = True  # a fifth of the image


def test_the_maximum_decides_the_pointing_game() -> None:
    attribution = MASK.astype(float)
    assert points_at(attribution, MASK)
    attribution[9, 9] = 2
    assert not points_at(attribution, MASK)


def test_a_map_without_evidence_points_nowhere() -> None:
    mask = np.ones((4, 4), bool)
    for attribution in (np.zeros((4, 4)), np.full((4, 4), -1.0)):
        assert not points_at(attribution, mask)
        assert proportion_inside(attribution, mask) == 0


def test_proportion_counts_positive_attribution_only() -> None:
    attribution = np.where(MASK, 3.0, 0.0)
    attribution[9, :] = 2  # 60 inside, 20 outside
    attribution[8, :] = -100
    assert proportion_inside(attribution, MASK) == pytest.approx(0.75)


def test_a_constant_map_gives_the_lesions_fraction_of_the_image() -> None:
    assert proportion_inside(np.ones((10, 10)), MASK) == pytest.approx(MASK.mean())

"""Deletion and insertion curves of a classifier that counts bright pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphoscope.classify.attribution_comparison.faithfulness import area, curves, replacement_image

IMAGE = np.zeros((8, 8, 3), np.uint8)
IMAGE[:2] = 255  # a quarter of the pixels
BLACK = np.zeros_like(IMAGE)


def bright(images: np.ndarray) -> np.ndarray:
    """The fraction of the bright quarter that is present, float64 [N]."""
    return (images[..., 0] == 255).mean(axis=(1, 2)) * 4


def test_the_best_order_deletes_the_evidence_first() -> None:
    found = curves(bright, IMAGE, (IMAGE[..., 0] > 0).astype(float), BLACK, 8)
    np.testing.assert_allclose(found.deletion, [1, 0.5, 0, 0, 0, 0, 0, 0, 0])
    np.testing.assert_allclose(found.insertion, [0, 0.5, 1, 1, 1, 1, 1, 1, 1])
    assert found.deleted == pytest.approx(1 / 8)  # trapezoids of width 1/8: 0.75 / 8 + 0.25 / 8
    assert found.inserted == pytest.approx(7 / 8)


def test_the_worst_order_deletes_it_last() -> None:
    found = curves(bright, IMAGE, -(IMAGE[..., 0] > 0).astype(float), BLACK, 8)
    assert found.deleted == pytest.approx(7 / 8)
    assert found.inserted == pytest.approx(1 / 8)


def test_ties_are_broken_at_random_by_seed() -> None:
    """Otherwise the zeros of a map would be deleted row by row, the bright first rows before the others."""
    flat = np.zeros((8, 8))
    areas = [curves(bright, IMAGE, flat, BLACK, 16, seed).deleted for seed in range(40)]
    assert np.mean(areas) == pytest.approx(0.5, abs=0.03)
    assert curves(bright, IMAGE, flat, BLACK, 16, 3).deleted == areas[3]


@given(st.integers(0, 10_000), st.integers(2, 20))
def test_curves_run_between_the_image_and_its_replacement(seed: int, points: int) -> None:
    attribution = np.random.default_rng(seed).normal(size=(8, 8))
    found = curves(bright, IMAGE, attribution, BLACK, points)
    assert found.deletion[[0, -1]].tolist() == found.insertion[[-1, 0]].tolist() == [1, 0]
    assert (np.diff(found.deletion) <= 0).all() and (np.diff(found.insertion) >= 0).all()
    np.testing.assert_allclose(found.deletion + found.insertion, 1)


def test_area_is_the_integral_from_zero_to_one() -> None:
    assert area(np.full(5, 0.3)) == pytest.approx(0.3)
    assert area(np.linspace(0, 1, 9)) == pytest.approx(0.5)


def test_replacements() -> None:
    image = np.zeros((40, 40, 3), np.uint8)
    image[18:22, 18:22] = 250
    assert (replacement_image(image, "mean") == round(250 * 16 / 1600)).all()
    assert replacement_image(image, "blurred").max() < 50
    assert (replacement_image(image, "white") == 255).all()

"""Overlays: their colours, their size and their legends."""

import numpy as np

from morphoscope.classify import legend, overlay


def test_overlay_is_red_for_evidence_and_blue_against() -> None:
    image = np.full((60, 60, 3), 128, np.uint8)
    evidence = np.zeros((60, 60), np.float32)
    evidence[5:25, 5:25], evidence[35:55, 35:55] = 1, -1
    drawn = overlay(image, evidence)
    assert drawn.shape == image.shape and drawn.dtype == np.uint8
    assert drawn[15, 15, 0] > drawn[15, 15, 2] + 50  # red
    assert drawn[45, 45, 2] > drawn[45, 45, 0] + 50  # blue
    np.testing.assert_allclose(drawn[15, 45], 128, atol=2)
    np.testing.assert_allclose(overlay(image, np.zeros((60, 60), np.float32)), 128, atol=2)
    assert legend(300, 44).shape == (44, 300, 3)


def test_an_overlay_of_a_large_photograph_is_drawn_smaller() -> None:
    """It shows the same as an overlay of the smaller photograph."""
    rng = np.random.default_rng(0)
    small = np.repeat(np.repeat(rng.integers(60, 200, (30, 40, 3), dtype=np.uint8), 40, axis=0), 40, axis=1)
    evidence = np.zeros(small.shape[:2], np.float32)
    evidence[200:500, 200:500], evidence[700:1000, 900:1400] = 1, -1
    large, spread = (np.repeat(np.repeat(array, 2, axis=0), 2, axis=1) for array in (small, evidence))
    assert small.shape == (1200, 1600, 3) and large.shape == (2400, 3200, 3)
    for signed in (True, False):
        drawn, expected = overlay(large, spread / 4, signed), overlay(small, evidence, signed)
        assert drawn.shape == expected.shape == small.shape
        assert np.abs(drawn.astype(int) - expected).max() <= 2
    assert overlay(np.zeros((1, 4000, 3), np.uint8), np.ones((1, 4000), np.float32)).shape == (1, 1600, 3)


def test_shrinking_an_overlay_averages_pixels() -> None:
    checks = np.zeros((3200, 3200, 3), np.uint8)
    checks[::2, ::2] = checks[1::2, 1::2] = 200
    drawn = overlay(checks, np.zeros((3200, 3200), np.float32))
    np.testing.assert_allclose(drawn, 100, atol=2)


def test_an_unsigned_overlay_shows_strength_in_other_colours() -> None:
    image = np.full((60, 60, 3), 128, np.uint8)
    strength = np.zeros((60, 60), np.float32)
    strength[5:25, 5:25], strength[35:55, 35:55] = 1, 0.4
    drawn = overlay(image, strength, signed=False).astype(int)
    assert drawn[15, 15, :2].min() > drawn[15, 15, 2] + 100  # yellow
    assert drawn[45, 45, 1:].min() > drawn[45, 45, 0]  # blue-green in between
    np.testing.assert_allclose(drawn[15, 45], 128, atol=2)


def test_each_legend_ends_in_its_overlays_colours() -> None:
    for signed, ends in ((True, ((5, 48, 97), (103, 0, 31))), (False, ((68, 1, 84), (253, 231, 37)))):
        bar = legend(300, 44, signed)
        assert bar.shape == (44, 300, 3)
        np.testing.assert_allclose(bar[10, [10, 289]], ends, atol=1)

"""Arrangements of lesions: apart, crowded where a site has them, along lines, on one side of the midline."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morphoscope.cohort.phantom.arrangements import (
    blaschko_lines,
    crowded,
    scattered,
    stopped_at_midline,
    streaks,
)
from morphoscope.cohort.phantom.sites import Scene, Site


def scene(name: str, seed: int = 0, size: int = 128) -> Scene:
    return Scene(Site.draw(np.random.default_rng(seed), name, "focused"), size)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), number=st.integers(1, 20), gap=st.floats(0, 0.05))
def test_scattered_discs_keep_their_distance(seed: int, number: int, gap: float) -> None:
    rng = np.random.default_rng(seed)
    discs = scattered(rng, rng.uniform(0.02, 0.12, number), gap, 0.1)
    assert discs
    for i, (x, y, radius) in enumerate(discs):
        assert 0.1 <= x <= 0.9 and 0.1 <= y <= 0.9
        assert all(np.hypot(x - px, y - py) > radius + other + gap for px, py, other in discs[:i])


def test_freckles_crowd_at_the_crease() -> None:
    fold = scene("fold")
    along = np.linspace(-1, 1, 99)
    crease = np.array(
        [fold.image_position(*at) for at in zip(along, fold.site.crease_position(along), strict=True)]
    )

    def distance(points: np.ndarray) -> float:
        return float(np.median(np.linalg.norm(points[:, None] - crease, axis=2).min(axis=1)))

    crowd, anywhere = crowded(np.random.default_rng(1), fold, 300), np.random.default_rng(2).random((300, 2))
    assert distance(crowd) < 0.5 * distance(anywhere)


def test_lines_form_a_v_at_the_spine_and_run_along_a_limb() -> None:
    rng = np.random.default_rng(3)
    back, limb = scene("back"), scene("limb")
    lines = blaschko_lines(rng, back, whorl=0.0)
    aside = np.sign(back.u - back.site.midline)
    _, slope = np.gradient(lines.across)
    assert np.mean(slope[aside > 0]) < 0 < np.mean(slope[aside < 0])
    down, right = np.gradient(blaschko_lines(rng, limb, whorl=0.0).across)
    assert np.abs(right).mean() > 2 * np.abs(down).mean()


@pytest.mark.parametrize("covered", [0.2, 0.4])
def test_streaks_follow_the_lines_and_cover_what_they_should(covered: float) -> None:
    limb = scene("limb")
    rng = np.random.default_rng(4)
    weight = streaks(
        rng, blaschko_lines(rng, limb, whorl=0.0), bands=10, broken=1.5, covered=covered, ragged=0.1, soft=0.3
    )
    assert weight.min() == 0 and weight.max() == 1
    assert (weight >= 0.5).mean() == pytest.approx(covered, abs=0.05)
    down, right = np.gradient(weight)
    assert np.abs(right).mean() > 1.5 * np.abs(down).mean()


@pytest.mark.parametrize("side", [-1, 1])
def test_what_stops_at_the_midline_stays_on_its_side(side: int) -> None:
    back = scene("back")
    weight = stopped_at_midline(np.ones_like(back.u), back, side, np.random.default_rng(5))
    beyond = side * (back.u - back.site.midline)
    assert (weight[beyond > 0.05] == 1).all() and (weight[beyond < -0.05] == 0).all()

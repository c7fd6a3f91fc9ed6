"""Attribution maps: agreement of the folds, error of the integral, and resampling to the photograph."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphoscope.classify import Attribution
from morphoscope.classify.attribution.maps import onto_image, rank_correlation
from morphoscope.configs.attribution import Method


def attribution(
    per_fold: np.ndarray,
    method: Method = "integrated_gradients",
    difference: float | None = 0.5,
    deltas: Sequence[float] | None = (0.0,),
) -> Attribution:
    of_folds = None if deltas is None else np.array(deltas)
    return Attribution(per_fold.mean(axis=0), per_fold, difference, of_folds, "red", method, None)


def test_agreement_is_the_mean_rank_correlation_of_all_pairs_of_folds() -> None:
    rising = np.arange(16, dtype=np.float32).reshape(4, 4)
    assert attribution(np.stack([rising, rising**3])).agreement == pytest.approx(1)  # ranks only
    assert attribution(np.stack([rising, -rising])).agreement == pytest.approx(-1)
    # pairs: +1, -1, -1
    assert attribution(np.stack([rising, 2 * rising, -rising])).agreement == pytest.approx(-1 / 3)
    assert attribution(rising[None]).agreement is None


def test_a_constant_map_has_no_correlation() -> None:
    assert rank_correlation(np.zeros((3, 3)), np.arange(9).reshape(3, 3)) == 0


def test_an_error_above_five_percent_of_the_difference_gives_a_warning_and_what_to_do() -> None:
    maps = np.ones((2, 4, 4), np.float32)
    assert attribution(maps, difference=0.5, deltas=(0.02, -0.02)).warning is None
    for difference, deltas in ((0.5, (0.0, 0.03)), (-0.5, (-0.03, 0.03)), (0.5, (0.03, -0.04))):
        found = attribution(maps, difference=difference, deltas=deltas)
        assert "more steps" in (found.warning or "")
        assert f"{found.convergence_delta:+.4f}" in (found.warning or "")
    assert found.convergence_delta == -0.04  # the largest one, with its sign
    # Nothing to explain, no error.
    assert attribution(maps, difference=0.0, deltas=(1e-7, 0.0)).warning is None
    assert attribution(maps, "gradcam", None, None).warning is None


def test_which_methods_are_signed() -> None:
    maps = np.ones((1, 4, 4), np.float32)
    assert attribution(maps).signed and attribution(maps, "occlusion").signed
    assert not attribution(maps, "gradcam").signed and not attribution(maps, "smoothgrad").signed


@given(st.integers(8, 80), st.integers(8, 80))
def test_a_cropped_map_keeps_its_sum_and_leaves_the_margin_empty(height: int, width: int) -> None:
    square_map = np.ones((16, 16), np.float32)
    spread = onto_image(square_map, (height, width), "crop")
    assert spread.shape == (height, width)
    assert spread.sum() == pytest.approx(256, rel=1e-3)
    side = min(height, width)
    assert np.count_nonzero(spread) == side * side


def test_a_letterboxed_map_drops_the_margin() -> None:
    square_map = np.zeros((16, 16), np.float32)
    square_map[4:12] = 1  # the band that a 2:1 image fills
    spread = onto_image(square_map, (16, 32), "letterbox")
    assert spread.shape == (16, 32)
    assert (spread[1:-1] > 0.24).all()

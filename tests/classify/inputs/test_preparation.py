"""Preparation of inputs: squares of any image, pairs, and the form of each input."""

import numpy as np
import pytest

from morphoscope.classify.inputs.preparation import InputPreparation
from morphoscope.configs import UserError

SINGLE = InputPreparation(8, "crop", dual=False)
PAIRS = InputPreparation(8, "crop", dual=True)


def test_images_become_squares_as_in_training() -> None:
    wide = np.zeros((16, 32, 3), np.uint8)
    wide[:, 6:26] = 255  # more than the central square, since edges are antialiased
    assert SINGLE.inputs([wide]).shape == (1, 8, 8, 3) and (SINGLE.inputs([wide]) > 250).all()
    letterbox = InputPreparation(8, "letterbox", dual=False).inputs([wide])[0]
    assert not letterbox[0].any() and (letterbox[4, 4] > 250).all()
    assert SINGLE.forms(SINGLE.inputs([wide, wide])).tolist() == ["whole", "whole"]


def test_the_form_of_a_pair_is_that_of_the_photographs_present() -> None:
    photo = np.full((20, 10, 3), 9, np.uint8)
    shown = [PAIRS.pair(photo, photo), PAIRS.pair(photo, None), PAIRS.pair(None, photo)]
    inputs = PAIRS.inputs(shown)
    assert inputs.shape == (3, 8, 16, 3)
    assert PAIRS.forms(inputs).tolist() == ["whole", "focused", "panoramic"]
    assert not inputs[1, :, 8:].any() and not inputs[2, :, :8].any()


@pytest.mark.parametrize(
    "bad", [np.zeros((8, 8, 3)), np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8)]
)
def test_only_uint8_rgb_is_accepted(bad: np.ndarray) -> None:
    with pytest.raises(UserError, match="uint8 RGB"):
        SINGLE.inputs([bad])
    with pytest.raises(UserError, match="uint8 RGB"):
        PAIRS.pair(bad, None)

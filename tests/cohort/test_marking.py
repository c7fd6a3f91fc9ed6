"""The printed mark of synthesis: below the image, readable, with how the image was made."""

import numpy as np
import pytest

from morphoscope.cohort import Provenance
from morphoscope.cohort.marking import READABLE_WIDTH, marked, readably_marked

PROVENANCE = Provenance(generator="ab", label={"café-au-lait": 1.0}, seed=3, psi=0.7)


def test_strip_is_added_and_the_picture_is_left_as_it_is() -> None:
    image = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    result = marked(image, "50% dark + 50% pale")
    assert (result[:256] == image).all()
    strip = result[256:]
    assert len(strip) >= 25
    assert (strip.reshape(-1, 3) == (255, 209, 102)).all(axis=1).any()  # the word SYNTHETIC, in yellow
    assert (strip[16:].min(axis=2) > 150).any()  # the provenance, in white


@pytest.mark.parametrize("width", [16, 90, 512])
def test_long_provenance_fits(width: int) -> None:
    result = marked(np.zeros((width, width, 3), np.uint8), "a very long condition name + another one " * 2)
    assert result.shape[1] == width
    if width == 512:  # at tiny sizes the text is cut rather than illegible
        assert (result[width:, -8:] == (23, 37, 42)).all()


@pytest.mark.parametrize(("side", "factor"), [(16, 24), (100, 4), (384, 1), (400, 1)])
def test_small_images_are_enlarged_by_a_whole_factor(side, factor):
    result = readably_marked(np.full((side, side, 3), 99, np.uint8), PROVENANCE)
    shown = result[: factor * side]
    assert result.shape[1] == factor * side >= READABLE_WIDTH
    assert (shown == 99).all()
    np.testing.assert_array_equal(result, marked(shown, PROVENANCE.summary))

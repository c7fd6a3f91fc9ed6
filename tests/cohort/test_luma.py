"""Grey images: the values that Pillow computes."""

import numpy as np
from PIL import Image

from morphoscope.cohort.luma import LUMA_WEIGHTS, in_grey


def test_luma_is_that_of_pillow():
    images = np.random.default_rng(0).integers(0, 256, (3, 40, 30, 3), np.uint8)
    images[0] = images[0, :, :, :1]  # grey already
    found = in_grey(images)
    for image, grey in zip(images, found, strict=True):
        expected = np.asarray(Image.fromarray(image).convert("L"))
        np.testing.assert_array_equal(grey, np.repeat(expected[..., None], 3, axis=-1))
    np.testing.assert_array_equal(found[0], images[0])
    assert sum(LUMA_WEIGHTS) == 1

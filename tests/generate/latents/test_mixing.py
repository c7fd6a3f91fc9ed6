"""Style mixing, and the triangle of three ends."""

import numpy as np
import pytest

from morphoscope.configs import UserError
from morphoscope.generate.latents import End
from morphoscope.generate.latents.mixing import mix_styles, triangle, triangle_weights

EARLY, MIDDLE, LATE = ({name: 1.0} for name in ("early", "middle", "late"))


def test_all_layers_are_the_column_and_its_own_styles_the_row(model):
    rows, columns = [End(1, EARLY), End(2, LATE)], [End(1, EARLY), End(3, MIDDLE)]
    everything = mix_styles(model, rows, columns, range(6))
    for row in everything:
        np.testing.assert_array_equal(row[0], model.sample("early", [1])[0])
        np.testing.assert_array_equal(row[1], model.sample("middle", [3])[0])
    some = mix_styles(model, rows, columns, range(2, 4))
    assert some.shape == (2, 2, 16, 16, 3)
    np.testing.assert_array_equal(some[0, 0], model.sample("early", [1])[0])
    assert (some[1, 1] != everything[1, 1]).any() and (some[1, 1] != model.sample("late", [2])[0]).any()


def test_weights_of_a_triangle():
    weights = triangle_weights(4)
    assert len(weights) == 10
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    assert (weights >= 0).all()
    np.testing.assert_array_equal(weights[[0, 6, 9]], np.eye(3))


@pytest.mark.parametrize("way", ["label", "w"])
def test_corners_of_a_triangle_are_the_samples(model, way):
    images = triangle(model, (End(3, EARLY), End(3, MIDDLE), End(3, LATE)), 3, way)
    for index, name in ((0, "early"), (3, "middle"), (5, "late")):
        np.testing.assert_allclose(images[index].astype(int), model.sample(name, [3])[0].astype(int), atol=1)


def test_inside_of_a_triangle_by_labels_is_the_mixture(model):
    images = triangle(model, (End(3, EARLY), End(3, MIDDLE), End(3, LATE)), 3)
    np.testing.assert_array_equal(images[1], model.sample({"early": 0.5, "middle": 0.5}, [3])[0])


def test_what_cannot_be_mixed(model, photograph):
    with pytest.raises(UserError, match="one seed"):
        triangle(model, (End(3, EARLY), End(4, MIDDLE), End(3, LATE)), 3)
    with pytest.raises(UserError, match="tuned weights"):
        mix_styles(model, [End(photograph, EARLY)], [End(3, LATE)], range(2))
    with pytest.raises(UserError, match="layers 0-5"):
        mix_styles(model, [End(1, EARLY)], [End(3, LATE)], range(4, 9))

"""The measured tone of skin: colours of known CIELAB values, black corners, and the phantoms' true tones."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from morphoscope.classify.certainty.skin_tone import category, typology_angle
from morphoscope.cohort.phantom.drawing import PHANTOM_CONDITIONS, phantom_image


def plain(colour: tuple[int, int, int]) -> np.ndarray:
    return np.full((64, 64, 3), colour, np.uint8)


def test_angle_of_a_known_colour() -> None:
    # sRGB (194, 150, 130) is L* 65.76, a* 13.06, b* 16.86 under D65: arctan(15.76 / 16.86) = 43.1 degrees.
    assert typology_angle(plain((194, 150, 130))) == pytest.approx(43.1, abs=1.0)
    assert typology_angle(plain((70, 45, 35))) < -30


def test_lesions_and_black_corners_do_not_count() -> None:
    image = plain((194, 150, 130))
    wanted = typology_angle(image)
    image[12:52, 12:52] = (60, 30, 20)
    y, x = np.mgrid[:64, :64] - 31.5
    image[np.hypot(x, y) > 36] = 0
    assert typology_angle(image) == pytest.approx(wanted, abs=0.01)
    assert np.isnan(typology_angle(plain((0, 0, 0))))


def test_a_lesion_that_reaches_the_border_does_not_count_where_it_is_known() -> None:
    image = plain((194, 150, 130))
    wanted = typology_angle(image)
    lesion = np.zeros((64, 64), bool)
    lesion[:, 10:] = True
    image[lesion] = (60, 30, 20)
    assert typology_angle(image) < wanted - 60
    assert typology_angle(image, lesion) == pytest.approx(wanted, abs=0.01)
    lesion[:, 2:] = True
    assert np.isnan(typology_angle(image, lesion))  # too little skin is left
    assert np.isnan(typology_angle(image, np.ones_like(lesion)))  # none is
    empty = np.zeros_like(lesion)
    assert typology_angle(image, empty) == typology_angle(image)  # an empty mask counts as an unknown lesion


def test_categories_are_those_of_chardon() -> None:
    angles = [60, 55, 41, 28, 10, -30, -60]
    assert [category(angle) for angle in angles] == [
        "very light",
        "light",
        "intermediate",
        "tan",
        "brown",
        "dark",
        "dark",
    ]
    assert category(float("nan")) is None


def test_phantoms_are_ranked_by_their_true_tone() -> None:
    images = [phantom_image(name, 2 * i, size=64) for name in PHANTOM_CONDITIONS for i in range(8)]
    measured = [typology_angle(drawn.image) for drawn in images]
    true = [drawn.skin_tone for drawn in images]
    assert spearmanr(measured, true).statistic > 0.9

"""Skin tones: the colour has the angle that it was asked for; phototypes divide the scale."""

import cv2
import numpy as np
import pytest

from morphoscope.cohort.phantom.tones import DARKEST, LIGHTEST, Tone, phototype, skin_colour


def test_skin_colour_has_the_requested_typology_angle() -> None:
    for ita in (-45.0, -10.0, 25.0, 55.0):
        lab = cv2.cvtColor(skin_colour(ita).reshape(1, 1, 3), cv2.COLOR_LRGB2LAB)[0, 0]
        assert np.degrees(np.arctan2(lab[0] - 50, lab[2])) == pytest.approx(ita, abs=1.0)


def test_skin_darkens_steadily_along_the_scale() -> None:
    densities = [Tone(ita).density.mean() for ita in np.linspace(LIGHTEST, DARKEST, 30)]
    assert (np.diff(densities) > 0).all()


def test_phototypes_divide_the_scale() -> None:
    tones = {60: "I", 48: "II", 34.5: "III", 19: "IV", -12: "V", -45: "VI"}
    assert {ita: phototype(ita) for ita in tones} == tones


def test_each_phototype_has_its_own_contrast() -> None:
    dark, light = Tone(DARKEST), Tone(LIGHTEST)
    assert dark.pigment > light.pigment
    assert dark.redness < light.redness
    assert dark.loss < light.loss

"""The chart of a morph, which needs no page and no Gradio."""

import re
import subprocess
import sys

import numpy as np
import pytest

from morphoscope.apps.morph_chart import draw_curve
from morphoscope.apps.morphing import Curve, Morph
from morphoscope.classify import Prediction, combine


@pytest.fixture
def curve() -> Curve:
    """Two conditions and two models; the third of four frames is unsure."""
    pale = np.array([[0.1, 0.3, 0.5, 0.9], [0.2, 0.4, 0.5, 0.8]], np.float32)
    per_fold = np.stack([1 - pale, pale], axis=2)
    prediction = Prediction(["dark", "pale"], per_fold, *combine(per_fold))
    return curve_of(prediction)


def curve_of(prediction: Prediction) -> Curve:
    """A morph between the first two conditions; its frames are black."""
    a, b = prediction.conditions[:2]
    frames = len(prediction.combined)
    images = np.zeros((frames, 2, 2, 3), np.uint8)
    return Curve(Morph.between(a, b, seed=3, psi=0.7), np.linspace(0, 1, frames), images, prediction)


def test_unsure_frames_are_explained_only_where_there_are_some(curve: Curve) -> None:
    sure = curve_of(_first(curve.prediction, 2))
    assert "grey: unsure" in draw_curve(curve)
    assert "grey: unsure" not in draw_curve(sure)


def test_long_names_stay_inside_the_chart() -> None:
    names = [
        "actinic keratosis",
        "basal cell carcinoma",
        "benign keratosis-like lesion",
        "dermatofibroma",
        "melanoma",
        "melanocytic naevus",
        "vascular lesion",
    ]
    per_fold = np.full((1, 4, 7), 1 / 7, np.float32)
    prediction = Prediction(names, per_fold, *combine(per_fold))
    svg = draw_curve(curve_of(prediction))
    width, height = (float(side) for side in re.findall(r'(?:width|height)="([\d.]+)pt"', svg)[:2])
    for name in names:
        found = re.search(rf"<!-- {name} -->\s*<g[^>]*translate\(([-\d.]+) ([-\d.]+)\)", svg)
        assert found is not None, name
        assert 0 < float(found.group(1)) < width - 5 * len(name)  # a letter is about 5 points wide
        assert 0 < float(found.group(2)) < height


def test_same_curve_is_drawn_in_the_same_bytes(curve: Curve) -> None:
    assert draw_curve(curve) == draw_curve(curve)


def test_morphs_charts_and_the_demo_need_no_gradio() -> None:
    modules = ", ".join(f"morphoscope.apps.{name}" for name in ("morphing", "morph_chart", "demo"))
    program = f"import sys, {modules}; sys.exit('gradio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def _first(prediction: Prediction, frames: int) -> Prediction:
    per_fold = prediction.per_fold[:, :frames]
    return Prediction(prediction.conditions, per_fold, *combine(per_fold))

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
    return Curve(Morph("dark", "pale", seed=3, psi=0.7), np.linspace(0, 1, 4), prediction)


def test_marker_stands_where_the_share_is(curve: Curve) -> None:
    chart = draw_curve(curve)
    assert 0 < chart.left < chart.right
    for share, x in [(0, chart.left), (1, chart.right)]:
        found = re.search(r'class="curve-marker".*?x1="([\d.]+)"', chart.with_marker(share))
        assert found is not None
        assert float(found.group(1)) == pytest.approx(x, abs=0.01)


def test_unsure_frames_are_explained_only_where_there_are_some(curve: Curve) -> None:
    sure = Curve(curve.morph, curve.shares[:2], _first(curve.prediction, 2))
    assert "grey: unsure" in draw_curve(curve).svg
    assert "grey: unsure" not in draw_curve(sure).svg


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
    svg = draw_curve(Curve(Morph(names[0], names[4], 0, 0.7), np.linspace(0, 1, 4), prediction)).svg
    width, height = (float(side) for side in re.findall(r'(?:width|height)="([\d.]+)pt"', svg)[:2])
    for name in names:
        found = re.search(rf"<!-- {name} -->\s*<g[^>]*translate\(([-\d.]+) ([-\d.]+)\)", svg)
        assert found is not None, name
        assert 0 < float(found.group(1)) < width - 5 * len(name)  # a letter is about 5 points wide
        assert 0 < float(found.group(2)) < height


def test_narrow_chart_keeps_its_labels(curve: Curve) -> None:
    wide, narrow = draw_curve(curve).svg, draw_curve(curve, narrow=True).svg
    widths = [float(re.findall(r'width="([\d.]+)pt"', svg)[0]) for svg in (wide, narrow)]
    assert widths[1] < 0.7 * widths[0]
    assert narrow.count("scale(0.09") == wide.count("scale(0.09") > 0  # glyphs of 9 points


def test_colours_of_the_paper_follow_the_page(curve: Curve) -> None:
    svg = draw_curve(curve).with_marker(0.5)
    for name in ("paper", "ink", "grid", "axis", "marker"):
        assert f"var(--chart-{name}, #" in svg
    assert not re.search(r"(?<!, )#(ffffff|5b6b73|e3e8ea|c3ccd0)", svg)


def test_same_curve_is_drawn_in_the_same_bytes(curve: Curve) -> None:
    assert draw_curve(curve).svg == draw_curve(curve).svg


def test_morphs_charts_and_the_demo_need_no_gradio() -> None:
    modules = ", ".join(f"morphoscope.apps.{name}" for name in ("morphing", "morph_chart", "demo"))
    program = f"import sys, {modules}; sys.exit('gradio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def _first(prediction: Prediction, frames: int) -> Prediction:
    per_fold = prediction.per_fold[:, :frames]
    return Prediction(prediction.conditions, per_fold, *combine(per_fold))

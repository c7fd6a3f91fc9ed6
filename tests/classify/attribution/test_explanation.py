"""The picture of an explanation: image and map at a readable size, beside or below each other, with texts."""

import numpy as np
import pytest
from PIL import Image

from morphoscope.classify import Attribution, write_explanation
from morphoscope.classify.attribution import explanation
from morphoscope.classify.attribution.explanation import draw_explanation
from morphoscope.cohort import Provenance
from morphoscope.cohort.provenance import read_provenance

CONDITION = "NF1 (neurofibromatosis type 1)"


def attribution(height, width, method="integrated_gradients", folds=2):
    map_ = np.random.default_rng(0).normal(size=(height, width)).astype(np.float32)
    per_fold = np.stack([map_] * folds)
    return Attribution(map_, per_fold, None, None, "NF1", method, None)


def flat(height, width):
    return np.full((height, width, 3), (200, 120, 40), np.uint8)


def extent(picture):
    """Top, left, height and width of the image in a picture of an explanation."""
    found = np.argwhere((np.asarray(picture) == (200, 120, 40)).all(axis=2))
    top, left = found.min(axis=0)
    height, width = found.max(axis=0) - (top, left) + 1
    assert len(found) == height * width  # nothing covers it
    return top, left, height, width


@pytest.mark.parametrize(
    ("size", "shown"),
    [((16, 16), (480, 480)), ((600, 500), (600, 500)), ((2048, 1024), (1024, 512)), ((1, 300), (2, 480))],
)
def test_the_image_is_beside_the_map_at_a_readable_size(size, shown):
    picture = draw_explanation(flat(*size), attribution(*size), CONDITION, "photo.jpg")
    top, left, height, width = extent(picture)
    assert (height, width) == shown
    if width <= 1.5 * height:
        assert picture.shape[1] > 2 * width
        assert np.ptp(picture[top : top + height, left + width + 20 :], axis=(0, 1)).any()
    else:
        assert picture.shape[1] < 2 * width
        assert picture.shape[0] > 2 * height


@pytest.mark.parametrize("method", ["integrated_gradients", "gradcam"])
def test_it_carries_condition_file_and_method(method, monkeypatch):
    written = []
    wrapped = explanation.wrapped
    monkeypatch.setattr(
        explanation, "wrapped", lambda text, *rest: written.append(text) or wrapped(text, *rest)
    )
    draw_explanation(flat(64, 64), attribution(64, 64, method), CONDITION, "photo.jpg", ["A note."])
    assert written[:3] == [f"Evidence for {CONDITION}", "photo.jpg", "A note."]


@pytest.mark.parametrize(
    ("method", "baseline", "folds", "title"),
    [
        ("integrated_gradients", "mean", 5, "Integrated gradients, baseline mean, 5 models"),
        ("gradcam", None, 1, "Grad-CAM, 1 model"),
    ],
)
def test_the_title_of_the_map_is_its_method(method, baseline, folds, title):
    found = Attribution(np.zeros((4, 4)), np.zeros((folds, 4, 4)), None, None, "NF1", method, baseline)
    assert explanation._title(found) == title


def test_long_names_are_wrapped(tmp_path):
    short, long = (
        draw_explanation(flat(64, 64), attribution(64, 64), name, name)
        for name in ("NF1", "a long name " * 40)
    )
    assert short.shape[1] == long.shape[1]
    assert long.shape[0] > short.shape[0] + 100


def test_a_synthetic_image_marks_the_picture(tmp_path):
    provenance = Provenance(generator="ab", label={"NF1": 1.0}, seed=3, psi=0.7)
    sizes = []
    for name, made in (("plain.png", None), ("made.png", provenance)):
        write_explanation(
            tmp_path / name, flat(64, 64), attribution(64, 64), CONDITION, "photo.jpg", provenance=made
        )
        with Image.open(tmp_path / name) as picture:
            assert read_provenance(picture) == made
            sizes.append(picture.size)
    assert sizes[0][0] == sizes[1][0] and sizes[0][1] + 40 < sizes[1][1]

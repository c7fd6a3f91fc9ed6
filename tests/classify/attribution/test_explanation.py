"""The figures of an explanation: image and map at a readable size, beside or below each other, with texts."""

import numpy as np
import pytest
from PIL import Image

from morphoscope.classify import Attribution, write_explanation
from morphoscope.classify.attribution import explanation
from morphoscope.classify.attribution.explanation import Subject, draw_explanation, draw_models
from morphoscope.cohort import Provenance
from morphoscope.cohort.marked_files import read_provenance
from morphoscope.runtime.reporting.plots import pixels

CONDITION = "NF1 (neurofibromatosis type 1)"
SUBJECT = Subject(CONDITION, "photo.jpg")


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
    picture = pixels(draw_explanation(flat(*size), attribution(*size), SUBJECT))
    top, left, height, width = extent(picture)
    assert (height, width) == shown
    if width <= 1.5 * height:
        assert picture.shape[1] > 2 * width
        assert np.ptp(picture[top : top + height, left + width + 20 :], axis=(0, 1)).any()
    else:
        assert picture.shape[1] < 2 * width
        assert picture.shape[0] > 2 * height


@pytest.mark.parametrize("method", ["integrated_gradients", "gradcam"])
def test_it_carries_condition_file_and_method(method):
    found = attribution(64, 64, method)
    figure = draw_explanation(flat(64, 64), found, Subject(CONDITION, "photo $1$.jpg", ["A note."]))
    written = [text.get_text() for text in figure.texts]
    for text in (f"Evidence for {CONDITION}", "photo $1$.jpg", explanation._title(found), "A note."):
        assert text in written
    assert ("evidence against" in written) == (method == "integrated_gradients")


@pytest.mark.parametrize(("seen", "columns"), [((64, 64), 3), ((64, 128), 3)])
def test_the_maps_of_the_models_are_compared(seen, columns):
    found = attribution(*seen, folds=4)
    titles = [f"fold {k}: probability 0.{k}00" for k in range(4)]
    figure = draw_models(flat(*seen), found, titles, SUBJECT)
    written = [text.get_text() for text in figure.texts]
    assert set(titles) <= set(written)
    assert any("Mean rank correlation between them: 1.00" in text for text in written)
    *maps, _ = figure.axes  # the last one is the legend
    corners = {axes.get_position().x0 for axes in maps}, {axes.get_position().y0 for axes in maps}
    assert (len(maps), *map(len, corners)) == (4, columns, 2)


def test_a_letter_that_the_font_lacks_is_no_warning(tmp_path, recwarn):
    write_explanation(tmp_path / "map.png", flat(64, 64), attribution(64, 64), "\u5199", "\u771f.png")
    assert not recwarn.list


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


def test_long_names_are_wrapped():
    short, long = (
        draw_explanation(flat(64, 64), attribution(64, 64), Subject(name, name)).bbox.size
        for name in ("NF1", "a long name " * 40)
    )
    assert short[0] == long[0]
    assert long[1] > short[1] + 100
    figure = draw_explanation(flat(64, 64), attribution(64, 64), Subject("W" * 200, "W" * 200))
    pixels(figure)
    assert all(text.get_window_extent().x1 <= figure.bbox.x1 for text in figure.texts)


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
        for suffix, coding in ((".svg", "utf-8"), (".pdf", "utf-16-be")):
            content = (tmp_path / name).with_suffix(suffix).read_bytes()
            assert ("made by a generator".encode(coding) in content) == bool(made)
    assert sizes[0][0] == sizes[1][0] and sizes[0][1] + 40 < sizes[1][1]

"""Sheets: their shape, images in order, names beside them, captions above and below."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morphoscope.generate.sheets import Strip, draw_sheet

PAPER = 255


def images(level, count=1, side=16):
    """Images of one colour, which no letter has."""
    return np.full((count, side, side, 3), (level, 0, 255 - level), np.uint8)


def where(sheet, level):
    """bool [H, W]: pixels of the images of `level`."""
    return (np.asarray(sheet) == (level, 0, 255 - level)).all(axis=2)


@given(
    counts=st.lists(st.integers(0, 30), min_size=1, max_size=8).filter(any),
    side=st.sampled_from([4, 16, 130, 200]),
    caption=st.sampled_from(["", "SYNTHETIC images, generator 0123456789abcdef, not photographs"]),
)
@settings(max_examples=25, deadline=None)
def test_every_image_is_shown_whole_and_once(counts, side, caption):
    levels = [30 * (index + 1) for index in range(len(counts))]
    strips = [Strip("", images(level, count, side)) for level, count in zip(levels, counts, strict=True)]
    sheet = draw_sheet(strips, caption)
    shown = [where(sheet, level).sum() for level in levels]
    area = max(shown) // max(counts)
    assert round(area**0.5) ** 2 == area >= side**2
    assert shown == [count * area for count in counts]


@pytest.mark.parametrize("count", [4, 6, 12, 16, 24, 60])
@pytest.mark.parametrize("side", [64, 256])
def test_a_sheet_of_one_condition_is_near_4_to_3(count, side):
    sheet = draw_sheet(
        [Strip("NF1", images(40, count, side))], "SYNTHETIC images, generator 0123456789abcdef"
    )
    assert 0.75 < sheet.width / sheet.height < 2.35


@pytest.mark.parametrize(
    ("conditions", "count"), [(1, 1), (2, 10), (3, 8), (7, 10), (7, 1), (13, 1), (30, 3)]
)
def test_a_sheet_of_conditions_is_near_4_to_3(conditions, count):
    strips = [Strip(f"condition {index}", images(40, count, 64)) for index in range(conditions)]
    sheet = draw_sheet(strips, "SYNTHETIC images, generator 0123456789abcdef, trained on phantoms")
    assert 0.75 < sheet.width / sheet.height < 2.35


def test_images_are_in_order():
    strips = [Strip("dark", np.concatenate([images(40, 10), images(60, 10)])), Strip("pale", images(200, 5))]
    sheet = draw_sheet(strips)
    first, second, third = (np.argwhere(where(sheet, level))[0].tolist() for level in (40, 60, 200))
    assert first < second < third
    assert first[1] == third[1]


def test_few_images_are_enlarged():
    one, many = (draw_sheet([Strip("a", images(40, count))]) for count in (1, 100))
    assert where(one, 40).sum() == 384**2
    assert where(many, 40).sum() == 100 * 128**2


def test_the_caption_is_wrapped_above_the_images():
    strips = [Strip("a", images(0, 1, 200))]
    plain, captioned = (draw_sheet(strips, caption) for caption in ("", "SYNTHETIC images " * 20))
    assert captioned.width == plain.width
    assert captioned.height > plain.height + 4 * 25
    top = np.asarray(captioned)[: captioned.height - plain.height]
    assert (top < 128).any()
    assert (top[:, -6:] == PAPER).all()


def test_long_names_take_no_more_than_two_images():
    sheet = draw_sheet([Strip("a very long name " * 30, images(0, 4, 200), "in full " * 99)])
    assert sheet.width <= 12 + 2 * 384 + 4 * 386


def test_the_full_name_stands_below_the_name():
    strips = [Strip("NF1", images(0, 4, 384), text) for text in ("", "neurofibromatosis")]
    lowest = []
    for sheet in (draw_sheet([strip], one_row=True) for strip in strips):
        ink = (np.asarray(sheet) < 128).all(axis=2) & ~where(sheet, 0)
        lowest.append(int(np.argwhere(ink)[-1][0]))
    assert lowest[0] < lowest[1] < 384


def test_captions_are_below_their_images():
    strip = Strip("a to b", images(0, 3), captions=["100% a", "50% a + 50% b", "100% b"])
    plain, captioned = (draw_sheet([one], one_row=True) for one in (strip._replace(captions=()), strip))
    assert captioned.width == plain.width
    below = np.asarray(captioned)[plain.height :]
    assert len(below) > 10
    first = captioned.width - 3 * plain.height
    for index in range(3):
        part = below[:, first + index * plain.height :][:, : plain.height]
        assert (part < 100).any()


def test_a_strip_can_stay_in_one_row():
    sheet = draw_sheet([Strip("a to b", images(0, 12))], one_row=True)
    assert sheet.width > 10 * sheet.height

"""Sheets: small images are enlarged, with names beside them and a caption above."""

import numpy as np

from morphoscope.generate.sheets import draw_sheet


def test_cells_show_the_images_in_order():
    strips = [np.full((2, 16, 16, 3), 40, np.uint8), np.full((1, 16, 16, 3), 200, np.uint8)]
    sheet = np.asarray(draw_sheet(["dark", "pale"], strips))
    assert sheet.shape[0] == 2 * 130
    right = sheet[:, -130:-2]  # the second column: one dark cell and an empty one
    assert (right[64] == 40).all()
    assert (right[130 + 64] == 255).all()


def test_caption_is_above_the_images():
    strips = [np.zeros((1, 200, 200, 3), np.uint8)]
    plain, captioned = (draw_sheet(["a"], strips, caption) for caption in ("", "SYNTHETIC"))
    assert captioned.height > plain.height == 202
    assert captioned.width == plain.width


def test_sheet_is_as_wide_as_its_caption():
    strips = [np.zeros((1, 16, 16, 3), np.uint8)]
    captions = ["SYNTHETIC images, " * count for count in (1, 2, 4)]
    sheets = [np.asarray(draw_sheet(["a"], strips, caption)) for caption in captions]
    for sheet in sheets:
        assert (sheet[:24, -6:] == 255).all()  # the caption ends inside the sheet
    one, two, four = (sheet.shape[1] for sheet in sheets)
    assert four - two == 2 * (two - one) > 200

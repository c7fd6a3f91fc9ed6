"""Sheets: small images are enlarged, names and captions stand beside them."""

import numpy as np

from morphoscope.generate.sheets import draw_sheet


def test_cells_show_the_images_in_order():
    rows = [np.full((2, 16, 16, 3), 40, np.uint8), np.full((1, 16, 16, 3), 200, np.uint8)]
    picture = np.asarray(draw_sheet(["dark", "pale"], rows))
    assert picture.shape[0] == 2 * 130
    right = picture[:, -130:-2]  # the second column: one dark cell, then nothing
    assert (right[64] == 40).all()
    assert (right[130 + 64] == 255).all()


def test_caption_takes_room_above():
    rows = [np.zeros((1, 200, 200, 3), np.uint8)]
    plain, captioned = (draw_sheet(["a"], rows, caption) for caption in ("", "SYNTHETIC"))
    assert captioned.height > plain.height == 202
    assert captioned.width == plain.width


def test_canvas_is_as_wide_as_its_caption():
    rows = [np.zeros((1, 16, 16, 3), np.uint8)]
    captions = ["SYNTHETIC images, " * count for count in (1, 2, 4)]
    pictures = [np.asarray(draw_sheet(["a"], rows, caption)) for caption in captions]
    for picture in pictures:
        assert (picture[:24, -6:] == 255).all()  # the caption ends inside the canvas
    one, two, four = (picture.shape[1] for picture in pictures)
    assert four - two == 2 * (two - one) > 200

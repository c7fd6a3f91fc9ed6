"""`morphoscope gestalt …` as a user calls it."""

import numpy as np
from phantom_faces import photograph

from morphoscope.cohort import read_image, write_image


def test_detect_lists_and_draws(command_line, tmp_path):
    write_image(tmp_path / "face.png", photograph(0))
    code, out, _ = command_line("gestalt", "detect", tmp_path / "face.png", "--output", tmp_path / "seen.png")
    assert code == 0
    assert "1 face" in out
    assert "none" in out
    assert read_image(tmp_path / "seen.png").shape == (400, 400, 3)


def test_detect_says_that_there_is_none(command_line, tmp_path):
    write_image(tmp_path / "wall.png", np.full((64, 64, 3), 128, np.uint8))
    code, out, _ = command_line("gestalt", "detect", tmp_path / "wall.png")
    assert code == 0
    assert "0 faces" in out

"""The folder of cached arrays holds no leftovers."""

import os
import time
from pathlib import Path

import numpy as np

from morphoscope.cohort.caches import new_array, stored_array
from morphoscope.runtime.files import temporary_name


def test_what_a_killed_writer_left_goes_once_it_is_a_day_old(tmp_path: Path) -> None:
    array = tmp_path / "images.npy"
    abandoned, present, foreign = (
        tmp_path / name for name in (temporary_name(array), temporary_name(array), ".notes.txt")
    )
    for path in (abandoned, present, foreign):
        path.write_bytes(b"x")
    for path in (abandoned, foreign):
        os.utime(path, (time.time() - 90_000,) * 2)
    with new_array(array, (2,), np.uint8) as filled:
        filled[:] = 7
    assert {path.name for path in tmp_path.iterdir()} == {array.name, present.name, foreign.name}
    found = stored_array(array, (2,), np.uint8)
    assert found is not None and found.tolist() == [7, 7]

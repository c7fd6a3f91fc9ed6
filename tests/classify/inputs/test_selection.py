"""A selection reads only the images that are needed."""

from pathlib import Path

import numpy as np

from morphoscope.classify.inputs.selection import Selection


def test_a_selection_reads_the_chosen_rows_in_their_order(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.arange(40).reshape(10, 2, 2))
    images = np.load(tmp_path / "images.npy", mmap_mode="r")
    chosen = Selection(images, np.array([7, 2, 5]))
    assert len(chosen) == 3
    assert [int(image[0, 0]) for image in chosen] == [28, 8, 20]
    np.testing.assert_array_equal(chosen[1:], images[[2, 5]])
    np.testing.assert_array_equal(chosen[np.array([2, 0])], images[[5, 7]])


def test_rows_may_be_given_as_a_mask() -> None:
    images = np.arange(4)[:, None]
    assert [image.tolist() for image in Selection(images, np.array([True, False, True, False]))] == [[0], [2]]

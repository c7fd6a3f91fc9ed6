"""Arrays kept beside the images: believed only if they are what was stored, and without leftovers."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from morphoscope.cohort import Cohort, write_image
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


def test_images_are_cached_and_follow_the_files(cohort: Cohort) -> None:
    first = cohort.images(16)
    assert first.shape == (12, 16, 16, 3)
    assert first.dtype == np.uint8
    assert isinstance(first, np.memmap)
    caches = sorted((cohort.root / ".cache").iterdir())
    again = Cohort.load(cohort.root).split(3).images(16)  # a new split leaves the arrays valid
    np.testing.assert_array_equal(first, again)
    assert sorted((cohort.root / ".cache").iterdir()) == caches
    write_image(cohort.root / "images/00.png", np.zeros((8, 8, 3), np.uint8))
    changed = Cohort.load(cohort.root).images(16)
    assert (changed[0] == 0).all()
    np.testing.assert_array_equal(changed[1:], first[1:])


def test_a_damaged_cache_is_computed_again(cohort: Cohort) -> None:
    first = np.array(cohort.images(16))
    cache = next((cohort.root / ".cache").iterdir())
    cache.write_bytes(cache.read_bytes()[:100])
    np.testing.assert_array_equal(cohort.images(16), first)


@pytest.mark.parametrize("kind", ["other pixels", "floating point", "other shape", "a link", "a named pipe"])
def test_a_replaced_cache_is_computed_again(cohort: Cohort, tmp_path: Path, kind: str) -> None:
    first = np.array(cohort.images(16))
    cache = next((cohort.root / ".cache").iterdir())
    cache.unlink()
    if kind == "other pixels":  # with a digest that fits: a sample of the images shows it
        with new_array(cache, first.shape, np.uint8) as array:
            array[:] = 255 - first
    elif kind == "floating point":
        with new_array(cache, first.shape, np.float64) as array:
            array[:] = np.nan
    elif kind == "other shape":
        np.save(cache, first[:3])
    elif kind == "a link":
        np.save(tmp_path / "elsewhere.npy", first)
        cache.symlink_to(tmp_path / "elsewhere.npy")
    else:
        os.mkfifo(cache)
    again = Cohort.load(cohort.root).images(16)
    assert again.dtype == np.uint8
    np.testing.assert_array_equal(again, first)
    assert not cache.is_symlink() and cache.is_file()


def test_a_linked_cache_folder_is_not_followed(
    cohort: Cohort, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "elsewhere").mkdir()
    cohort.cache_folder.symlink_to(tmp_path / "elsewhere")
    assert cohort.images(16).shape == (12, 16, 16, 3)
    assert "is a link, which is not followed" in caplog.text
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_images_stay_in_memory_where_nothing_can_be_written(
    cohort: Cohort, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("morphoscope.cohort.caches.os.access", lambda path, mode: False)
    images = cohort.images(16)
    assert not (cohort.root / ".cache").exists()
    assert "in memory only" in caplog.text
    monkeypatch.undo()
    np.testing.assert_array_equal(images, cohort.images(16))


def test_arrays_are_kept_in_the_folder_or_beside_the_zip(cohort: Cohort, tmp_path: Path) -> None:
    assert cohort.cache_folder == cohort.select([0]).cache_folder == cohort.root / ".cache"
    zipped = cohort.save_as(tmp_path / "zips" / "copy.zip")
    assert zipped.cache_folder == tmp_path / "zips" / ".cache"
    zipped.images(8)
    assert len(list(zipped.cache_folder.iterdir())) == 1

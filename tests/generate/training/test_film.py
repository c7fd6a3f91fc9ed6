"""The training film: order of its frames, its marks, its size, and what happens when something fails."""

import re
import subprocess

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from morphoscope.configs import UserError
from morphoscope.generate import films
from morphoscope.generate.training import film
from morphoscope.generate.training.film import write_film


def write_sheet(run, kimg, grey, size=(200, 100)):
    marks = PngInfo()
    marks.add_text("Synthetic", "yes: made by a generator, shows no patient")
    Image.new("RGB", size, (grey, grey, grey)).save(run / f"fakes{kimg:06d}.png", pnginfo=marks)


def described(path):
    """What ffmpeg prints about a film."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-i", str(path)]
    return subprocess.run(command, capture_output=True, text=True).stderr


def frames(path):
    """uint8 [N, H, W, 3]"""
    reader = imageio_ffmpeg.read_frames(str(path))
    width, height = next(reader)["size"]
    return np.stack([np.frombuffer(frame, np.uint8).reshape(height, width, 3) for frame in reader])


def test_frames_follow_the_kimg_not_the_alphabet(tmp_path):
    for kimg, grey in [(999_999, 60), (1_000_000, 180), (0, 120)]:
        write_sheet(tmp_path, kimg, grey)
    (tmp_path / "fakes-notes.png").write_text("not a sheet")
    shown = frames(write_film(tmp_path))
    assert shown.shape[0] == 3
    middle = shown[:, 70, 100].mean(axis=1)
    assert middle == pytest.approx([120, 60, 180], abs=4)


def test_each_frame_has_its_own_banner(tmp_path):
    write_sheet(tmp_path, 10, 255)
    write_sheet(tmp_path, 20, 255)
    first, second = frames(write_film(tmp_path))[:, :20].astype(int)
    assert first.max() > 200  # letters on a dark banner
    assert np.median(first) < 70
    assert abs(first - second).max() > 100  # 10 kimg, 20 kimg


def test_film_is_marked_and_plays_everywhere(tmp_path):
    write_sheet(tmp_path, 10, 99, size=(201, 99))
    said = described(write_film(tmp_path, fps=2))
    assert "SYNTHETIC" in said
    assert "shows no patient" in said
    assert re.search(r"h264.*yuv420p.*200x118.*2 fps", said)


def test_large_sheets_are_scaled_down_and_others_fit_into_the_first(tmp_path):
    write_sheet(tmp_path, 1, 99, size=(400, 4000))
    write_sheet(tmp_path, 2, 10, size=(90, 50))
    shown = frames(write_film(tmp_path))
    assert shown.shape[:2] == (2, 1920)
    assert shown.shape[2] == 190
    assert shown[1, 100].mean() > 250  # the wide one is in the middle, on white
    assert shown[1, 970].mean() < 30


def test_a_run_without_sheets_has_no_film(tmp_path):
    assert write_film(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stop", [KeyboardInterrupt, UserError])
def test_earlier_film_survives(tmp_path, monkeypatch, stop):
    """After Ctrl-C or a broken sheet halfway, the earlier film is unchanged, and nothing else is left."""
    write_sheet(tmp_path, 10, 99)
    before = write_film(tmp_path).read_bytes()
    write_sheet(tmp_path, 20, 99)
    if stop is UserError:
        whole = (tmp_path / "fakes000020.png").read_bytes()
        (tmp_path / "fakes000020.png").write_bytes(whole[: len(whole) // 2])
    else:
        original = film._frame

        def interrupted(kimg, path, size):
            if kimg == 20:
                raise KeyboardInterrupt
            return original(kimg, path, size)

        monkeypatch.setattr(film, "_frame", interrupted)
    with pytest.raises(stop):
        write_film(tmp_path)
    assert (tmp_path / "film.mp4").read_bytes() == before
    assert {path.suffix for path in tmp_path.iterdir()} == {".png", ".mp4"}
    assert len(list(tmp_path.iterdir())) == 3


def test_errors_of_ffmpeg_are_reported(tmp_path, monkeypatch):
    write_sheet(tmp_path, 10, 99)
    original = films.ffmpeg_command
    monkeypatch.setattr(
        films, "ffmpeg_command", lambda *given: [*original(*given)[:-1], "-c:v", "nonsense", "x.mp4"]
    )
    with pytest.raises(UserError, match=r"film\.mp4: ffmpeg could not write the film.*(nonsense|ncoder)"):
        write_film(tmp_path)


@pytest.mark.parametrize("program", ["absent", "no-program"])
def test_an_ffmpeg_that_cannot_be_started_is_named(tmp_path, monkeypatch, program):
    write_sheet(tmp_path, 10, 99)
    (tmp_path / "no-program").write_text("no program")
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / program))
    with pytest.raises(UserError, match=rf"ffmpeg cannot be started \(.*{program}.*IMAGEIO_FFMPEG_EXE"):
        write_film(tmp_path)


def test_the_ffmpeg_of_the_user_is_used(tmp_path, monkeypatch):
    write_sheet(tmp_path, 10, 99)
    own = tmp_path / "own"
    own.write_text(f'#!/bin/sh\ntouch {tmp_path}/used\nexec {imageio_ffmpeg.get_ffmpeg_exe()} "$@"\n')
    own.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(own))
    assert write_film(tmp_path) is not None
    assert (tmp_path / "used").exists()

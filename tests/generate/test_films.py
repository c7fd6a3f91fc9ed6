"""Films: the mark is printed in every frame that a player shows, and nothing half-written stays behind."""

import subprocess

import imageio_ffmpeg
import numpy as np
import pytest
from hostile.limits import full_disk

from morphoscope.apps.bundled_models import GENERATOR
from morphoscope.cohort import Provenance
from morphoscope.cohort.marked_files import file_provenance
from morphoscope.configs import UserError
from morphoscope.configs.morphs import Looping
from morphoscope.generate import load
from morphoscope.generate.films import film_frame, write_gif, write_mp4
from morphoscope.generate.latents.parsing import parse_ends
from morphoscope.generate.morph_files import write_loop

ORIGIN = "a to b · psi 0.7 · generator 0123456789abcdef"
PROVENANCE = Provenance(generator="0123456789abcdef", psi=0.7)


def write(path, shown):
    """A film of frames uint8 [H, W, 3]."""
    if path.suffix == ".gif":
        write_gif(path, iter(shown), 12, PROVENANCE)
    else:
        height, width = shown[0].shape[:2]
        write_mp4(path, (frame.tobytes() for frame in shown), (width, height), 12, "a to b", PROVENANCE)


def decoded(path, shape):
    """All frames of a film, uint8 [N, H, W, 3], as another program decodes them."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-fps_mode", "passthrough"]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    pixels = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(pixels, np.uint8).reshape(-1, *shape)


def assert_marked(frames, expected):
    """Every frame shows the strip below the expected image, which is square, with the same letters."""
    strip = slice(expected.shape[1], None)
    letters = expected[strip].mean(axis=2)
    assert (expected[strip] == (255, 209, 102)).all(axis=2).sum() > 200  # the word SYNTHETIC
    for frame in frames:
        shown = frame[strip].mean(axis=2)  # films have half as many colours as pixels across and down
        assert np.corrcoef(shown.ravel(), letters.ravel())[0, 1] > 0.98
        assert np.abs(shown - letters).mean() < 6


@pytest.mark.parametrize("suffix", ["mp4", "gif"])
def test_every_frame_shows_the_mark(tmp_path, suffix):
    random = np.random.default_rng(0)
    levels = random.integers(0, 256, (12, 8, 8, 3)).astype(np.uint8)
    shown = [film_frame(np.kron(image, np.ones((8, 8, 1), np.uint8)), ORIGIN) for image in levels]
    path = tmp_path / f"film.{suffix}"
    write(path, shown)
    frames = decoded(path, shown[0].shape)
    assert len(frames) == 12
    assert_marked(frames, shown[0])
    for frame, before in zip(frames, shown, strict=True):  # in order, and each its own
        assert np.abs(frame.astype(int) - before).mean() < 25
    assert file_provenance(path.read_bytes()) == PROVENANCE


def test_every_frame_of_a_loop_shows_the_mark(tmp_path):
    model = load(GENERATOR)
    write_loop(model, tmp_path, parse_ends(["NF1", "TSC"], model, 4), Looping(steps=3, film="both", seed=4))
    title = f"NF1 to TSC to NF1 · psi 0.7 · generator {model.digest}"
    expected = film_frame(model.sample("NF1", [4])[0], title)
    for name in ("loop.mp4", "loop.gif"):
        frames = decoded(tmp_path / name, expected.shape)
        assert len(frames) == 6
        assert_marked(frames, expected)
        mark = file_provenance((tmp_path / name).read_bytes())
        assert [len(path.positions) for path in mark.paths] == [3, 3]
        assert mark.seed == 4 and mark.generator == model.digest


@pytest.mark.parametrize("suffix", ["mp4", "gif"])
def test_a_disk_that_fills_up_within_a_film(tmp_path, suffix):
    path = tmp_path / f"film.{suffix}"
    path.write_bytes(b"an earlier film")
    random = np.random.default_rng(0)
    shown = [film_frame(random.integers(0, 256, (64, 64, 3)).astype(np.uint8), ORIGIN) for _ in range(12)]
    message = rf"film\.{suffix}: .*([Ff]ile too large|could not write)"
    with full_disk(20_000), pytest.raises(UserError, match=message):
        write(path, shown)
    assert path.read_bytes() == b"an earlier film"
    assert list(tmp_path.iterdir()) == [path]

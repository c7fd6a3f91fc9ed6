"""Films of frames: MP4 through ffmpeg, and GIF. Both carry the mark of synthesis in their metadata."""

import subprocess
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO

import imageio_ffmpeg
import numpy as np
from PIL import Image

from morphoscope.cohort import Provenance
from morphoscope.cohort.marked_files import mark_gif, mark_mp4
from morphoscope.cohort.marking import marked, readable
from morphoscope.configs import UserError
from morphoscope.runtime import write_atomically


def write_mp4(
    path: Path,
    frames: Iterable[bytes],
    size: tuple[int, int],
    fps: float,
    title: str,
    provenance: Provenance,
) -> None:
    """Write an MP4 (H.264, 4:2:0), atomically.

    Args:
        frames: RGB bytes.
        size: width and height, even.
        title: what the film shows; the file's title says before it that it is synthetic.
        provenance: what all its images share.

    Raises:
        UserError: the film cannot be encoded or written. An earlier film stays as it was.
    """
    with write_atomically(path) as temporary:
        encode(ffmpeg_command(temporary, size, fps, title, provenance.statement, path), frames, path)
        mark_mp4(temporary, provenance)


def write_gif(path: Path, frames: Iterable[np.ndarray], fps: float, provenance: Provenance) -> None:
    """Write a GIF that repeats for ever, atomically; frames are uint8 [H, W, 3], all of one size.

    Raises:
        UserError: the file cannot be written.
    """
    images = [Image.fromarray(frame) for frame in frames]
    with write_atomically(path) as temporary:
        images[0].save(
            temporary,
            "GIF",
            save_all=True,
            append_images=images[1:],
            duration=round(1000 / fps),
            loop=0,
            comment=f"Synthetic? {provenance.statement}".encode("ascii", "replace"),
        )
        mark_gif(temporary, provenance)


def film_frame(image: np.ndarray, text: str) -> np.ndarray:
    """An image uint8 [R, R, 3], enlarged, with its printed mark and a text; 4:2:0 requires even sides."""
    shown = marked(readable(image), text)
    height, width = shown.shape[:2]
    return np.pad(shown, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def ffmpeg_command(
    temporary: Path, size: tuple[int, int], fps: float, title: str, meaning: str, path: Path
) -> list[str]:
    """The command that encodes raw RGB frames into `temporary`, which becomes the film `path`."""
    try:
        program = imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise UserError(
            f"{path}: there is no ffmpeg for this machine; set IMAGEIO_FFMPEG_EXE to the path of one "
            f"({error})."
        ) from error
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size[0]}x{size[1]}", "-r", f"{fps:g}"]
    encoding = ["-an", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "20", "-preset", "veryfast"]
    marks = ["-metadata", f"title=SYNTHETIC images: {title}", "-metadata", f"comment=Synthetic? {meaning}"]
    # faststart: a browser plays it while it loads
    target = [*marks, "-movflags", "+faststart", "-f", "mp4", str(temporary)]
    return [program, "-y", "-v", "error", *source, "-i", "-", *encoding, *target]


def encode(command: list[str], frames: Iterable[bytes], path: Path) -> None:
    """Send frames to ffmpeg, which never outlives this call.

    It runs in its own session. Ctrl-C reaches the whole process group, and a training that stops in an
    orderly way must still be able to finish its film.
    """
    with tempfile.TemporaryFile() as errors, _started(command, errors, path) as process:
        try:
            _feed(process, frames)
            code = process.wait()
        except BaseException:
            process.kill()
            raise
        if code != 0:
            errors.seek(0)
            reason = errors.read().decode(errors="replace").strip() or f"exit code {code}"
            raise UserError(f"{path}: ffmpeg could not write the film ({reason.splitlines()[-1]}).")


def _started(command: list[str], errors: IO[bytes], path: Path) -> subprocess.Popen[bytes]:
    """The program, whose errors go to a file: a pipe that is not read could block it."""
    try:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=errors, start_new_session=True)
    except OSError as error:
        raise UserError(
            f"{path}: the film was not written, since ffmpeg cannot be started ({command[0]}: "
            f"{error.strerror}); set IMAGEIO_FFMPEG_EXE to the path of an ffmpeg, or unset it."
        ) from error


def _feed(process: subprocess.Popen[bytes], frames: Iterable[bytes]) -> None:
    """Write all frames and close the pipe; if ffmpeg has ended, its exit code gives the reason."""
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        try:
            for frame in frames:
                process.stdin.write(frame)
        finally:
            process.stdin.close()

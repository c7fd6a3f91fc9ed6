"""Trackers beside stats.jsonl: TensorBoard and trackio, each with its files in the run folder."""

import io
import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing, redirect_stdout
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from morphoscope.configs import UserError

_PROJECT = "morphoscope"  # trackio's; each run folder has a database of its own


class Tracker(Protocol):
    """Receives the values and images of a training, by the number of real images shown."""

    def log(self, kimg: float, values: dict[str, float]) -> None:
        """Log values by name."""

    def image(self, kimg: float, name: str, path: Path) -> None:
        """Log an image file, e.g. a sheet of generated images."""

    def close(self) -> None:
        """Write what is still buffered."""


def open_trackers(names: Sequence[str], run: Path, start_kimg: float = 0.0) -> Tracker:
    """A tracker that passes everything on to the named ones.

    Nothing leaves the machine and no server starts. To view the logs, run
    `tensorboard --logdir <run>/tensorboard` or `TRACKIO_DIR=<run>/trackio trackio show`.

    Args:
        names: any of tensorboard and trackio, or none.
        start_kimg: where this process continues. Entries beyond it, from a process that was killed, are
            removed.

    Raises:
        UserError: a package is not installed, or trackio already tracks another run in this process.
    """
    openers: dict[str, Callable[[Path, float], Tracker]] = {"tensorboard": _TensorBoard, "trackio": _Trackio}
    unknown = [name for name in names if name not in openers]
    if unknown:
        raise UserError(f"track: unknown tracker {', '.join(unknown)}; use {' or '.join(openers)}.")
    return _All([openers[name](run / name, start_kimg) for name in dict.fromkeys(names)])


class _All:
    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self._trackers = trackers

    def log(self, kimg: float, values: dict[str, float]) -> None:
        for tracker in self._trackers:
            tracker.log(kimg, values)

    def image(self, kimg: float, name: str, path: Path) -> None:
        for tracker in self._trackers:
            tracker.image(kimg, name, path)

    def close(self) -> None:
        for tracker in self._trackers:
            tracker.close()


class _TensorBoard:
    def __init__(self, folder: Path, start_kimg: float) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise _missing("tensorboard") from error
        # The tick at start_kimg was logged before the state was saved, so it stays.
        purge = _step(start_kimg) + 1 if start_kimg else None
        self._writer: Any = SummaryWriter(str(folder), purge_step=purge)

    def log(self, kimg: float, values: dict[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, _step(kimg))

    def image(self, kimg: float, name: str, path: Path) -> None:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        self._writer.add_image(name, pixels, _step(kimg), dataformats="HWC")

    def close(self) -> None:
        self._writer.close()


class _Trackio:
    """Trackio's own run, without `trackio.init`.

    `trackio.init` would send everything to the Space or server in TRACKIO_SPACE_ID and TRACKIO_SERVER_URL,
    and request the user's name from huggingface.co.
    """

    def __init__(self, folder: Path, start_kimg: float) -> None:
        os.environ["TRACKIO_DIR"] = str(folder.absolute())  # read when it is first imported
        try:
            import trackio
            from trackio.sqlite_storage import SQLiteStorage
        except ImportError as error:
            raise _missing("trackio") from error
        if folder.absolute() != trackio.TRACKIO_DIR:
            raise UserError(
                f"track: trackio already writes to {trackio.TRACKIO_DIR} in this process; use it for one run "
                "per process."
            )

        class LocalRun(trackio.Run):
            def _get_username(self) -> None:
                """Trackio's own method calls huggingface.co if a token is stored."""

        self._image: Any = trackio.Image
        database = SQLiteStorage.get_project_db_path(_PROJECT)
        if start_kimg and database.exists():
            _remove_after(database, _step(start_kimg))
        name = folder.absolute().parent.name
        # The same id whenever the run resumes, in any process.
        self._run = LocalRun(url=None, project=_PROJECT, client=None, name=name, run_id=_PROJECT)

    def log(self, kimg: float, values: dict[str, float]) -> None:
        self._run.log(dict(values), step=_step(kimg))

    def image(self, kimg: float, name: str, path: Path) -> None:
        self._run.log({name: self._image(str(path))}, step=_step(kimg))

    def close(self) -> None:
        with redirect_stdout(io.StringIO()):  # it prints that it uploads, which it does not
            self._run.finish()


def _step(kimg: float) -> int:
    """The trackers' integer step: the number of real images shown."""
    return round(1000 * kimg)


def _remove_after(database: Path, step: int) -> None:
    """Remove the entries beyond a step from trackio's database."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DELETE FROM metrics WHERE step > ?", [step])


def _missing(name: str) -> UserError:
    return UserError(f"track: {name} is not installed; run pip install 'morphoscope[track]', or remove it.")

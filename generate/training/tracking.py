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
    """Where figures and pictures of a training go, over the number of real images shown."""

    def log(self, kimg: float, values: dict[str, float]) -> None:
        """Figures by name."""

    def image(self, kimg: float, name: str, path: Path) -> None:
        """A picture file, e.g. a sheet of generated images."""

    def close(self) -> None:
        """Write what is still on its way."""


def open_trackers(names: Sequence[str], run: Path, start_kimg: float = 0.0) -> Tracker:
    """A tracker that passes everything on to those named; `names` may be empty.

    Nothing leaves the machine and no server starts. To look: `tensorboard --logdir <run>/tensorboard`, and
    `TRACKIO_DIR=<run>/trackio trackio show`.

    Args:
        names: of tensorboard, trackio.
        start_kimg: where this process goes on. What an earlier one noted beyond it, before it was killed,
            is taken back.

    Raises:
        UserError: a package that is not installed, or trackio at work in another run of this process.
    """
    openers: dict[str, Callable[[Path, float], Tracker]] = {"tensorboard": _TensorBoard, "trackio": _Trackio}
    unknown = [name for name in names if name not in openers]
    if unknown:
        raise UserError(f"track: no tracker {', '.join(unknown)}; there are {', '.join(openers)}.")
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
        # The tick at start_kimg was noted before the state was saved, so it stays.
        purge = _step(start_kimg) + 1 if start_kimg else None
        self._writer: Any = SummaryWriter(str(folder), purge_step=purge)

    def log(self, kimg: float, values: dict[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, _step(kimg))

    def image(self, kimg: float, name: str, path: Path) -> None:
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        self._writer.add_image(name, pixels, _step(kimg), dataformats="HWC")

    def close(self) -> None:
        self._writer.close()


class _Trackio:
    """Trackio's own run, without `trackio.init`.

    That would send everything to the Space or server which TRACKIO_SPACE_ID and TRACKIO_SERVER_URL name, and
    ask huggingface.co for the user's name.
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
                f"track: trackio already writes to {trackio.TRACKIO_DIR} in this process; track one run a "
                "process with it."
            )

        class LocalRun(trackio.Run):
            def _get_username(self) -> None:
                """Asks huggingface.co where a token is stored."""

        self._image: Any = trackio.Image
        database = SQLiteStorage.get_project_db_path(_PROJECT)
        if start_kimg and database.exists():
            _take_back(database, _step(start_kimg))
        name = folder.absolute().parent.name
        # One id however often the run goes on, in how many processes.
        self._run = LocalRun(url=None, project=_PROJECT, client=None, name=name, run_id=_PROJECT)

    def log(self, kimg: float, values: dict[str, float]) -> None:
        self._run.log(dict(values), step=_step(kimg))

    def image(self, kimg: float, name: str, path: Path) -> None:
        self._run.log({name: self._image(str(path))}, step=_step(kimg))

    def close(self) -> None:
        with redirect_stdout(io.StringIO()):  # it says that it uploads something, which it does not
            self._run.finish()


def _step(kimg: float) -> int:
    """Trackers count in integers: real images shown."""
    return round(1000 * kimg)


def _take_back(database: Path, step: int) -> None:
    """Remove what trackio's database holds beyond a step."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DELETE FROM metrics WHERE step > ?", [step])


def _missing(name: str) -> UserError:
    return UserError(f"track: {name} is not installed; pip install 'morphoscope[track]', or leave it out.")

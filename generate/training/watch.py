"""What the main process shows and records of a training: progress, values, sheets, metrics, alarms, film,
report (spec 7)."""

import logging
import math
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import numpy as np
from rich.console import Console

from morphoscope.cohort import Cohort
from morphoscope.cohort.conditions import full_name
from morphoscope.configs import UserError
from morphoscope.generate.metrics import FeatureNetwork
from morphoscope.generate.model import GeneratorModel
from morphoscope.generate.sheets import Strip, write_sheet, write_synthetic_sheet
from morphoscope.generate.snapshots import read_snapshot_metadata
from morphoscope.generate.training.collapse import CollapseAlarm
from morphoscope.generate.training.copying_alarm import CopyingAlarm
from morphoscope.generate.training.film import FILM, write_film
from morphoscope.generate.training.measuring import SnapshotMeter
from morphoscope.generate.training.preparation import Preparation
from morphoscope.generate.training.progress import TrainingProgress
from morphoscope.generate.training.records import (
    ALARMS,
    STATS,
    Alarm,
    Measurement,
    Tick,
    list_snapshots,
    read_measurements,
    sheet_name,
)
from morphoscope.generate.training.report import write_training_report
from morphoscope.generate.training.tracking import Tracker
from morphoscope.runtime import RunFolder
from morphoscope.runtime.progress import working
from morphoscope.runtime.terminal import say
from morphoscope.runtime.torch_memory import memory_gb

_SHEET_IMAGES = 10  # of each condition

log = logging.getLogger(__name__)


class Watch:
    """Writes the files of a run and shows its values, in the main process.

    Nothing here draws from torch's or numpy's global random numbers.

    Args:
        network: computes the features that the metrics compare; without one there are no metrics.
        trackers: receive the values too.
    """

    def __init__(
        self,
        prepared: Preparation,
        run: RunFolder,
        network: FeatureNetwork | None,
        trackers: Tracker,
        console: Console,
    ) -> None:
        config = prepared.trainer.config
        self.config = config
        self.run = run
        self.trackers = trackers
        self.device = prepared.trainer.device
        self.meter: SnapshotMeter | None = None
        if network is not None:
            self.meter = SnapshotMeter(network, prepared)
            say(self.meter.choice, to=console)
        self.collapse, self.copying = CollapseAlarm(), CopyingAlarm()
        self._warned: set[str] = set()
        for path in run.path.glob("metric-*.jsonl"):  # an alarm that was raised is not raised again
            for one in read_measurements(path):
                self._alarms(one)
        self.progress = TrainingProgress(
            console, round(config.training.kimg * 1000), prepared.trainer.images_seen
        )
        run.own("log.txt")
        self._own_trackers()
        self._log = logging.FileHandler(run.path / "log.txt", encoding="utf-8", delay=True)
        self._log.setFormatter(logging.Formatter("%(asctime)s  %(message)s"))

    def __enter__(self) -> "Watch":
        logging.getLogger("morphoscope").addHandler(self._log)
        self.progress.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.__exit__(kind, error, trace)
        self.trackers.close()
        self._own_trackers()
        logging.getLogger("morphoscope").removeHandler(self._log)
        self._log.close()

    def update(self, seen: int) -> None:
        """After a few iterations: show that `seen` real images have been used."""
        self.progress.update(seen)

    def tick(self, kimg: float, seconds_per_kimg: float, means: dict[str, float]) -> None:
        """After a tick: write its values to stats.jsonl, log.txt, the console and the trackers.

        Args:
            means: of the values of its iterations, by name.
        """
        values = {"seconds_per_kimg": seconds_per_kimg, "memory_gb": memory_gb(self.device), **means}
        tick = Tick(kimg, values)
        self.run.append(STATS, **tick.as_json())
        self.trackers.log(kimg, tick.as_json())
        self.progress.tick(tick)
        self._log.handle(logging.makeLogRecord({"msg": "%s", "args": (self.progress.line(),)}))

    def snapshot(self, path: Path) -> None:
        """After a snapshot: sheet, metrics, alarms and report."""
        with working(f"Measuring {path.name}", transient=True):
            self._snapshot(path)

    def _snapshot(self, path: Path) -> None:
        model = GeneratorModel.load(path, self.device)
        kimg = model.metadata.kimg
        assert kimg is not None, "snapshots of a training record their kimg"
        strips = [
            Strip(
                name,
                model.sample(name, range(_SHEET_IMAGES), psi=1.0),
                full_name(name, model.descriptions),
            )
            for name in model.conditions
        ]
        if self.meter is not None:
            self._measure(self.meter, path, model, kimg)
        # The sheet comes last: if it exists, all the rest does too (see `catch_up`).
        sheet = _sheet_path(path)
        write_synthetic_sheet(sheet, strips, model.provenance(psi=1.0))
        self.trackers.image(kimg, "fakes", sheet)
        self._own_trackers()
        self._write_or_warn(write_training_report)

    def catch_up(self, finished: bool) -> None:
        """Do what an earlier process was interrupted before doing for the newest snapshot.

        Args:
            finished: whether the training is complete, so that its film is due too.
        """
        newest = list_snapshots(self.run.path)[-1:]
        if newest and not _sheet_path(newest[0]).exists():
            self.snapshot(newest[0])
        if finished and not has_film(self.run.path):
            self.end()

    def end(self) -> None:
        """After the last snapshot: write the film and the final report."""
        with working("Writing film and report", transient=True):
            self._write_or_warn(write_film)
            self._write_or_warn(write_training_report)

    def _own_trackers(self) -> None:
        for name in self.config.logging.track:
            if (self.run.path / name).is_dir():
                self.run.own(name)

    def _write_or_warn(self, write: Callable[[Path], object]) -> None:
        """Write a film or a report; if that fails, the training still continues."""
        try:
            write(self.run.path)
        except UserError as error:
            if str(error) not in self._warned:  # once, not after every snapshot
                self._warned.add(str(error))
                log.warning("The training continues without this file: %s", error)

    def _measure(self, meter: SnapshotMeter, path: Path, model: GeneratorModel, kimg: float) -> None:
        measurement = meter.measure(model, kimg, path.name)
        self.run.append(f"metric-{measurement.report.network}.jsonl", **measurement.as_json())
        self.trackers.log(kimg, measurement.named_values())
        for message in self._alarms(measurement):
            self.run.append(ALARMS, **Alarm(kimg, message).as_json())
            log.warning("Alarm at %.1f kimg: %s", kimg, message)

    def _alarms(self, measurement: Measurement) -> list[str]:
        """The messages that this measurement adds to those of earlier ones."""
        total = self.config.training.kimg
        messages = (
            self.collapse.check(measurement.report, measurement.kimg, total),
            self.copying.check(measurement.copying),
        )
        return [message for message in messages if message is not None]


def has_film(run: Path) -> bool:
    """Whether the folder of a finished training holds the last sheet and the film."""
    newest = list_snapshots(run)[-1:]
    return bool(newest) and _sheet_path(newest[0]).exists() and (run / FILM).exists()


def forget_unfinished_measurement(run: RunFolder) -> None:
    """Remove the measurement of a newest snapshot without a sheet: `Watch.catch_up` measures it again."""
    newest = list_snapshots(run.path)[-1:]
    if newest and not _sheet_path(newest[0]).exists():
        kimg = read_snapshot_metadata(newest[0]).kimg
        assert kimg is not None, "snapshots of a training record their kimg"
        run.forget_after("kimg", math.nextafter(kimg, 0), files="metric-*.jsonl")
        run.forget_after("kimg", math.nextafter(kimg, 0), files=ALARMS)


def _sheet_path(snapshot: Path) -> Path:
    return snapshot.with_name(sheet_name(snapshot.name))


def write_reals(path: Path, images: np.ndarray, part: Cohort) -> None:
    """Write a sheet of the first real images of each condition.

    Args:
        images: of `part`, uint8 [M, R, R, 3].
    """
    strips = [
        Strip(name, images[part.labels == k][:_SHEET_IMAGES], full_name(name, part.descriptions))
        for k, name in enumerate(part.conditions)
    ]
    write_sheet(path, strips)

"""What can be watched of a training: progress, figures, sheets, metrics, alarms, film, report (spec 7)."""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType

import numpy as np
import torch
from rich.console import Console

from morphoscope.cohort import Cohort
from morphoscope.configs import UserError
from morphoscope.configs.generator import ResolvedTraining
from morphoscope.generate.metrics import FeatureNetwork, QualityMeter
from morphoscope.generate.model import GeneratorModel
from morphoscope.generate.sheets import write_sheet, write_synthetic_sheet
from morphoscope.generate.training.collapse import CollapseAlarm
from morphoscope.generate.training.film import FILM, write_film
from morphoscope.generate.training.progress import TrainingProgress
from morphoscope.generate.training.records import read_measured, snapshots
from morphoscope.generate.training.report import write_training_report
from morphoscope.generate.training.tracking import Tracker
from morphoscope.runtime import RunFolder
from morphoscope.runtime.torch_memory import memory_gb

_SHEET_COLUMNS = 10

log = logging.getLogger(__name__)


class Watch:
    """Files and figures of a run, for its main process.

    Nothing here draws from torch's or numpy's global random numbers.

    Args:
        part: what is trained on; the metrics compare with it.
        network: of the metrics' features; None does without them.
        trackers: where else the figures go.
        device: of the training, whose memory is told.
        start_kimg: thousands of images seen when this process began.
    """

    def __init__(
        self,
        config: ResolvedTraining,
        run: RunFolder,
        part: Cohort,
        network: FeatureNetwork | None,
        trackers: Tracker,
        device: torch.device,
        console: Console,
        start_kimg: float,
    ) -> None:
        self.config = config
        self.run = run
        self.trackers = trackers
        self.device = device
        self.meter = (
            QualityMeter(network, part, config.images.resolution, config.images.fit)
            if network is not None
            else None
        )
        self.alarm = CollapseAlarm()
        for path in run.path.glob("metric-*.jsonl"):  # what has been raised is not raised again
            for one in read_measured(path)[0]:
                self.alarm.check(one.report, one.kimg / config.training.kimg)
        self.progress = TrainingProgress(
            console, round(config.training.kimg * 1000), round(start_kimg * 1000)
        )
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
        logging.getLogger("morphoscope").removeHandler(self._log)
        self._log.close()

    def update(self, seen: int) -> None:
        """After a few iterations: move the bar."""
        self.progress.update(seen)

    def tick(self, kimg: float, seconds_per_kimg: float, means: dict[str, float]) -> None:
        """After a tick: a line in stats.jsonl, log.txt and on the console, and figures for the trackers."""
        memory = memory_gb(self.device)
        values = {"kimg": kimg, "seconds_per_kimg": seconds_per_kimg, "memory_gb": memory, **means}
        self.run.append("stats.jsonl", **values)
        self.trackers.log(kimg, values)
        self.progress.figures(
            seconds_per_kimg, means.get("augment_p"), means.get("augment_real_sign"), memory
        )
        self._log.handle(logging.makeLogRecord({"msg": "%s", "args": (self.progress.line(),)}))

    def snapshot(self, path: Path) -> None:
        """After a snapshot: sheet, metrics, alarms and report."""
        model = GeneratorModel.load(path, self.device)
        kimg = model.metadata.kimg
        assert kimg is not None, "snapshots of a training record their kimg"
        rows = [model.sample(name, range(_SHEET_COLUMNS), psi=1.0) for name in model.conditions]
        if self.meter is not None:
            self._measure(self.meter, path, model, kimg)
        # The sheet comes last: where it is, everything is (see `catch_up`).
        write_synthetic_sheet(_sheet(path), model.conditions, rows, model.provenance())
        self.trackers.image(kimg, "fakes", _sheet(path))
        self._write_or_warn(write_training_report)

    def catch_up(self, finished: bool) -> None:
        """Do for the newest snapshot what an earlier process was kept from doing.

        Args:
            finished: whether the training is over, so that its film is due too.
        """
        newest = snapshots(self.run.path)[-1:]
        if newest and not _sheet(newest[0]).exists():
            self.snapshot(newest[0])
        if finished and not is_told(self.run.path):
            self.end()

    def end(self) -> None:
        """After the last snapshot: the film, and a report of the end."""
        self._write_or_warn(write_film)
        self._write_or_warn(write_training_report)

    def _write_or_warn(self, write: Callable[[Path], object]) -> None:
        """A film or a report that fails is no reason to lose a training."""
        try:
            write(self.run.path)
        except UserError as error:
            log.warning("The training goes on without this: %s", error)

    def _measure(self, meter: QualityMeter, path: Path, model: GeneratorModel, kimg: float) -> None:
        report = meter.measure(partial(model.sample, psi=1.0), self.config.logging.metric_images)
        self.run.append(f"metric-{report.network}.jsonl", kimg=kimg, snapshot=path.name, **report.as_json())
        self.trackers.log(kimg, report.figures())
        for message in self.alarm.check(report, kimg / self.config.training.kimg):
            self.run.append("alarms.jsonl", kimg=kimg, message=message)
            log.warning("Alarm at %.1f kimg: %s", kimg, message)


def is_told(run: Path) -> bool:
    """Whether a finished training has all that is made of it, to its film."""
    newest = snapshots(run)[-1:]
    return bool(newest) and _sheet(newest[0]).exists() and (run / FILM).exists()


def _sheet(snapshot: Path) -> Path:
    """The sheet of a snapshot: fakes000010.png of snapshot-000010.safetensors."""
    return snapshot.with_name(f"fakes{snapshot.stem.removeprefix('snapshot-')}.png")


def write_reals(path: Path, images: np.ndarray, part: Cohort) -> None:
    """A sheet of the first real images of each condition."""
    rows = [images[part.labels == k][:_SHEET_COLUMNS] for k in range(len(part.conditions))]
    write_sheet(path, part.conditions, rows)

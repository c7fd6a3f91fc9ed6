"""The files of a training's run folder, described and read back: config, ticks, metrics, alarms."""

import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from morphoscope.configs import UserError
from morphoscope.configs.loading import parse_yaml
from morphoscope.configs.user_files import read_regular
from morphoscope.generate.description import SnapshotMetadata
from morphoscope.generate.metrics import CopyingReport, Quality, QualityReport
from morphoscope.generate.snapshots import read_snapshot_metadata
from morphoscope.runtime.runs import MOST_LOG_BYTES

STATS, ALARMS = "stats.jsonl", "alarms.jsonl"
_MAX_CONFIG_BYTES = 100_000

_DIGITS = 9  # in the names of snapshots; earlier versions had 6


@dataclass(frozen=True)
class Tick:
    """A line of stats.jsonl.

    Attributes:
        kimg: thousands of real images shown by the end of the tick.
        values: means over the tick by name: seconds_per_kimg, memory_gb, losses and statistics of the
            iterations. Not every tick has every value.
    """

    kimg: float
    values: dict[str, float]

    def as_json(self) -> dict[str, float]:
        """What `from_json` reads."""
        return {"kimg": self.kimg, **self.values}

    @classmethod
    def from_json(cls, line: dict[str, Any]) -> "Tick":
        """The tick that `as_json` described, without values that are not finite."""
        values = {name: float(value) for name, value in line.items() if name != "kimg" and is_finite(value)}
        return cls(float(line["kimg"]), values)


@dataclass(frozen=True)
class Alarm:
    """A line of alarms.jsonl."""

    kimg: float
    message: str

    def as_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return {"kimg": self.kimg, "message": self.message}

    @classmethod
    def from_json(cls, line: dict[str, Any]) -> "Alarm":
        """The alarm that `as_json` described."""
        return cls(float(line["kimg"]), str(line.get("message", "")))


@dataclass(frozen=True)
class Measurement:
    """A line of metric-<network>.jsonl: the quality of a snapshot.

    Attributes:
        snapshot: the name of its file; "" if not recorded.
        report: compared with the training images.
        held_out: compared with held-out images; None if there are none.
        copying: tests for copies; None without enough held-out patients.
    """

    kimg: float
    snapshot: str
    report: QualityReport
    held_out: QualityReport | None = None
    copying: CopyingReport | None = None

    @property
    def choice(self) -> Quality:
        """The quality by which the best snapshot is chosen: on held-out images if there are any."""
        return (self.held_out or self.report).overall

    def named_values(self) -> dict[str, float]:
        """All values by name, for trackers: those on held-out images begin with "held_out/"."""
        held_out = {} if self.held_out is None else self.held_out.named_values()
        copying = {} if self.copying is None else self.copying.named_values()
        return {
            **self.report.named_values(),
            **{f"held_out/{name}": value for name, value in held_out.items()},
            **copying,
        }

    def as_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        further = {"held_out": self.held_out, "copying": self.copying}
        return {
            "kimg": self.kimg,
            "snapshot": self.snapshot,
            **self.report.as_json(),
            **{name: report.as_json() for name, report in further.items() if report is not None},
        }

    @classmethod
    def from_json(cls, line: dict[str, Any]) -> "Measurement":
        """The measurement that `as_json` described; UserError if the line describes something else."""
        held_out, copying = line.get("held_out"), line.get("copying")
        return cls(
            float(line["kimg"]),
            str(line.get("snapshot", "")),
            QualityReport.from_json(line),
            None if held_out is None else QualityReport.from_json(held_out),
            None if copying is None else CopyingReport.from_json(copying),
        )


Record = TypeVar("Record", Tick, Alarm, Measurement)


@dataclass(frozen=True)
class Lines(Generic[Record]):
    """What a file of JSON lines holds.

    Attributes:
        records: by kimg.
        damaged: number of lines that could not be read.
    """

    records: list[Record]
    damaged: int


@dataclass(frozen=True)
class RecordedConfig:
    """The config of a training as its run folder has it, maybe from another version.

    Attributes:
        text: the content of config.yaml.
        resolution: pixels, as the file has it.
        kimg: length of the training; None if it is not a number.
        ada_target: None if it is not recorded.
    """

    text: str
    resolution: str
    kimg: float | None
    ada_target: float | None

    @classmethod
    def read(cls, run: Path) -> "RecordedConfig":
        """Read config.yaml; UserError if it is not the config of a training."""
        path = run / "config.yaml"
        try:
            data = read_regular(path, _MAX_CONFIG_BYTES, path.name)
            config = parse_yaml(data, path.name)
        except UserError as error:
            raise UserError(f"{path}: not the config of a training's run folder ({error})") from error
        if not {"resolution", "kimg"} <= config.keys():
            raise UserError(f"{path}: not the config of a training's run folder (`generate train --run`).")
        return cls(
            data.decode(),
            str(config["resolution"]),
            _number(config["kimg"]),
            _number(config.get("ada_target")),
        )


@dataclass
class Records:
    """The files of a run folder, and notes on what could not be read in them.

    Attributes:
        ticks, alarms: by kimg.
        metrics: by feature network, then by kimg.
        metadata: of the newest snapshot; None before there is one, or where it cannot be used.
    """

    run: Path
    config: RecordedConfig
    ticks: list[Tick] = field(default_factory=list)
    alarms: list[Alarm] = field(default_factory=list)
    metrics: dict[str, list[Measurement]] = field(default_factory=dict)
    metadata: SnapshotMetadata | None = None
    notes: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, run: Path) -> "Records":
        """Read a run folder; lines that a killed process left damaged are skipped, with a note.

        Raises:
            UserError: not the run folder of a training.
        """
        records = cls(run, RecordedConfig.read(run))
        records.ticks = records._lines(run / STATS, Tick.from_json)
        records.alarms = records._lines(run / ALARMS, Alarm.from_json)
        for path in sorted(run.glob("metric-*.jsonl")):
            for measurement in records._lines(path, Measurement.from_json):
                records.metrics.setdefault(measurement.report.network, []).append(measurement)
        newest = list_snapshots(run)[-1:]
        if newest:
            try:
                records.metadata = read_snapshot_metadata(newest[0])
            except UserError as error:
                records.notes.append(str(error))
        return records

    def newest(self, name: str) -> float | None:
        """The newest value of this name; None if no tick has it."""
        return next((tick.values[name] for tick in reversed(self.ticks) if name in tick.values), None)

    def best(self, network: str) -> Measurement | None:
        """The best snapshot by this network, of those that still exist; see `best_measurement`."""
        return best_measurement(self.run, self.metrics[network])

    def _lines(self, path: Path, from_json: Callable[[dict[str, Any]], Record]) -> list[Record]:
        found = read_lines(path, from_json)
        if found.damaged:
            what = "1 damaged line" if found.damaged == 1 else f"{found.damaged} damaged lines"
            self.notes.append(f"{path.name}: {what} left out; a killed process may leave such lines.")
        return found.records


def list_snapshots(run: Path) -> list[Path]:
    """The snapshots in a run folder, oldest first."""
    return _in_order(run.glob("snapshot-*.safetensors"))


def list_sheets(run: Path) -> list[Path]:
    """The sheets of generated images in a run folder, oldest first."""
    return _in_order(run.glob("fakes*.png"))


def _in_order(paths: Iterable[Path]) -> list[Path]:
    """Snapshots or sheets by the number of images in their names; files with other names are left out."""
    found = [(snapshot_images(path.name), path.name, path) for path in paths]
    return [path for images, _, path in sorted(found) if images >= 0]


def snapshot_name(images: int) -> str:
    """The name of the snapshot after this number of real images: "snapshot-000001500.safetensors"."""
    return f"snapshot-{images:0{_DIGITS}d}.safetensors"


def sheet_name(snapshot: str) -> str:
    """The name of a snapshot's sheet: "fakes000001500.png" for "snapshot-000001500.safetensors"."""
    return f"fakes{snapshot.removeprefix('snapshot-').removesuffix('.safetensors')}.png"


def snapshot_images(name: str) -> int:
    """The number of images in the name of a snapshot or sheet; -1 for another name.

    Earlier versions wrote fewer digits, which are whole thousands.
    """
    match = re.fullmatch(r"(?:snapshot-|fakes)(\d+)\.(?:safetensors|png)", name)
    if match is None:
        return -1
    return int(match[1]) * (1 if len(match[1]) >= _DIGITS else 1000)


def read_lines(path: Path, from_json: Callable[[dict[str, Any]], Record]) -> Lines[Record]:
    """Read a file of JSON lines; nothing where there is no file."""
    if not path.exists():
        return Lines([], 0)
    records, damaged = [], 0
    for text in read_regular(path, MOST_LOG_BYTES).decode(errors="replace").splitlines():
        try:
            records.append(from_json(dict(json.loads(text))))
        except (ValueError, LookupError, TypeError):  # a UserError is a ValueError
            damaged += 1
    return Lines(sorted(records, key=lambda record: record.kimg), damaged)


def read_measurements(path: Path) -> list[Measurement]:
    """The measurements in a metric-*.jsonl, by kimg, without damaged lines."""
    return read_lines(path, Measurement.from_json).records


def best_measurement(run: Path, measurements: Sequence[Measurement]) -> Measurement | None:
    """The one of the lowest kernel distance, of the snapshots that still exist in `run`.

    The distance is that to held-out images if any snapshot was compared with them: to the training images, a
    copy of them would be the nearest. Of several measurements of one file name, the last one counts.
    """
    existing = {path.name for path in list_snapshots(run)}
    latest = {one.snapshot: one for one in measurements if one.snapshot in existing}
    on_held_out = [one for one in latest.values() if one.held_out is not None]
    finite = [one for one in on_held_out or latest.values() if is_finite(one.choice.kernel)]
    return min(finite, key=lambda one: one.choice.kernel, default=None)


def is_finite(value: Any) -> bool:
    """Whether this is a number other than NaN and the infinities."""
    return isinstance(value, int | float) and math.isfinite(value)


def _number(value: Any) -> float | None:
    return float(value) if is_finite(value) else None

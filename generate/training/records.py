"""What a run folder of a training tells, read back: config, ticks, metrics, alarms."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from morphoscope.configs import UserError
from morphoscope.generate.description import SnapshotMetadata
from morphoscope.generate.metrics import QualityReport
from morphoscope.generate.snapshots import read_snapshot_metadata


@dataclass(frozen=True)
class Measured:
    """A snapshot's quality."""

    kimg: float
    snapshot: str
    report: QualityReport


@dataclass
class Records:
    """The files of a run folder, and notes on what could not be read in them.

    Attributes:
        config: the resolved config, and its text as it is.
        stats: lines of stats.jsonl by kimg.
        alarms: lines of alarms.jsonl by kimg.
        metrics: by feature network, by kimg.
        metadata: of the newest snapshot; None before there is one, or where it cannot be used.
    """

    run: Path
    config_text: str
    config: dict[str, Any] = field(default_factory=dict)
    stats: list[dict[str, Any]] = field(default_factory=list)
    alarms: list[dict[str, Any]] = field(default_factory=list)
    metrics: dict[str, list[Measured]] = field(default_factory=dict)
    metadata: SnapshotMetadata | None = None
    notes: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, run: Path) -> "Records":
        """Read a run folder; lines that a killed process left damaged are skipped, with a note.

        Raises:
            UserError: not the run folder of a training.
        """
        path = run / "config.yaml"
        try:
            records = cls(run, path.read_text(encoding="utf-8"))
            config = yaml.safe_load(records.config_text)
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            reason = getattr(error, "strerror", None) or " ".join(str(error).split())
            raise UserError(f"{path}: not the config of a training's run folder ({reason}).") from error
        if not isinstance(config, dict) or not {"resolution", "kimg"} <= config.keys():
            raise UserError(f"{path}: not the config of a training's run folder (`generate train --run`).")
        records.config = config
        records.stats = records._lines(run / "stats.jsonl")
        records.alarms = records._lines(run / "alarms.jsonl")
        for file in sorted(run.glob("metric-*.jsonl")):
            records._add_metrics(file)
        newest = snapshots(run)[-1:]
        if newest:
            try:
                records.metadata = read_snapshot_metadata(newest[0])
            except UserError as error:
                records.notes.append(str(error))
        return records

    def newest(self, key: str) -> float | None:
        """The newest finite value of `key` in stats.jsonl; not every line has every key."""
        for line in reversed(self.stats):
            if is_number(line.get(key)):
                return float(line[key])
        return None

    def best(self, network: str) -> Measured | None:
        """Of the snapshots that are left, the one of the lowest kernel distance by this network."""
        return best_of(self.run, self.metrics[network])

    def _lines(self, path: Path) -> list[dict[str, Any]]:
        found, damaged = read_lines(path)
        self._note(path, damaged)
        return found

    def _add_metrics(self, path: Path) -> None:
        found, damaged = read_measured(path)
        self._note(path, damaged)
        for one in found:
            self.metrics.setdefault(one.report.network, []).append(one)

    def _note(self, path: Path, damaged: int) -> None:
        if not damaged:
            return
        what = "1 damaged line" if damaged == 1 else f"{damaged} damaged lines"
        self.notes.append(f"{path.name}: {what} left out; a killed process may leave such lines.")


def snapshots(run: Path) -> list[Path]:
    """The snapshots in a run folder, oldest first."""
    return sorted(run.glob("snapshot-*.safetensors"))


def read_lines(path: Path) -> tuple[list[dict[str, Any]], int]:
    """(the lines of a file of JSON lines, by kimg; how many are damaged); none where there is no file."""
    if not path.exists():
        return [], 0
    found, damaged = [], 0
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
            found.append({**line, "kimg": float(line["kimg"])})
        except (ValueError, LookupError, TypeError):
            damaged += 1
    return sorted(found, key=lambda line: line["kimg"]), damaged


def read_measured(path: Path) -> tuple[list[Measured], int]:
    """(the snapshots of a metric-*.jsonl, by kimg; how many of its lines are damaged)."""
    lines, damaged = read_lines(path)
    found = []
    for line in lines:
        try:
            report = QualityReport.from_json(line)
        except UserError:
            damaged += 1
            continue
        found.append(Measured(line["kimg"], str(line.get("snapshot", "")), report))
    return found, damaged


def best_of(run: Path, measured: Sequence[Measured]) -> Measured | None:
    """Of the snapshots that are left in `run`, the one of the lowest kernel distance.

    A snapshot that was written anew under the same name counts as it was measured last.
    """
    there = {path.name for path in snapshots(run)}
    newest = {one.snapshot: one for one in measured if one.snapshot in there}
    finite = [one for one in newest.values() if is_number(one.report.overall.kernel)]
    return min(finite, key=lambda one: one.report.overall.kernel, default=None)


def is_number(value: Any) -> bool:
    """A finite number."""
    return isinstance(value, int | float) and math.isfinite(value)

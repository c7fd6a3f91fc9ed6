"""What a run folder of a training tells, read back: config, ticks, metrics, alarms."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from morphoscope.configs import UserError
from morphoscope.generate.metrics import QualityReport
from morphoscope.generate.snapshots import KIND
from morphoscope.ops.runtime import read_metadata


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
        metadata: of the newest snapshot; empty before there is one.
    """

    run: Path
    config_text: str
    config: dict[str, Any] = field(default_factory=dict)
    stats: list[dict[str, Any]] = field(default_factory=list)
    alarms: list[dict[str, Any]] = field(default_factory=list)
    metrics: dict[str, list[Measured]] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
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
        if not isinstance(config, dict):
            raise UserError(f"{path}: not the config of a training's run folder.")
        records.config = config
        records.stats = records._lines(run / "stats.jsonl")
        records.alarms = records._lines(run / "alarms.jsonl")
        for file in sorted(run.glob("metric-*.jsonl")):
            records._add_metrics(file)
        snapshots = sorted(run.glob("snapshot-*.safetensors"))
        if snapshots:
            try:
                records.metadata = read_metadata(snapshots[-1], KIND)
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
        """The snapshot of the lowest kernel distance by this network."""
        finite = [one for one in self.metrics[network] if is_number(one.report.overall.kernel)]
        return min(finite, key=lambda one: one.report.overall.kernel, default=None)

    def _lines(self, path: Path) -> list[dict[str, Any]]:
        if not path.exists():
            return []
        found, damaged = [], 0
        for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                line = json.loads(text)
                found.append({**line, "kimg": float(line["kimg"])})
            except (ValueError, LookupError, TypeError):
                damaged += 1
        if damaged:
            self._note(path, damaged)
        return sorted(found, key=lambda line: line["kimg"])

    def _add_metrics(self, path: Path) -> None:
        damaged = 0
        for line in self._lines(path):
            try:
                report = QualityReport.from_json(line)
            except UserError:
                damaged += 1
                continue
            measured = self.metrics.setdefault(report.network, [])
            measured.append(Measured(line["kimg"], str(line.get("snapshot", "")), report))
        if damaged:
            self._note(path, damaged)

    def _note(self, path: Path, damaged: int) -> None:
        what = "1 damaged line" if damaged == 1 else f"{damaged} damaged lines"
        self.notes.append(f"{path.name}: {what} left out; a killed process may leave such lines.")


def is_number(value: Any) -> bool:
    """A finite number."""
    return isinstance(value, int | float) and math.isfinite(value)

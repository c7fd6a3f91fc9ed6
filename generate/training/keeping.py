"""Which snapshots of a run stay: the newest few, and the best by the metric."""

import json
import math
from pathlib import Path
from typing import Any


def snapshots(run: Path) -> list[Path]:
    """The snapshots in a run folder, oldest first."""
    return sorted(run.glob("snapshot-*.safetensors"))


def measured(run: Path) -> list[dict[str, Any]]:
    """The lines of the run's `metric-*.jsonl`, damaged ones (of a killed process) left out."""
    lines = []
    for path in sorted(run.glob("metric-*.jsonl")):
        for text in path.read_text(encoding="utf-8").splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if isinstance(line, dict):
                lines.append(line)
    return lines


def best_snapshot(run: Path) -> Path | None:
    """The snapshot with the lowest kernel distance (KID) to the training images; None if none is measured."""
    there = {path.name: path for path in snapshots(run)}
    distances = [
        (line["overall"]["kernel"], line["snapshot"])
        for line in measured(run)
        if line.get("snapshot") in there and math.isfinite(line["overall"]["kernel"])
    ]
    return there[min(distances)[1]] if distances else None


def discard_old(run: Path, keep: int) -> None:
    """Delete all but the newest `keep` snapshots and the best one."""
    best = best_snapshot(run)
    for path in snapshots(run)[:-keep]:
        if path != best:
            path.unlink(missing_ok=True)

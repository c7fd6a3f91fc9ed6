"""Which snapshots of a run are kept: the newest ones, and the best by the metric."""

from pathlib import Path

from morphoscope.generate.training.records import best_measurement, list_snapshots, read_measurements


def best_snapshot(run: Path) -> Path | None:
    """The snapshot with the lowest kernel distance, of those that still exist; see `best_measurement`.

    None if none of them was measured. Where a run was measured with several feature networks, the one that
    measured most snapshots decides.
    """
    measured = [read_measurements(path) for path in sorted(run.glob("metric-*.jsonl"))]
    best = best_measurement(run, max(measured, key=len, default=[]))
    return None if best is None else run / best.snapshot


def discard_old(run: Path, keep: int) -> None:
    """Delete all snapshots but the newest `keep` and the best one."""
    best = best_snapshot(run)
    for path in list_snapshots(run)[:-keep]:
        if path != best:
            path.unlink(missing_ok=True)

"""Which snapshots of a run stay: the newest few, and the best by the metric."""

from pathlib import Path

from morphoscope.generate.training.records import best_of, read_measured, snapshots


def best_snapshot(run: Path) -> Path | None:
    """Of those that are left, the one with the lowest kernel distance to the training images.

    None if none of them is measured. Where a run was measured with several feature networks, the one that
    measured most snapshots decides.
    """
    measured = [read_measured(path)[0] for path in sorted(run.glob("metric-*.jsonl"))]
    best = best_of(run, max(measured, key=len, default=[]))
    return None if best is None else run / best.snapshot


def discard_old(run: Path, keep: int) -> None:
    """Delete all but the newest `keep` snapshots and the best one."""
    best = best_snapshot(run)
    for path in snapshots(run)[:-keep]:
        if path != best:
            path.unlink(missing_ok=True)

"""Which snapshots of a run stay: the newest few, and the best by the metric."""

from pathlib import Path

from morphoscope.generate.training.records import Records, is_number


def snapshots(run: Path) -> list[Path]:
    """The snapshots in a run folder, oldest first."""
    return sorted(run.glob("snapshot-*.safetensors"))


def best_snapshot(run: Path) -> Path | None:
    """Of those that are left, the one with the lowest kernel distance to the training images.

    None if none of them is measured. Where a run was measured with several feature networks, the one that
    measured most snapshots decides.
    """
    there = {path.name: path for path in snapshots(run)}
    candidates = [
        [(one.report.overall.kernel, one.snapshot) for one in lines if one.snapshot in there]
        for lines in Records.read(run).metrics.values()
    ]
    most = [line for line in max(candidates, key=len, default=[]) if is_number(line[0])]
    return there[min(most)[1]] if most else None


def discard_old(run: Path, keep: int) -> None:
    """Delete all but the newest `keep` snapshots and the best one."""
    old = snapshots(run)[:-keep]
    if not old:
        return
    best = best_snapshot(run)
    for path in old:
        if path != best:
            path.unlink(missing_ok=True)

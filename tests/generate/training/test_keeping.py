"""The snapshots that are kept: the newest ones and the best."""

import json

import numpy as np

from morphoscope.generate.metrics import Quality, QualityReport, kernel_distance
from morphoscope.generate.training.keeping import best_snapshot, discard_old
from morphoscope.generate.training.records import (
    Measurement,
    list_sheets,
    list_snapshots,
    sheet_name,
    snapshot_name,
)


def make_run(folder, distances):
    """A snapshot per kimg, with its kernel distance (None: not measured)."""
    lines = []
    for kimg, distance in enumerate(distances):
        name = f"snapshot-{kimg:06d}.safetensors"
        (folder / name).write_bytes(b"")
        if distance is not None:
            quality = Quality(8, 8, 1.0, distance, 0.1, 1.0, 1.0)
            report = QualityReport("network", quality, {})
            lines.append(json.dumps({"kimg": kimg, "snapshot": name, **report.as_json()}))
    (folder / "metric-network.jsonl").write_text("\n".join([*lines, '{"kimg": 9, "sn']))
    return folder


def left(folder):
    return [int(path.stem[-6:]) for path in sorted(folder.glob("snapshot-*"))]


def test_the_newest_and_the_best_are_kept(tmp_path):
    run = make_run(tmp_path, [0.5, 0.1, 0.3, 0.2, 0.4, None])
    assert best_snapshot(run).name == "snapshot-000001.safetensors"
    discard_old(run, keep=2)
    assert left(run) == [1, 4, 5]


def test_held_out_images_choose_and_the_training_images_would_choose_a_copier(tmp_path):
    """An exact copier of 100 images scored -0.0098 against them, and honest samples +0.0021."""
    random = np.random.default_rng(0)
    training, held_out = random.normal(size=(2, 100, 16))
    generated = {"copier": training[random.integers(0, 100, 400)], "honest": random.normal(size=(400, 16))}

    def report(features, real):
        kernel = kernel_distance(features, real)
        return QualityReport("network", Quality(400, 100, 1.0, *kernel, 1.0, 1.0), {})

    measured = []
    for kimg, features in enumerate(generated.values()):
        name = f"snapshot-{kimg:06d}.safetensors"
        (tmp_path / name).write_bytes(b"")
        measured.append(Measurement(kimg, name, report(features, training), report(features, held_out)))
    blind = [Measurement(one.kimg, one.snapshot, one.report) for one in measured]
    for lines, best in [(blind, 0), (measured, 1), ([*blind, *measured], 1)]:
        text = "".join(json.dumps(one.as_json()) + "\n" for one in lines)
        (tmp_path / "metric-network.jsonl").write_text(text)
        assert best_snapshot(tmp_path).name == measured[best].snapshot


def test_a_distance_of_nan_is_never_best(tmp_path):
    run = make_run(tmp_path, [float("nan"), 0.3, 0.2])
    assert best_snapshot(run).name == "snapshot-000002.safetensors"


def test_a_deleted_snapshot_is_never_best(tmp_path):
    run = make_run(tmp_path, [0.1, 0.3])
    (run / "snapshot-000000.safetensors").unlink()
    assert best_snapshot(run).name == "snapshot-000001.safetensors"


def test_without_measurements_only_the_newest_are_kept(tmp_path):
    run = make_run(tmp_path, [None] * 4)
    assert best_snapshot(run) is None
    discard_old(run, keep=3)
    assert left(run) == [1, 2, 3]


def test_names_count_images_and_those_of_earlier_versions_thousands(tmp_path):
    in_order = [
        "snapshot-000000.safetensors",  # of an earlier version, below 1000 images
        "snapshot-000001.safetensors",
        snapshot_name(1000),
        snapshot_name(1500),
        "snapshot-000002.safetensors",
        snapshot_name(60_000),
        "snapshot-1234567.safetensors",
        snapshot_name(12_345_678_901),
    ]
    assert in_order[3] == "snapshot-000001500.safetensors"
    assert sheet_name(in_order[3]) == "fakes000001500.png"
    for name in [*reversed(in_order), "snapshot-best.safetensors", "snapshot-1-copy.safetensors"]:
        (tmp_path / name).touch()
        (tmp_path / sheet_name(name)).touch()
    assert [path.name for path in list_snapshots(tmp_path)] == in_order
    assert [path.name for path in list_sheets(tmp_path)] == list(map(sheet_name, in_order))
    discard_old(tmp_path, keep=2)
    assert [path.name for path in list_snapshots(tmp_path)] == in_order[-2:]
    assert (tmp_path / "snapshot-best.safetensors").exists()

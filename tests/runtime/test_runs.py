"""Run folders: numbering, the resolved config, and statistics line by line."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
import yaml
from hostile.limits import full_disk

from morphoscope.configs import UserError, load_config
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.configs.commands import Splitting
from morphoscope.configs.generator import GeneratorTraining, ResolvedTraining
from morphoscope.configs.schema import fields_of
from morphoscope.runtime import RunFolder


def test_folders_are_numbered_after_the_highest(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    assert RunFolder.numbered(runs, "phantom-auto").path.name == "00000-phantom-auto"
    assert RunFolder.numbered(runs, "b").path.name == "00001-b"
    (runs / "00007-c").mkdir()
    (runs / "notes").mkdir()
    (runs / "123456-d").mkdir()  # not one of ours: six digits
    assert RunFolder.numbered(runs, "b").path.name == "00008-b"
    assert (runs / "00008-b").is_dir()


def test_runs_started_at_once_get_a_folder_each(tmp_path: Path) -> None:
    runs, together = 8, Barrier(8)

    def start(_: int) -> list[Path]:
        folders = []
        for _ in range(10):
            together.wait()
            folders.append(RunFolder.numbered(tmp_path / "runs", "same").path)
        return folders

    with ThreadPoolExecutor(runs) as pool:
        folders = [path for started in pool.map(start, range(runs)) for path in started]
    assert len(set(folders)) == len(folders) == 80
    assert sorted(path.name for path in folders) == [f"{number:05d}-same" for number in range(80)]


def test_a_parent_that_cannot_hold_run_folders_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("x")
    with pytest.raises(UserError, match="runs: the run folder cannot be created"):
        RunFolder.numbered(tmp_path / "runs", "a")


def test_an_existing_folder_is_used_again(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "state.pt").write_text("kept")
    assert (RunFolder(tmp_path / "run").path / "state.pt").read_text() == "kept"


def test_a_folder_that_cannot_be_created_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="file/run: the run folder cannot be created"):
        RunFolder(tmp_path / "file" / "run")


def test_config_holds_every_resolved_field_and_loads_again(tmp_path: Path) -> None:
    config = GeneratorTraining(resolution=128).resolved()
    run = RunFolder(tmp_path)
    run.write_config(config, command="generate train --set a=[1\nb: 2]", digest="abc")
    text = (tmp_path / "config.yaml").read_text(encoding="utf-8")
    assert text.startswith("# command: generate train --set a=[1 b: 2]\n# digest: abc\nresolution: 128\n")
    assert yaml.safe_load(text).keys() == fields_of(ResolvedTraining).keys()
    assert load_config(ResolvedTraining, file=tmp_path / "config.yaml") == config


def test_paths_in_a_config_are_written_as_text(tmp_path: Path) -> None:
    config = load_config(
        EnsembleTraining, family="classify", preset="lite", weights_file=Path("weights.safetensors")
    )
    RunFolder(tmp_path).write_config(config)
    assert load_config(EnsembleTraining, file=tmp_path / "config.yaml") == config


def test_statistics_are_appended_line_by_line(tmp_path: Path) -> None:
    RunFolder(tmp_path).append("stats.jsonl", kimg=1, loss=0.5)
    RunFolder(tmp_path).append("stats.jsonl", kimg=2, loss=0.25, note="zwei\nZeilen")
    lines = (tmp_path / "stats.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [
        {"kimg": 1, "loss": 0.5},
        {"kimg": 2, "loss": 0.25, "note": "zwei\nZeilen"},
    ]


def test_a_full_disk_names_the_statistics_file(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    with full_disk(1024), pytest.raises(UserError, match=r"stats\.jsonl: cannot be written"):
        run.append("stats.jsonl", note="x" * 5000)


def test_later_lines_are_removed_from_every_json_lines_file(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    for kimg in (1.0, 2.0, 3.0):
        run.append("stats.jsonl", kimg=kimg)
        run.append("metric-x.jsonl", kimg=kimg)
    with (tmp_path / "stats.jsonl").open("a") as file:
        file.write('{"kimg": 1.')  # a killed process
    run.forget_after("kimg", 2.0)
    for name in ("stats.jsonl", "metric-x.jsonl"):
        lines = [json.loads(line)["kimg"] for line in (tmp_path / name).read_text().splitlines()]
        assert lines == [1.0, 2.0]


def test_a_log_that_is_a_named_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "stats.jsonl")
    with pytest.raises(UserError, match=r"stats\.jsonl: a named pipe"):
        RunFolder(tmp_path).forget_after("kimg", 1.0)


def test_only_one_part_of_a_run_may_be_forgotten(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    for fold, epoch in (("0", 1), ("0", 2), ("1", 1), ("1", 2), ("1", 3)):
        run.append("stats.jsonl", fold=fold, epoch=epoch)
    with (tmp_path / "stats.jsonl").open("a") as file:
        file.write('{"fold": "0"')
    run.forget_after("epoch", 1, fold="1")
    lines = map(json.loads, (tmp_path / "stats.jsonl").read_text().splitlines())
    assert [tuple(line.values()) for line in lines] == [("0", 1), ("0", 2), ("1", 1)]


def test_an_empty_folder_is_removed(tmp_path: Path) -> None:
    RunFolder(tmp_path / "empty").remove_if_empty()
    assert not (tmp_path / "empty").exists()
    used = RunFolder(tmp_path / "used")
    used.append("stats.jsonl", kimg=1)
    used.remove_if_empty()
    (tmp_path / "link").symlink_to(tmp_path / "target", target_is_directory=True)
    (tmp_path / "target").mkdir()
    RunFolder(tmp_path / "link").remove_if_empty()  # cannot go, which is no error
    assert (tmp_path / "link").is_dir()
    assert used.path.exists()


def test_a_file_name_that_is_not_utf_8_does_not_stop_the_config(tmp_path: Path) -> None:
    RunFolder(tmp_path / "run").write_config(
        Splitting(), command="generate sample \udcff.safetensors \x1b[2J"
    )
    text = (tmp_path / "run" / "config.yaml").read_text(encoding="utf-8")
    assert r"\udcff.safetensors \x1b[2J" in text and "\x1b" not in text

"""A run folder holds one run: the same settings resume or repeat it, others are refused or replace it."""

import logging
from pathlib import Path
from typing import Any

import pytest

from morphoscope.configs import UserError
from morphoscope.configs.commands import Sampling
from morphoscope.configs.generator import GeneratorTraining
from morphoscope.configs.morphs import Morphing
from morphoscope.runtime import InputFiles, Request, RunFolder, write_text
from morphoscope.runtime.runs import check_request, recorded_request


def write_run(run: RunFolder, settings: Any, *names: str, overwrite: bool = False, **inputs: Any) -> bool:
    """A whole run that writes these files; whether another one was removed."""
    with run.held():
        cleared = run.claim(Request(settings, inputs), overwrite=overwrite)
        run.write_config(settings)
        for name in names:
            write_text(run.path / name, "x")
        run.append("stats.jsonl", step=1)
    return cleared


def files(run: RunFolder) -> set[str]:
    found = (path.relative_to(run.path) for path in run.path.rglob("*") if path.is_file())
    return {path.as_posix() for path in found if path.parts[0] != ".run"}


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def test_the_same_settings_repeat_a_run(run: RunFolder) -> None:
    write_run(run, Sampling(), "NF1/seed0000.png", generator="abc")
    assert write_run(run, Sampling(), "NF1/seed0000.png", generator="abc") is False
    assert files(run) == {"config.yaml", "stats.jsonl", "NF1/seed0000.png"}


@pytest.mark.parametrize(
    ("settings", "generator", "says"),
    [
        (Sampling(count=3), "abc", r"\(count: 8 before, 3 now\)"),
        (
            Sampling(seed=1, conditions=["NF1"]),
            "abc",
            r"conditions: none before, NF1 now; seed: 0 before, 1 now",
        ),
        (Sampling(), "def", r"\(generator: abc before, def now\)"),
        (Morphing(), "abc", r"it is a run of `generate sample`, not of `generate morph`"),
    ],
)
def test_other_settings_are_refused_and_named(
    run: RunFolder, settings: Any, generator: str, says: str
) -> None:
    write_run(run, Sampling(), "sheet.png", generator="abc")
    before = {name: (run.path / name).read_bytes() for name in files(run)}
    with pytest.raises(UserError, match=rf"run: .*another run.*{says}.*--overwrite"):
        write_run(run, settings, "strip.png", generator=generator)
    assert {name: (run.path / name).read_bytes() for name in files(run)} == before


def test_overwriting_removes_the_runs_own_files_and_says_so(
    run: RunFolder, caplog: pytest.LogCaptureFixture
) -> None:
    write_run(run, Sampling(), "sheet.png", "NF1/seed0000.png")
    (run.path / "notes.txt").write_text("mine")
    (run.path / "NF1" / "marked.png").write_text("mine")
    with caplog.at_level(logging.INFO, "morphoscope"):
        assert write_run(run, Morphing(), "strip.png", overwrite=True) is True
    assert files(run) == {"config.yaml", "stats.jsonl", "strip.png", "notes.txt", "NF1/marked.png"}
    assert "removed 4 files of the earlier run: config.yaml, sheet.png, NF1/seed0000.png" in caplog.text
    assert len((run.path / "stats.jsonl").read_text().splitlines()) == 1


def test_overwriting_the_same_run_only_repeats_it(run: RunFolder) -> None:
    write_run(run, Sampling(), "sheet.png")
    assert write_run(run, Sampling(), overwrite=True) is False
    assert (run.path / "sheet.png").exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_files_of_unknown_origin_are_left_alone(run: RunFolder, overwrite: bool) -> None:
    (run.path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match=r"no record of a run that wrote them \(thesis\.txt\)"):
        write_run(run, Sampling(), overwrite=overwrite)
    assert files(run) == {"thesis.txt"} and not (run.path / ".run").exists()


def test_hidden_files_do_not_make_a_folder_somebodys(run: RunFolder) -> None:
    (run.path / ".DS_Store").touch()
    write_run(run, Sampling(), "sheet.png")


def test_work_that_fails_before_its_first_file_leaves_no_trace(run: RunFolder) -> None:
    with pytest.raises(UserError, match="no such condition"), run.held():
        run.claim(Request(Sampling()))
        run.write_config(Sampling())
        raise UserError("no such condition")
    assert not run.path.exists()
    write_run(run, Sampling(), "sheet.png")
    with pytest.raises(UserError, match="disk"), run.held():
        run.claim(Request(Sampling()))
        raise UserError("the disk is full")
    assert files(run) == {"config.yaml", "stats.jsonl", "sheet.png"}


def test_a_killed_predecessors_temporary_files_are_removed(run: RunFolder) -> None:
    write_run(run, Sampling(), "sheet.png")
    names = [f".config.{'0a' * 8}.yaml", f".sheet.{'1b' * 8}.png", f".run/.request.{'2c' * 8}.json"]
    for name in names:
        (run.path / name).write_text("half")
    write_run(run, Sampling())
    assert not any((run.path / name).exists() for name in names)


def test_settings_that_may_change_on_resume_do_not_count(run: RunFolder) -> None:
    first, longer = (GeneratorTraining(resolution=16, kimg=kimg).resolved() for kimg in (1, 2))
    write_run(run, first)
    write_run(run, longer)
    assert recorded_request(run.path)["settings"]["kimg"] == 2
    other = GeneratorTraining(resolution=16, kimg=1, gamma=3.0).resolved()
    with pytest.raises(UserError, match=r"gamma: .* before, 3\.0 now"):
        write_run(run, other)


def test_a_record_of_an_earlier_version_has_todays_defaults(tmp_path: Path) -> None:
    settings = GeneratorTraining(resolution=16).resolved()
    record = Request(settings).as_json()
    del record["settings"]["lecam_weight"], record["settings"]["unconditional_output"]
    assert Request(settings).changes_since(record) == []
    record["settings"]["removed_since"] = 5
    assert Request(settings).changes_since(record) == ["removed_since: 5 before, none now"]


def test_a_request_is_checked_without_a_folder(tmp_path: Path) -> None:
    check_request(tmp_path / "absent", Request(Sampling()))
    assert not (tmp_path / "absent").exists()


def test_a_damaged_record_is_named(run: RunFolder) -> None:
    write_run(run, Sampling())
    (run.path / ".run" / "request.json").write_text("[1")
    with pytest.raises(UserError, match=r"request\.json: the record of the run is damaged"):
        write_run(run, Sampling())


def test_files_are_inputs_by_name_and_content(run: RunFolder, tmp_path: Path) -> None:
    answers = tmp_path / "answers"
    answers.mkdir()
    (answers / "a.csv").write_text("1")
    write_run(run, Sampling(), answers=InputFiles(answers))
    assert "a.csv" not in (run.path / ".run" / "request.json").read_text()  # it may name a participant
    write_run(run, Sampling(), answers=InputFiles(answers))
    (answers / "a.csv").write_text("2")
    with pytest.raises(UserError, match="answers: answers has another content"):
        write_run(run, Sampling(), answers=InputFiles(answers))
    with pytest.raises(UserError, match="answers: it is run instead of answers"):
        write_run(run, Sampling(), answers=InputFiles(run.path))

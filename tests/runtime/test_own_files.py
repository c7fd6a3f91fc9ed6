"""A run removes what it wrote, and nothing else."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morphoscope.runtime import write_text
from morphoscope.runtime.files import final_name, observed_writes, temporary_name
from morphoscope.runtime.own_files import OwnFiles

PART = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12)
NAMES = st.lists(PART.filter(lambda part: part not in {".", ".."}), min_size=1, max_size=3).map("/".join)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "run" / ".run").mkdir(parents=True)
    return tmp_path / "run"


def own(run: Path) -> OwnFiles:
    return OwnFiles(run, run / ".run" / "files.jsonl")


def contents(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if ".run" not in path.parts}


@given(st.lists(NAMES, max_size=8), st.lists(NAMES, max_size=8))
@settings(max_examples=60, deadline=None)
def test_exactly_the_recorded_files_are_removed(written: list[str], foreign: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run")
        (run / ".run").mkdir(parents=True)
        mine, theirs = set(), set()
        for names, into in ((foreign, theirs), (written, mine)):
            for name in names:
                path = run / name
                if path.exists() or any(parent.is_file() for parent in path.parents):
                    continue
                try:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text("x")
                except OSError:  # a name too long in bytes
                    continue
                into.add(name)
                if into is mine:
                    own(run).add(path)
        assert set(own(run).clear()) == mine - {".run"}
        left = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
        assert {name for name in left if not name.startswith(".run/")} == theirs
        assert own(run).names == []


@given(PART, st.sampled_from(["", ".png", ".safetensors", ".state.pt"]))
def test_a_temporary_name_leads_back_to_the_file(stem: str, suffix: str) -> None:
    path = Path("folder", f"{stem}{suffix}")
    if path.stem:
        assert final_name(temporary_name(path)) == path.name
    assert final_name(f"{stem}{suffix}") is None or stem.startswith(".")


def test_links_and_what_is_behind_them_stay(run: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "patient.png").write_text("x")
    (run / "images").symlink_to(tmp_path / "outside", target_is_directory=True)
    (run / "sheet.png").symlink_to(tmp_path / "outside" / "patient.png")
    files = own(run)
    files.add(run / "images" / "patient.png")
    files.add(run / "sheet.png")
    assert files.clear() == []
    assert (tmp_path / "outside" / "patient.png").exists() and (run / "sheet.png").is_symlink()


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/hostname", "a/../../secret", "..", "", "x\0y", 5, None, ["a"]]
)
def test_a_listing_from_elsewhere_cannot_lead_out(run: Path, name: object) -> None:
    secret = run.parent / "secret"
    secret.write_text("x")
    (run / "a").mkdir()
    (run / ".run" / "files.jsonl").write_text(json.dumps(name) + "\nno JSON\n")
    assert own(run).clear() == []
    own(run).remove_leftovers()
    assert secret.exists() and (run / "a").is_dir()


def test_files_outside_the_run_are_not_recorded(run: Path) -> None:
    files = own(run)
    with observed_writes(files.add):
        write_text(run / "sub" / "a.txt", "x")
        write_text(run.parent / "cache" / "b.txt", "x")
        write_text(run / ".." / "c.txt", "x")
        write_text(run / ".run" / "request.json", "{}")
    write_text(run / "later.txt", "x")
    assert own(run).names == ["sub/a.txt"]


def test_a_killed_writer_of_the_listing_costs_one_name(run: Path) -> None:
    own(run).add(run / "a.txt")
    with (run / ".run" / "files.jsonl").open("a") as file:
        file.write('"b.t')
    own(run).add(run / "c.txt")
    assert own(run).names == ["a.txt", "c.txt"]


def test_only_temporary_files_of_the_runs_own_files_are_removed(run: Path) -> None:
    files = own(run)
    leftovers = []
    for name in ("config.yaml", "folds/fold-0.state.pt", "reals.png"):
        files.add(run / name)
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_text("x")
        leftovers.append((run / name).with_name(temporary_name(run / name)))
    kept = [run / temporary_name(Path("other.png")), run / ".config.yaml", run / ".reals.0123.png"]
    for path in [*leftovers, *kept]:
        path.write_text("x")
    (run / f".reals.{'0' * 16}.png").symlink_to(run / "reals.png")
    own(run).remove_leftovers()
    assert not any(path.exists() for path in leftovers)
    assert all(path.exists() for path in kept) and (run / f".reals.{'0' * 16}.png").is_symlink()
    assert (run / "reals.png").exists()

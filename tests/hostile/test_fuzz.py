"""A few hundred damaged files per reader; `make fuzz` tries more."""

from pathlib import Path

import pytest

from hostile.fuzz import damaged, fuzz
from hostile.readers import READERS, empty


@pytest.mark.parametrize("name", READERS)
def test_damaged_files_are_read_or_refused(name: str, tmp_path: Path) -> None:
    outcome = fuzz(READERS[name], tmp_path / "work", files=200, seconds=6)
    assert outcome.refused > 0


@pytest.mark.parametrize("name", READERS)
def test_the_sound_files_are_read(name: str, tmp_path: Path) -> None:
    reader = READERS[name]
    for number, data in enumerate(reader.seeds(tmp_path)):
        folder = tmp_path / str(number)
        empty(folder)
        (folder / reader.file).write_bytes(data)
        if name == "manifest":  # it lists images that are not there
            continue
        reader.read(folder / reader.file)


def test_a_file_can_be_made_again() -> None:
    seeds = [b"a sound file", b"another"]
    assert damaged(seeds, (b"word",), 7) == damaged(seeds, (b"word",), 7)
    assert len({damaged(seeds, (b"word",), number) for number in range(50)}) > 40

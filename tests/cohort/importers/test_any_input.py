"""Whatever is imported: an error before anything is written, or exactly the rows given, in normal form.

Each image is of a colour of its own, so that the test follows it through any renaming.
"""

import csv
import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import event, given, settings
from hypothesis import strategies as st
from PIL import Image

from morphoscope.cohort import Cohort, import_csv, import_folder
from morphoscope.cohort.names import UNKNOWN_PATIENT, known_name
from morphoscope.configs import UserError

# Names as people have them, and any text beside: blanks, Unicode forms, numbers, words for unknown, splits.
AWKWARD = [
    "nv", "nv ", " nv", "Mel", "mel", "caf\u00e9", "cafe\u0301", "10", "10.0", "1e3", "NaN", "None", "NA",
    "-1", "unknown", "train", "test", "a,b", 'a"b', "a;b", "\u00a0nv", "m\u200bel", "\U0001f600", "a\nb",
    "..", "-",
]  # fmt: skip
USUAL = st.sampled_from(
    ["nv", "nv ", "Mel", "mel", "caf\u00e9", "cafe\u0301", "10", "10.0", "a,b", "\u00a0nv"]
)
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="/\0")
CELL = st.one_of(USUAL, USUAL, USUAL, st.sampled_from(AWKWARD), st.text(CHARACTERS, min_size=1, max_size=4))
FOLDER = CELL.filter(lambda name: name not in (".", ".."))
WORDS = st.sampled_from(["", "NaN", "P1", "P1 ", "p1", "1", "1.0", "None"])


def colour(number: int) -> tuple[int, int, int]:
    return number, 255 - number, 128


def triples(cohort: Cohort) -> set[tuple[int, str, str]]:
    """(number of the image's colour, condition, group) of each row; the group "" if it is the file."""
    rows = cohort.rows
    groups = rows["group"].where(rows["group"] != rows["file"], "")
    numbers = [int(cohort.image(i)[0, 0, 0]) for i in range(len(rows))]
    return set(zip(numbers, rows["condition"], groups, strict=True))


def imported_or_refused(
    root: Path, run: Callable[[Path], Cohort], expected: set[tuple[int, str, str]]
) -> None:
    before = sorted(path.name for path in root.iterdir())
    try:
        cohort = run(root / "out")
    except UserError:
        event("refused")
        assert sorted(path.name for path in root.iterdir()) == before
        return
    event("imported")
    assert triples(cohort) == expected
    again = Cohort.load(root / "out")
    content = json.loads((root / "out/dataset.json").read_text(encoding="utf-8"))
    named = {file: content["conditions"][number] for file, number in content["labels"]}
    assert named == dict(zip(again.rows["file"], again.rows["condition"], strict=True))
    assert content["conditions"] == again.conditions == sorted(set(again.rows["condition"]))
    assert again.check().ok or {problem.kind for problem in again.check().problems} <= {"near-duplicate"}


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_table(data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "in").mkdir()
        files = [f"{number}.png" for number in range(data.draw(st.integers(1, 5)))]
        for number, file in enumerate(files):
            Image.new("RGB", (2, 2), colour(number)).save(root / "in" / file)
        listed = data.draw(st.permutations(files))
        rows = [[file, data.draw(CELL), data.draw(st.one_of(CELL, WORDS))] for file in listed]
        text = StringIO(newline="")
        writer = csv.writer(text, delimiter=data.draw(st.sampled_from(",;\t")))
        writer.writerows(
            [["file", "condition", "group"], *rows, *data.draw(st.sampled_from([[], [["", "", ""]]]))]
        )
        (root / "in/t.csv").write_text(
            text.getvalue(), encoding=data.draw(st.sampled_from(["utf-8", "utf-8-sig"]))
        )
        expected = {
            (int(file[0]), known_name(condition.strip()), known_name(group.strip(), UNKNOWN_PATIENT))
            for file, condition, group in rows
        }
        imported_or_refused(root, lambda out: import_csv(root / "in/t.csv", out), expected)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_tree(data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "in").mkdir()
        expected = set()
        for number in range(data.draw(st.integers(2, 5))):
            parts = data.draw(st.lists(FOLDER, min_size=1, max_size=2))
            path = root.joinpath("in", *parts, f"{number}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (2, 2), colour(number)).save(path)
            condition = known_name(parts[0])
            patient = known_name(parts[1], UNKNOWN_PATIENT) if len(parts) > 1 else ""
            if not any(part.startswith(".") for part in parts):  # hidden folders are no source
                expected.add((number, condition, f"{condition}/{patient}" if patient else ""))
        imported_or_refused(root, lambda out: import_folder(root / "in", out), expected)

"""`Cohort.check` finds each kind of fault, names the files, and raises nothing."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from morphoscope.cohort import CheckReport, Cohort


def kinds(report: CheckReport, severity: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for problem in report.problems:
        if problem.severity == severity:
            found.setdefault(problem.kind, []).extend(problem.files)
    return found


def test_sound_cohort_has_only_a_warning_about_its_size(cohort: Cohort) -> None:
    report = cohort.check()
    assert report.ok
    assert kinds(report, "error") == {}
    assert set(kinds(report, "warning")) == {"tiny-class"}
    assert report.images == 12


def test_every_fault_in_one_report(cohort: Cohort) -> None:
    root = cohort.root
    (root / "images/00.png").write_bytes(b"")
    (root / "images/01.png").write_bytes((root / "images/01.png").read_bytes()[:60])
    (root / "images/02.png").unlink()
    Image.new("RGB", (9, 9)).save(root / "images/extra.png")
    rows = cohort.rows.copy()
    rows.loc[3, "condition"] = ""
    rows.loc[4, "file"] = "../outside.png"
    rows.loc[[5, 7], "fold"] = ["0", "1"]
    rows.loc[8, ["source", "fold"]] = ["synthetic", "test"]
    rows.to_csv(root / "manifest.csv", index=False)

    report = Cohort.load(root, strict=False).check()
    errors = kinds(report, "error")
    assert not report.ok
    assert errors["unreadable"] == ["images/00.png", "images/01.png"]
    assert errors["absent"] == ["images/02.png"]
    assert errors["unlabelled"] == ["images/03.png"]
    assert errors["path"] == ["../outside.png"]
    assert errors["fold-leak"] == ["images/05.png", "images/07.png"]
    assert errors["synthetic-in-fold"] == ["images/08.png"]
    assert errors["provenance"] == ["images/08.png"] * 3
    assert kinds(report, "warning")["unlabelled"] == ["images/04.png", "images/extra.png"]


def test_masks_are_read_as_images_are_but_not_compared(cohort: Cohort) -> None:
    sound = (cohort.root / "images/00.png").read_bytes()
    (cohort.root / "sound.png").write_bytes(sound)
    (cohort.root / "damaged.png").write_bytes(sound[:60])
    masks = ["sound.png", "damaged.png", "damaged.png", "absent.png", *[""] * 8]
    report = Cohort.from_rows(cohort.root, cohort.rows.assign(mask=masks)).check()
    assert kinds(report, "error") == {"unreadable": ["damaged.png"], "absent": ["absent.png"]}


def test_near_duplicates_across_groups(cohort: Cohort) -> None:
    image = Image.open(cohort.root / "images/00.png")
    image.resize((64, 48)).save(cohort.root / "images/04.png")  # another patient, another size
    Image.open(cohort.root / "images/01.png").resize((64, 48)).save(
        cohort.root / "images/03.png"
    )  # same patient
    report = Cohort.load(cohort.root).check()
    assert report.ok
    assert kinds(report, "warning")["near-duplicate"] == ["images/00.png", "images/04.png"]


def test_the_same_file_in_two_groups_is_an_error(cohort: Cohort) -> None:
    (cohort.root / "images/11.png").write_bytes((cohort.root / "images/00.png").read_bytes())
    assert kinds(cohort.check(), "error") == {"near-duplicate": ["images/00.png", "images/11.png"]}


def test_synthetic_images_are_not_compared(cohort: Cohort) -> None:
    (cohort.root / "images/11.png").write_bytes((cohort.root / "images/00.png").read_bytes())
    rows = cohort.rows.assign(generator="", trained_on_folds="", trained_on_cohort="")
    rows.loc[11, ["source", "generator", "trained_on_folds"]] = ["synthetic", "abc", "[]"]
    rows.loc[11, "trained_on_cohort"] = "1234567890abcdef"
    assert Cohort.from_rows(cohort.root, rows).check().ok


def test_small_condition_is_named_with_its_counts(tmp_path: Path) -> None:
    rows = []
    for number in range(13):
        noise = np.random.default_rng(number).integers(0, 256, (32, 32, 3)).astype(np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{number}.png")
        group, condition = ("one", "rare") if number < 3 else (str(number), "common")
        rows.append({"file": f"{number}.png", "condition": condition, "group": group})
    report = Cohort.from_rows(tmp_path, pd.DataFrame(rows)).check()
    assert [problem.kind for problem in report.problems] == ["tiny-class"]
    assert "'rare' has 1 groups (patients) and 3 images" in report.problems[0].message


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_sixteen_bit_files_with_fewer_bits_are_almost_black(cohort: Cohort, bits: int) -> None:
    values = np.random.default_rng(0).integers(0, 2**bits, (24, 32)).astype(np.uint16)
    Image.fromarray(values).save(cohort.root / "images/00.png")
    (problem,) = [problem for problem in cohort.check().problems if problem.kind == "almost-black"]
    assert problem.files == ["images/00.png"] and "16-bit files" in problem.message


@pytest.mark.parametrize("brightest", [128, 255])
def test_dark_photographs_with_highlights_are_not_almost_black(cohort: Cohort, brightest: int) -> None:
    pixels = np.full((24, 32, 3), 12, np.uint8)
    pixels[:2] = brightest
    Image.fromarray(pixels).save(cohort.root / "images/00.png")
    assert "almost-black" not in kinds(cohort.check(), "warning")


def test_tiny_images_and_strips(cohort: Cohort) -> None:
    shapes = {
        "00": (1, 1),
        "01": (10, 1000),
        "02": (15, 15),
        "03": (16, 64),
        "04": (65, 16),
        "05": (700, 100),
    }
    for name, (width, height) in shapes.items():
        noise = np.random.default_rng(width).integers(0, 256, (height, width, 3)).astype(np.uint8)
        Image.fromarray(noise).save(cohort.root / f"images/{name}.png")
    report = cohort.check()
    assert kinds(report, "error") == {}
    found = kinds(report, "warning")
    assert found["tiny-image"] == ["images/00.png", "images/01.png", "images/02.png"]
    assert found["extreme-shape"] == ["images/01.png", "images/04.png", "images/05.png"]
    assert "images/01.png (10 x 1000)" in str(report)


def test_names_that_people_must_decide_about(cohort: Cohort) -> None:
    groups = ["p1", "p1", "P1", "x/q", "y/q", "r", *[f"s{number}" for number in range(6)]]
    conditions = ["x", "y", "x", "x", "y", "Y", *"xyxyxy"]
    rows = cohort.rows.assign(group=groups, condition=conditions)
    messages = [
        problem.message
        for problem in Cohort.from_rows(cohort.root, rows).check().problems
        if problem.kind in ("similar-names", "patient-of-several-conditions")
    ]
    assert len(messages) == 4
    text = " ".join(messages)
    assert "'Y' and 'y' differ only in case" in text and "'P1' and 'p1' differ only in case" in text
    assert "1 groups (patients) have images of several conditions: p1 (x, y)" in text
    assert "1 patients' names occur under several conditions: q (x, y)" in text


def test_text_that_a_spreadsheet_would_run_is_warned_of_and_kept(cohort: Cohort) -> None:
    conditions = ["=cmd|' /C calc'!A0", "-1", *["plain"] * 10]
    rows = cohort.rows.assign(condition=conditions, note=["-3.5", "+", *["@SUM(A1)"] * 10])
    changed = Cohort.from_rows(cohort.root, rows)
    (problem,) = [problem for problem in changed.check().problems if problem.kind == "formula"]
    assert problem.severity == "warning"
    assert repr(conditions[0]) in problem.message and "note '@SUM(A1)'" in problem.message
    assert "'-1'" not in problem.message and "'+'" not in problem.message
    changed.save()
    assert Cohort.load(cohort.root).rows["condition"].tolist() == conditions


def test_report_prints_as_text(cohort: Cohort) -> None:
    (cohort.root / "images/00.png").write_bytes(b"")
    report = cohort.check()
    assert "12 images checked: 1 errors, 2 warnings." in str(report)
    assert "images/00.png: empty file (0 bytes)." in str(report)
    assert "error: unreadable" in str(report)


def test_check_of_a_zip(cohort: Cohort, tmp_path: Path) -> None:
    assert cohort.save_as(tmp_path / "c.zip").check().ok

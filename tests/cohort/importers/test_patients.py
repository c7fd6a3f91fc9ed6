"""Whatever the importer: which images are of one patient, which are alone, and what is warned of."""

import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from morphoscope.cohort import (
    Cohort,
    import_classifynf1,
    import_csv,
    import_folder,
    import_isic,
    import_siim_isic,
)
from morphoscope.cohort.names import UNKNOWN_PATIENT

Write = Callable[..., np.ndarray]
Import = Callable[[Sequence[str], Sequence[str]], list[str]]

# Of each importer of tables: the columns of file, condition and patient, and further ones.
TABLES = {
    "csv": (import_csv, "file", "condition", "group", {}),
    "isic": (import_isic, "image_id", "dx", "patient_id", {}),
    "isic, lesions": (import_isic, "image_id", "dx", "lesion_id", {"patient_id": ""}),
    "siim-isic": (import_siim_isic, "image_name", "diagnosis", "patient_id", {"tfrecord": "0"}),
    "classifynf1": (
        import_classifynf1,
        "image_name",
        "diagnosis",
        "patient_id",
        {"filepath": "", "tfrecord": "0", "is_test": "0"},
    ),
}
FOLDERS = {"folder": None, "folder, pattern": r"\[(.*)\]"}


@pytest.fixture(params=[*TABLES, *FOLDERS])
def imported(request: pytest.FixtureRequest, tmp_path: Path, write_pattern: Write) -> Import:
    """imported(patients, conditions) -> the images' groups; an image alone in its group has "" here."""

    def groups(cohort: Cohort) -> list[str]:
        rows = cohort.rows.sort_values("file", key=lambda files: files.map(lambda file: Path(file).name[-7:]))
        return [
            "" if group == file else str(group).rpartition("/")[2]
            for file, group in zip(rows["file"], rows["group"], strict=True)
        ]

    def by_table(patients: Sequence[str], conditions: Sequence[str]) -> list[str]:
        function, file, condition, patient, others = TABLES[request.param]
        files = [f"{number:03d}" for number in range(len(patients))]
        for number, name in enumerate(files):
            write_pattern(tmp_path / f"in/{name}.png", seed=number, height=8, width=8)
        table = pd.DataFrame({file: files, condition: conditions, patient: patients}).assign(**others)
        table.to_csv(tmp_path / "in/table.csv", index=False)
        return groups(function(tmp_path / "in", tmp_path / "out"))

    def by_folder(patients: Sequence[str], conditions: Sequence[str]) -> list[str]:
        pattern = FOLDERS[request.param]
        for number, (patient, condition) in enumerate(zip(patients, conditions, strict=True)):
            place = f"{patient}/" if pattern is None else f"[{patient}]"
            file = tmp_path / f"in/{condition}/{place}{number:03d}.png"
            write_pattern(file, seed=number, height=8, width=8)
        write_pattern(tmp_path / "in/another/[x]999.png")  # a folder of only one condition is asked about
        return groups(import_folder(tmp_path / "in", tmp_path / "out", group_pattern=pattern))[:-1]

    return by_folder if request.param in FOLDERS else by_table


def nameable(word: str) -> bool:
    """Whether a folder or file can have this name."""
    return word != "" and "/" not in word


def test_each_word_for_unknown_leaves_the_image_alone(
    imported: Import, request: pytest.FixtureRequest
) -> None:
    words = [spelt for word in sorted(UNKNOWN_PATIENT) for spelt in {word, word.upper(), word.title()}]
    words += ["-1.0", " unknown "]
    if request.node.callspec.params["imported"] in FOLDERS:
        words = [word for word in words if nameable(word)]
    assert {"-1", "unknown", "NA", "nan", "none"} <= set(words)
    patients = [*words, *words, "P1", "P1"]
    assert imported(patients, ["nevus"] * len(patients)) == [""] * 2 * len(words) + ["P1", "P1"]


@pytest.mark.parametrize(
    "spellings",
    [
        ["10", "10.0", "10.00"],
        [unicodedata.normalize(form, "Zoé") for form in ("NFC", "NFD")],
        ["P1", "P1 ", " P1", "P1\u00a0"],
        ["P  1", "P 1"],
    ],
    ids=["numbers", "unicode", "blanks", "blanks inside"],
)
def test_spellings_of_one_name_are_one_patient(
    imported: Import, spellings: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    expected = unicodedata.normalize("NFC", spellings[0]).replace("  ", " ")
    assert imported([*spellings, "other"], ["nevus"] * (len(spellings) + 1)) == [
        *[expected] * len(spellings),
        "other",
    ]
    assert "similar names" not in caplog.text


def test_names_that_differ_in_case_are_warned_of(imported: Import, caplog: pytest.LogCaptureFixture) -> None:
    assert imported(["P1", "p1", "P2"], ["nevus"] * 3) == ["P1", "p1", "P2"]
    assert "'P1' and 'p1' differ only in case" in caplog.text.replace("nevus/", "")
    assert "P2" not in caplog.text


def test_a_patient_under_two_conditions_is_warned_of(
    imported: Import, caplog: pytest.LogCaptureFixture
) -> None:
    assert imported(["P1", "P1", "P2"], ["nevus", "melanoma", "nevus"]) == ["P1", "P1", "P2"]
    assert "under several conditions: P1 (melanoma, nevus)" in caplog.text.replace(
        "have images of several", "under several"
    )
    assert "P2" not in caplog.text

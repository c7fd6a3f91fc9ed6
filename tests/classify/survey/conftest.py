"""A cohort whose test patients were photographed in both views, and surveys built from it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from morphoscope.classify.survey.building import Surveys, build_surveys
from morphoscope.cohort import PHANTOM_CONDITIONS, Cohort, phantom_image, write_image
from morphoscope.configs.survey import SurveyBuilding

CONDITIONS = list(PHANTOM_CONDITIONS[:3])


@pytest.fixture(scope="session")
def paired(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """Three conditions x (5 test patients in both views, one in one view, 4 training patients)."""
    root = tmp_path_factory.mktemp("paired")
    rows = []
    for condition in CONDITIONS:
        for patient in range(10):
            fold = "test" if patient < 6 else str(patient % 2)
            for number, view in enumerate(("focused", "panoramic")[: 1 if patient == 5 else 2]):
                name = f"{condition}-{patient}-{view}.png"
                write_image(root / name, phantom_image(condition, 2 * patient + number, size=48).image)
                row = {"file": name, "condition": condition, "group": f"{condition}-{patient}"}
                rows.append({**row, "view": view, "fold": fold, "phantom": "true"})
    cohort = Cohort.from_rows(root, pd.DataFrame(rows))
    cohort.save()
    return Cohort.load(root)


@pytest.fixture(scope="session")
def built(paired: Cohort, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of four surveys, each with two images per condition and view."""
    folder = tmp_path_factory.mktemp("surveys") / "set"
    build_surveys(paired, folder, SurveyBuilding(surveys=4, per_condition=2, contact="Ask Dr X."))
    return folder


@pytest.fixture(scope="session")
def surveys(built: Path) -> Surveys:
    return Surveys.load(built)


Fill = Callable[..., pd.DataFrame]


@pytest.fixture
def fill(surveys: Surveys) -> Fill:
    """The table that a form saves: correct answers except for a fraction `wrong`, none where `skipped`."""

    def filled(
        participant: str,
        survey: int = 1,
        *,
        specialty: str = "pediatrics",
        wrong: float = 0.0,
        skipped: tuple[int, ...] = (),
        seed: int = 0,
        **columns: str,
    ) -> pd.DataFrame:
        key = surveys.key[surveys.key["survey"] == survey]
        random = np.random.default_rng(seed)
        other = [random.choice([c for c in surveys.conditions if c != truth]) for truth in key["condition"]]
        answer = np.where(random.random(len(key)) < wrong, other, key["condition"])
        return pd.DataFrame(
            {
                "set": surveys.name,
                "survey": str(survey),
                "participant": participant,
                "specialty": specialty,
                "years": "7",
                "saved": "2026-05-01T12:00:00.000Z",
                "position": key["position"].astype(str),
                "view": key["view"],
                "answer": np.where(key["position"].isin(skipped), "", answer),
                "confidence": "3",
            }
        ).assign(**columns)

    return filled


@pytest.fixture
def saved(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Write tables as files in a folder of answers; returns the folder."""
    folder = tmp_path / "answers"
    folder.mkdir()

    def save(*tables: pd.DataFrame) -> Path:
        for table in tables:
            table.to_csv(folder / f"{len(list(folder.iterdir())):03}.csv", index=False)
        return folder

    yield save

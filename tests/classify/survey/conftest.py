"""A cohort whose test patients were photographed in both views, and surveys built from it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from morphoscope.classify import Evaluation, Prediction
from morphoscope.classify.evaluation import EvaluationFacts
from morphoscope.classify.survey.analysis import Analysis, analyse
from morphoscope.classify.survey.answers import read_answers
from morphoscope.classify.survey.building import Surveys, build_surveys
from morphoscope.cohort import PHANTOM_CONDITIONS, Cohort, phantom_image, write_image
from morphoscope.configs.survey import SurveyAnalysis, SurveyBuilding

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


@pytest.fixture
def evaluation(paired: Cohort) -> Evaluation:
    """The classifier prefers a condition outside the survey; its second choice is correct 3 times in 4."""
    rows = paired.rows[paired.rows["fold"] == "test"]
    conditions = ["AAA", *paired.conditions]
    truth = np.array([conditions.index(c) for c in rows["condition"]])
    second = np.where(np.arange(len(truth)) % 4 == 0, 1 + truth % 3, truth)
    combined = np.zeros((len(truth), 4), np.float32)
    combined[:, 0] = 0.6
    combined[np.arange(len(truth)), second] = 0.4
    prediction = Prediction(conditions, combined[None], combined, np.zeros(len(truth), bool))
    facts = EvaluationFacts("test", paired.root.name, paired.digest, phantom=True)
    return Evaluation(
        conditions, rows["file"].to_numpy(), truth, rows["group"].to_numpy(dtype=str), prediction, facts
    )


@pytest.fixture
def analysis(fill, saved, surveys: Surveys, evaluation: Evaluation) -> Analysis:
    tables = [
        fill(f"{s[:3]}{i}", 1 + i % 4, specialty=s, wrong=wrong, seed=i)
        for s, wrong in [("pediatrics", 0.6), ("genetics", 0.4)]
        for i in range(8)
    ]
    answers = read_answers(saved(*tables, fill("lazy", skipped=(1, 2, 3))), surveys)
    return analyse(surveys, answers, [evaluation], SurveyAnalysis(replicates=100))

"""Build survey forms and their key from a cohort's paired test images."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from morphoscope.classify.inputs.pairs import lesions
from morphoscope.classify.inputs.views import require_paired_test
from morphoscope.classify.survey.form import FormText, encode_image, render_form
from morphoscope.cohort import TEST_FOLD, Cohort, new_folder
from morphoscope.cohort.spreadsheet import read_csv, write_csv
from morphoscope.configs import UserError
from morphoscope.configs.survey import SurveyBuilding
from morphoscope.configs.user_files import read_regular
from morphoscope.runtime import write_text

SURVEY_VIEWS = ("focused", "panoramic")  # in the order in which they are shown
KEY, FACTS, FORMS = "key.csv", "survey.json", "forms"
_KEY_COLUMNS = ["survey", "position", "view", "file", "condition", "group"]
_MAX_KEY_BYTES, _MAX_FACTS_BYTES = 64 * 2**20, 2**20


@dataclass(frozen=True)
class Surveys:
    """A set of surveys.

    Attributes:
        name: "s" and 8 hex digits of a SHA-256 of the questions; part of every form and answer.
        key: one row per question: survey and position (int, from 1), view, file, condition, group.
        conditions, specialties: the options that participants choose from.
        cohort_digest: of the cohort whose images are shown.
        phantom: whether the images are phantoms, which show no patient.
    """

    name: str
    key: pd.DataFrame
    conditions: list[str]
    specialties: list[str]
    cohort_digest: str
    phantom: bool

    @classmethod
    def load(cls, folder: Path) -> "Surveys":
        """Read the key from a folder written by `build_surveys`.

        Raises:
            UserError: a file is missing or damaged.
        """
        folder = Path(folder)
        key = read_csv(folder / KEY, _MAX_KEY_BYTES)
        missing = [column for column in _KEY_COLUMNS if column not in key.columns]
        if missing:
            raise UserError(f"{folder / KEY}: no column {', '.join(missing)}; build the surveys again.")
        try:
            facts = json.loads(read_regular(folder / FACTS, _MAX_FACTS_BYTES))
            key = key.astype({"survey": int, "position": int})
            if not set(key["condition"]) <= set(facts["conditions"]):
                raise ValueError(f"{KEY} has conditions that {FACTS} lacks")
            return cls(key=key, **{name: facts[name] for name in cls.__annotations__ if name != "key"})
        except UserError:
            raise
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise UserError(
                f"{folder}: damaged {FACTS} or {KEY} ({error}); build the surveys again."
            ) from error

    @property
    def showings(self) -> pd.Series:
        """The number of surveys that show each image, indexed by view, condition and file."""
        return self.key.groupby(["view", "condition", "file"]).size()


def build_surveys(cohort: Cohort, destination: Path, config: SurveyBuilding) -> Surveys:
    """Write the forms, `forms/survey-01.html` …, and their key, `key.csv` and `survey.json`.

    Only real images of the fold "test" are shown, and of these only lesions photographed in both views.
    `plan_surveys` assigns the images to the surveys.

    Args:
        destination: a new or empty folder; it appears only when it is complete.

    Raises:
        UserError: the test fold is not fair to both views (see `require_paired_test`), a condition has too
            few images, an image cannot be read, or the folder is not empty.
    """
    conditions = list(config.conditions) or list(cohort.conditions)
    require_paired_test(cohort)
    paired = paired_test_rows(cohort, conditions)
    key = plan_surveys(paired, conditions, config.surveys, config.per_condition, config.seed)
    content = key.to_csv(index=False) + json.dumps([conditions, cohort.digest])
    name = "s" + hashlib.sha256(content.encode()).hexdigest()[:8]  # a spreadsheet would reformat digits alone
    surveys = Surveys(name, key, conditions, list(config.specialties), cohort.digest, cohort.phantom)
    row_of = {file: row for row, file in enumerate(cohort.rows["file"])}
    images = {
        file: encode_image(cohort.image(row_of[file]), config.longest_side)
        for file in sorted(set(key["file"]))
    }
    text = FormText(name, conditions, list(config.specialties), config, cohort.phantom)
    digits = max(2, len(str(config.surveys)))
    with new_folder(destination) as folder:
        for number in range(1, config.surveys + 1):
            questions = key.loc[key["survey"] == number, ["view", "file"]].itertuples(index=False)
            shown = [(view, images[file]) for view, file in questions]
            write_text(folder / FORMS / f"survey-{number:0{digits}}.html", render_form(text, number, shown))
        write_csv(folder / KEY, key)
        facts = {field: value for field, value in asdict(surveys).items() if field != "key"}
        write_text(folder / FACTS, json.dumps(facts, indent=2) + "\n")
    return surveys


def paired_test_rows(cohort: Cohort, conditions: list[str]) -> pd.DataFrame:
    """Rows of the manifest: real test images of these conditions whose lesion was photographed in both views.

    Raises:
        UserError: the cohort does not have one of the conditions.
    """
    unknown = sorted(set(conditions) - set(cohort.conditions))
    if unknown:
        raise UserError(
            f"{cohort.root}: no condition {', '.join(unknown)}; it has {', '.join(cohort.conditions)}."
        )
    rows = cohort.rows
    rows = rows[(rows["fold"] == TEST_FOLD) & (rows["source"] == "real") & rows["view"].isin(SURVEY_VIEWS)]
    rows = rows[rows["condition"].isin(conditions)]
    views = rows["view"].groupby(lesions(rows)).transform("nunique")
    return rows[views == len(SURVEY_VIEWS)]


def plan_surveys(
    rows: pd.DataFrame, conditions: list[str], surveys: int, per_condition: int, seed: int
) -> pd.DataFrame:
    """Assign images to surveys: the key, one row per question.

    Each survey shows `per_condition` different images of every condition and view, first the focused ones;
    the order within a view is random. Over all surveys, the images of a condition and view are shown equally
    often, or, if the numbers do not divide, some of them once more than the others.

    Args:
        rows: the images to choose from, with the columns file, condition, view and group.
        conditions: which conditions to show.
        surveys, per_condition: number of surveys; images of each condition and view in a survey.
        seed: the same seed and rows give the same surveys.

    Raises:
        UserError: conditions have fewer than `per_condition` images in a view; the message names all of them.
    """
    counts = rows.groupby(["condition", "view"]).size()
    few = [
        f"{condition} ({view}: {counts.get((condition, view), 0)})"
        for condition in conditions
        for view in SURVEY_VIEWS
        if counts.get((condition, view), 0) < per_condition
    ]
    if few:
        raise UserError(
            f"Each survey shows {per_condition} images of every condition and view, from test patients "
            f"photographed in both views. Too few: {', '.join(few)}. Use fewer images per condition, leave "
            "these conditions out, or add images to the fold 'test'."
        )
    random = np.random.default_rng(seed)
    assigned: dict[tuple[int, str], list[int]] = {
        (survey, view): [] for survey in range(1, surveys + 1) for view in SURVEY_VIEWS
    }
    for condition in conditions:
        for view in SURVEY_VIEWS:
            images = np.flatnonzero((rows["condition"] == condition) & (rows["view"] == view))
            for survey, chosen in enumerate(_assign(len(images), surveys, per_condition, random), start=1):
                assigned[survey, view] += list(images[chosen])
    questions = []
    for survey in range(1, surveys + 1):
        order = np.concatenate([random.permutation(assigned[survey, view]) for view in SURVEY_VIEWS])
        page = rows.iloc[order][["view", "file", "condition", "group"]]
        page.insert(0, "position", range(1, len(page) + 1))
        page.insert(0, "survey", survey)
        questions.append(page)
    return pd.concat(questions, ignore_index=True)


def _assign(images: int, surveys: int, per_survey: int, random: np.random.Generator) -> list[np.ndarray]:
    """Image numbers of each survey, int64 [per_survey]: those shown least so far, ties in random order."""
    showings = np.zeros(images, np.int64)
    assigned = []
    for _ in range(surveys):
        chosen = np.lexsort((random.random(images), showings))[:per_survey]
        showings[chosen] += 1
        assigned.append(chosen)
    return assigned

"""From a cohort's paired test images to survey forms and their key."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from morphoscope.classify.inputs.pairs import lesions
from morphoscope.classify.inputs.views import require_paired_test
from morphoscope.classify.survey.form import FormText, encode_image, render_form
from morphoscope.classify.survey.spreadsheet import read_csv, write_csv
from morphoscope.cohort import TEST_FOLD, Cohort, new_folder
from morphoscope.configs import UserError
from morphoscope.configs.survey import SurveyBuilding
from morphoscope.runtime import write_text

SURVEY_VIEWS = ("focused", "panoramic")  # in the order in which they are shown
KEY, FACTS, FORMS = "key.csv", "survey.json", "forms"
_KEY_COLUMNS = ["survey", "position", "view", "file", "condition", "group"]
_MAX_KEY_BYTES = 100 * 2**20


@dataclass(frozen=True)
class Surveys:
    """A set of surveys.

    Attributes:
        name: "s" and 8 hex digits (of a SHA-256) of what is asked; every form and answer bears it.
        key: one row a question: survey and position (from 1, int), view, file, condition, group.
        conditions, specialties: what participants choose from.
        cohort_digest: of the cohort whose images are shown.
        phantom: whether they show no patient.
    """

    name: str
    key: pd.DataFrame
    conditions: list[str]
    specialties: list[str]
    cohort_digest: str
    phantom: bool

    @classmethod
    def load(cls, folder: Path) -> "Surveys":
        """Read the key of a folder that `build_surveys` wrote; UserError if it is none, or damaged."""
        folder = Path(folder)
        key = read_csv(folder / KEY, _MAX_KEY_BYTES)
        missing = [column for column in _KEY_COLUMNS if column not in key.columns]
        if missing:
            raise UserError(f"{folder / KEY}: no column {', '.join(missing)}; build the surveys anew.")
        try:
            facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
            key = key.astype({"survey": int, "position": int})
            if not set(key["condition"]) <= set(facts["conditions"]):
                raise ValueError(f"{KEY} has conditions that {FACTS} lacks")
            return cls(key=key, **{name: facts[name] for name in cls.__annotations__ if name != "key"})
        except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
            raise UserError(
                f"{folder}: damaged {FACTS} or {KEY} ({error}); build the surveys anew."
            ) from error

    @property
    def shown(self) -> pd.Series:
        """How often each image is shown over all surveys, by (view, condition, file)."""
        return self.key.groupby(["view", "condition", "file"]).size()


def build_surveys(cohort: Cohort, destination: Path, config: SurveyBuilding) -> Surveys:
    """Write `forms/survey-01.html` …, and apart from them the answers: `key.csv`, with `survey.json`.

    Only real images of the fold "test" are shown, and of those only lesions photographed in both views. See
    `plan_surveys` for who sees what.

    Args:
        destination: a new or empty folder; it appears only once it is complete.

    Raises:
        UserError: a test that is not fair to both views (see `require_paired_test`), a condition with too few
            images, images that cannot be read, or a folder in use.
    """
    conditions = list(config.conditions) or list(cohort.conditions)
    require_paired_test(cohort)
    paired = paired_test_rows(cohort, conditions)
    key = plan_surveys(paired, conditions, config.surveys, config.per_condition, config.seed)
    content = key.to_csv(index=False) + json.dumps([conditions, cohort.digest])
    name = "s" + hashlib.sha256(content.encode()).hexdigest()[:8]  # digits alone a spreadsheet would reformat
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
    """The real test rows of these conditions whose lesion (see `lesions`) was photographed in both views.

    Raises:
        UserError: a condition that the cohort does not have.
    """
    unknown = sorted(set(conditions) - set(cohort.conditions))
    if unknown:
        raise UserError(f"{cohort.root}: no condition {', '.join(unknown)}; it has {cohort.conditions}.")
    rows = cohort.rows
    rows = rows[(rows["fold"] == TEST_FOLD) & (rows["source"] == "real") & rows["view"].isin(SURVEY_VIEWS)]
    rows = rows[rows["condition"].isin(conditions)]
    views = rows["view"].groupby(lesions(rows)).transform("nunique")
    return rows[views == len(SURVEY_VIEWS)]


def plan_surveys(
    rows: pd.DataFrame, conditions: list[str], surveys: int, per_condition: int, seed: int
) -> pd.DataFrame:
    """Say which survey asks what: the key, one row a question.

    Each survey has `per_condition` images of every condition in either view, no image twice, the focused
    ones first; their order is shuffled within a view. Over all surveys the images of one condition and view
    are seen equally often; where that number does not divide, some are seen once more than others.

    Args:
        rows: of the images to choose from: file, condition, view, group.
        seed: same seed and rows, same surveys.

    Raises:
        UserError: a condition has fewer than `per_condition` images in a view; all such are named.
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
            f"Each survey shows {per_condition} images of every condition and view, of test patients "
            f"photographed in both views. Too few: {', '.join(few)}. Ask for fewer, leave these conditions "
            "out, or add images to the fold 'test'."
        )
    random = np.random.default_rng(seed)
    dealt: dict[tuple[int, str], list[int]] = {
        (survey, view): [] for survey in range(1, surveys + 1) for view in SURVEY_VIEWS
    }
    for condition in conditions:
        for view in SURVEY_VIEWS:
            images = np.flatnonzero((rows["condition"] == condition) & (rows["view"] == view))
            for survey, chosen in enumerate(_deal(len(images), surveys, per_condition, random), start=1):
                dealt[survey, view] += list(images[chosen])
    questions = []
    for survey in range(1, surveys + 1):
        order = np.concatenate([random.permutation(dealt[survey, view]) for view in SURVEY_VIEWS])
        page = rows.iloc[order][["view", "file", "condition", "group"]]
        page.insert(0, "position", range(1, len(page) + 1))
        page.insert(0, "survey", survey)
        questions.append(page)
    return pd.concat(questions, ignore_index=True)


def _deal(images: int, surveys: int, each: int, random: np.random.Generator) -> list[np.ndarray]:
    """For every survey `each` different images: always those seen least so far, ties drawn by lot."""
    seen = np.zeros(images, np.int64)
    hands = []
    for _ in range(surveys):
        hand = np.lexsort((random.random(images), seen))[:each]
        seen[hand] += 1
        hands.append(hand)
    return hands

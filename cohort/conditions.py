"""What the names of conditions stand for: an optional table beside the manifest, and one that is built in.

`conditions.csv` has a row per condition. It is a CSV, as the manifest is, so that it can be written in a
spreadsheet:

| column | meaning |
|---|---|
| name | as in the manifest's column `condition` |
| full_name | e.g. neurofibromatosis type 1 |
| sentence | optional: what it is, in one sentence |
| code | optional: e.g. OMIM 162200, or ICD-10 C43 |

A cohort without the table takes what is built in for the names of the published classifier's conditions and
of HAM10000. Trained models carry the descriptions in their metadata.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

import pandas as pd
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from morphoscope.cohort.csv_tables import read_table, table_text
from morphoscope.cohort.names import normalise_name
from morphoscope.configs import UserError
from morphoscope.configs.errors import validation_problems

CONDITIONS = "conditions.csv"
MAX_CONDITIONS, MAX_CONDITIONS_BYTES = 10_000, 16 * 2**20
_REQUIRED, _COLUMNS = ("name", "full_name"), ("name", "full_name", "sentence", "code")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def _one_line(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("a line break or control character")
    return text


_Text = Annotated[str, AfterValidator(_one_line)]


class Description(BaseModel):
    """What a condition's name stands for; everything but the name may be empty.

    Attributes:
        name: as in the manifest.
        full_name: e.g. "neurofibromatosis type 1".
        sentence: what it is.
        code: e.g. "OMIM 162200".
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Annotated[_Text, Field(min_length=1, max_length=200)]
    full_name: Annotated[_Text, Field(max_length=200)] = ""
    sentence: Annotated[_Text, Field(max_length=500)] = ""
    code: Annotated[_Text, Field(max_length=100)] = ""


Descriptions = Mapping[str, Description]
"""By name of the condition."""
UNDESCRIBED: Descriptions = {}


def long_name(name: str, descriptions: Descriptions) -> str:
    """The condition's name with its full name: "NF1 (neurofibromatosis type 1)", or the name alone."""
    full = full_name(name, descriptions)
    return f"{name} ({full})" if full else name


def full_name(name: str, descriptions: Descriptions) -> str:
    """The condition's full name; "" if it is not known, or the same as the name."""
    full = descriptions[name].full_name if name in descriptions else ""
    return "" if full.casefold() == name.casefold() else full


def explained(name: str, descriptions: Descriptions) -> str:
    """What is known: "neurofibromatosis type 1 (OMIM 162200). Café-au-lait macules …"; "" if nothing."""
    if name not in descriptions:
        return ""
    found = descriptions[name]
    code = f"({found.code})" if found.code and found.full_name else found.code
    head = f"{found.full_name} {code}".strip()
    return f"{head}. {found.sentence}".strip(". ") + "." if found.sentence else head


def describe(conditions: Iterable[str], given: Sequence[Description] = ()) -> dict[str, Description]:
    """The descriptions of `conditions`: those of a table, or, if none are given, those that are built in."""
    known = {one.name: one for one in given} if given else BUILT_IN
    return {name: known[name] for name in conditions if name in known}


def read_conditions(data: bytes, where: str) -> list[Description]:
    """Read the table `conditions.csv`; names are normalised as those in a manifest.

    Args:
        where: the table's path, for messages.

    Raises:
        UserError: not a valid CSV, columns missing or unknown, no row, a name twice or none, or a text that
            is too long or has a control character; the message names the row.
    """
    table = read_table(data, where)
    table.columns = pd.Index([column.lower().replace(" ", "_") for column in table.columns])
    missing = [column for column in _REQUIRED if column not in table.columns]
    unknown = [column for column in table.columns if column not in _COLUMNS]
    if missing or unknown:
        raise UserError(
            f"{where}: it should describe the conditions in the columns {', '.join(_COLUMNS)} (the last two "
            f"are optional), but has {', '.join(table.columns)}. Correct the columns, or rename the file if "
            "it is something else."
        )
    if not 0 < len(table) <= MAX_CONDITIONS:
        raise UserError(f"{where}: {len(table)} rows; 1 to {MAX_CONDITIONS} conditions can be described.")
    found = []
    for cells in table.to_dict("records"):
        cells["name"] = normalise_name(cells["name"])
        try:
            found.append(Description.model_validate(cells))
        except ValidationError as error:
            raise UserError(
                f"{where}: the row of {cells['name']!r} cannot be used ({validation_problems(error)})."
            ) from error
    names = [one.name for one in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"{where}: {', '.join(twice)} stands in more than one row; keep one.")
    return found


def conditions_csv(descriptions: Iterable[Description]) -> str:
    """The text of `conditions.csv`."""
    rows = pd.DataFrame([one.model_dump() for one in descriptions], columns=list(_COLUMNS))
    return table_text(rows)


def isic_descriptions(conditions: Iterable[str]) -> list[Description]:
    """Descriptions of the diagnoses of ISIC's tables, in whatever case they are written there."""
    found = ((name, _ISIC.get(name.lower())) for name in dict.fromkeys(conditions))
    return [one.model_copy(update={"name": name}) for name, one in found if one is not None]


def _described(*rows: tuple[str, str, str, str]) -> dict[str, Description]:
    return {
        name: Description(name=name, full_name=full, code=code, sentence=sentence)
        for name, full, code, sentence in rows
    }


_GENETIC = _described(
    (
        "HMI",
        "hypomelanosis of Ito",
        "OMIM 300337",
        "Pale whorls and streaks along Blaschko's lines, a sign of mosaicism.",
    ),
    (
        "IP",
        "incontinentia pigmenti",
        "OMIM 308300",
        "An X-linked disorder: blisters, then warty lesions, then brown whorls along Blaschko's lines.",
    ),
    (
        "MA",
        "McCune-Albright syndrome",
        "OMIM 174800",
        "A mosaic disorder: large café-au-lait macules of irregular outline, fibrous dysplasia of bone and "
        "overactive endocrine glands.",
    ),
    (
        "ML",
        "Noonan syndrome with multiple lentigines",
        "OMIM 151100",
        "Formerly LEOPARD syndrome: many small dark brown macules, often with heart defects.",
    ),
    (
        "NF1",
        "neurofibromatosis type 1",
        "OMIM 162200",
        "Café-au-lait macules, freckles in skin folds, and neurofibromas.",
    ),
    (
        "TSC",
        "tuberous sclerosis complex",
        "OMIM 191100, 613254",
        "Pale, often ash-leaf shaped macules, angiofibromas of the face and shagreen patches.",
    ),
)
_HAM10000 = _described(
    (
        "akiec",
        "actinic keratosis or intraepithelial carcinoma",
        "ICD-10 L57.0, D04",
        "Precancerous or non-invasive lesions of keratinocytes, Bowen's disease among them.",
    ),
    ("bcc", "basal cell carcinoma", "ICD-10 C44", "A common skin cancer that rarely metastasises."),
    (
        "bkl",
        "benign keratosis",
        "ICD-10 L82, L81.4",
        "Seborrhoeic keratosis, solar lentigo or lichen planus-like keratosis.",
    ),
    ("df", "dermatofibroma", "ICD-10 D23", "A benign, firm nodule of the dermis."),
    ("mel", "melanoma", "ICD-10 C43, D03", "A malignant tumour of melanocytes, invasive or in situ."),
    ("nv", "melanocytic naevus", "ICD-10 D22", "A benign proliferation of melanocytes, a mole."),
    (
        "vasc",
        "vascular lesion",
        "ICD-10 D18.0, L98.0",
        "Angioma, angiokeratoma, pyogenic granuloma or haemorrhage.",
    ),
)
BUILT_IN: Descriptions = {**_GENETIC, **_HAM10000}
"""Conditions of the published classifier of genetic conditions, and those of HAM10000."""
_ISIC = {
    **_HAM10000,
    **_described(
        ("ak", "actinic keratosis", "ICD-10 L57.0", "A precancerous lesion of keratinocytes."),
        (
            "scc",
            "squamous cell carcinoma",
            "ICD-10 C44",
            "A skin cancer of keratinocytes that can metastasise.",
        ),
        ("unk", "none of the other diagnoses", "", ""),
    ),
    "melanoma": _HAM10000["mel"],
    "nevus": _HAM10000["nv"],
}

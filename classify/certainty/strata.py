"""Accuracy in subgroups of the images: by skin tone, age, sex and view."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from morphoscope.classify.certainty.skin_tone import CATEGORIES, category, typology_angle
from morphoscope.runtime.statistics import Estimate, balanced_accuracy, proportion_by_group

FEW = 20
"""Number of images below which a stratum's metrics come with a warning."""

UNKNOWN = "unknown"
_AGES = {"0-1": 2, "2-11": 12, "12-17": 18, "18-39": 40, "40-59": 60, "60-79": 80, "80 and over": 150}
_FITZPATRICK = ("Fitzpatrick I-II", "Fitzpatrick III-IV", "Fitzpatrick V-VI")
_ROMAN = ["i", "ii", "iii", "iv", "v", "vi"]
_TYPES = {-1, 0, 1, 2, 3, 4, 5, 6}  # below 1: unknown, as -1 in Fitzpatrick17k
_ORDER = [*_AGES, *CATEGORIES, *_FITZPATRICK]


class Stratum(NamedTuple):
    """Images with the same value of an attribute.

    Attributes:
        attribute, value: e.g. "age" and "18-39".
        images, groups: number of images and of patients.
        conditions: number of conditions that occur, over which the balanced accuracy is averaged.
        accuracy, balanced_accuracy: with 95% intervals.
    """

    attribute: str
    value: str
    images: int
    groups: int
    conditions: int
    accuracy: Estimate
    balanced_accuracy: Estimate

    @property
    def few(self) -> bool:
        """Whether there are too few images to conclude anything."""
        return self.images < FEW

    def as_json(self) -> dict[str, Any]:
        """As metrics.json has it."""
        return {
            **self._asdict(),
            "accuracy": self.accuracy._asdict(),
            "balanced_accuracy": self.balanced_accuracy._asdict(),
            "few": self.few,
        }


def attributes(
    rows: pd.DataFrame,
    images: Sequence[np.ndarray] | np.ndarray,
    lesion: Callable[[int], np.ndarray | None] = lambda _: None,
) -> pd.DataFrame:
    """The attributes of each image: one column per attribute, such as `age`, and one row per image.

    They come from the manifest's columns `skin_tone`, `age` (years), `sex` and `view`. If all numbers in
    `skin_tone` are integers from 1 to 6, they and the Roman numerals I to VI are Fitzpatrick types, which are
    grouped in pairs, as usual since the DDI data set (Daneshjou et al. 2022); 0 and -1 among them mean
    unknown. Otherwise numbers are the ITA in degrees. Words are names of their own in both cases.

    Without a column `skin_tone` the tone is measured, and the attribute's name says so: in focused
    photographs only, since the surroundings of the lesion in others need not be skin; outside the lesion if
    it is known, otherwise on the border. What is not known is "unknown"; an attribute that is unknown for all
    images is left out.

    Args:
        rows: of the manifest, N rows.
        images: uint8 [S, S, 3] of each row.
        lesion: row number from 0 -> mask bool [S, S], or None if the lesion is not known; called only for
            rows whose skin is measured, since a mask must be read from its file.
    """
    columns = {"view": list(rows["view"])}
    if "skin_tone" in rows.columns:
        columns["skin tone"] = _named_tones([str(cell).strip().lower() for cell in rows["skin_tone"]])
    else:
        columns |= _measured_tones(rows["view"], images, lesion)
    if "age" in rows.columns:
        columns["age"] = [_age(cell) for cell in rows["age"]]
    if "sex" in rows.columns:
        columns["sex"] = [str(cell).strip().lower() or UNKNOWN for cell in rows["sex"]]
    return pd.DataFrame({name: cells for name, cells in columns.items() if set(cells) - {UNKNOWN}})


def stratify(
    attributes: pd.DataFrame, truth: np.ndarray, predicted: np.ndarray, groups: np.ndarray
) -> list[Stratum]:
    """Accuracy for each value of each attribute; attributes with a single value are left out.

    Args:
        attributes: one column per attribute, N rows.
        truth, predicted: class numbers, int64 [N].
        groups: patient of each image, [N].
    """
    found = []
    for attribute in attributes.columns:
        values = attributes[attribute].to_numpy(dtype=str)
        if len(set(values)) < 2:
            continue
        for value in sorted(set(values), key=natural_order):
            here = values == value
            found.append(
                Stratum(
                    str(attribute),
                    value,
                    int(here.sum()),
                    len(set(groups[here])),
                    len(set(truth[here])),
                    proportion_by_group(truth[here] == predicted[here], groups[here]),
                    balanced_accuracy(truth[here], predicted[here], groups[here]),
                )
            )
    return found


def natural_order(value: str) -> tuple[int, str]:
    """Sort key of values: ages and skin tones ascending, other names alphabetically, "unknown" last."""
    if value == UNKNOWN:
        return len(_ORDER) + 1, value
    return (_ORDER.index(value) if value in _ORDER else len(_ORDER)), value


def top_k(
    probabilities: np.ndarray, truth: np.ndarray, groups: np.ndarray, most: int = 3
) -> dict[int, Estimate]:
    """Top-k accuracy: proportion of images whose true condition is among the k most probable.

    Args:
        probabilities: float32 [N, K].
        truth: true class, int64 [N].
        groups: patient of each image, [N].
        most: k goes from 1 to this, but stays below K.

    Returns:
        {k: estimate with its interval by patient}.
    """
    ranked = np.argsort(-probabilities, axis=1, kind="stable") == truth[:, None]
    return {
        k: proportion_by_group(ranked[:, :k].any(axis=1), groups)
        for k in range(1, min(most, probabilities.shape[1] - 1) + 1)
    }


def _measured_tones(
    views: pd.Series, images: Sequence[np.ndarray] | np.ndarray, lesion: Callable[[int], np.ndarray | None]
) -> dict[str, list[str]]:
    """The tones, under a name that says where they were measured if that is the same for all."""
    tones, beside = [UNKNOWN] * len(views), True
    for row in np.flatnonzero(views == "focused").tolist():
        found = lesion(row)
        tones[row] = category(typology_angle(images[row], found)) or UNKNOWN
        beside &= found is not None and bool(found.any())
    where = " on the non-lesion skin" if beside else ""
    return {f"skin tone (measured{where})": tones}


def _named_tones(cells: list[str]) -> list[str]:
    """Names of tones from a column's cells in lower case: all its numbers are types, or all are degrees."""
    numbers = [_number(cell) for cell in cells]
    given = {number for number in numbers if number is not None and not np.isnan(number)}
    name = _fitzpatrick if given <= _TYPES else _degrees
    return [name(cell, number) or UNKNOWN for cell, number in zip(cells, numbers, strict=True)]


def _fitzpatrick(cell: str, number: float | None) -> str | None:
    """The cell's pair of types; a word unchanged; None if unknown."""
    type_ = _ROMAN.index(cell) + 1 if cell in _ROMAN else number
    if type_ is None:
        return cell
    return _FITZPATRICK[(int(type_) - 1) // 2] if type_ > 0 else None


def _degrees(cell: str, number: float | None) -> str | None:
    return cell if number is None else category(number)


def _age(cell: object) -> str:
    years = _number(str(cell))
    if years is None or years < 0:
        return UNKNOWN
    return next((name for name, end in _AGES.items() if years < end), UNKNOWN)


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None

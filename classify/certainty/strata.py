"""How good the answers are for parts of the patients: by skin tone, age, sex and view."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from morphoscope.classify.certainty.skin_tone import CATEGORIES, category, typology_angle
from morphoscope.runtime.statistics import Estimate, balanced_accuracy, proportion

FEW = 20
"""Images below which a stratum's figures come with a warning."""

UNKNOWN = "unknown"
_AGES = {"0-1": 2, "2-11": 12, "12-17": 18, "18-39": 40, "40-59": 60, "60-79": 80, "80 and over": 150}
_FITZPATRICK = ("Fitzpatrick I-II", "Fitzpatrick III-IV", "Fitzpatrick V-VI")
_ROMAN = ["i", "ii", "iii", "iv", "v", "vi"]
_TYPES = {-1, 0, 1, 2, 3, 4, 5, 6}  # below 1: not known, as -1 in Fitzpatrick17k
_ORDER = [*_AGES, *CATEGORIES, *_FITZPATRICK]


class Stratum(NamedTuple):
    """Images that share the `value` of an `attribute`; balanced over the conditions that occur among them."""

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
    """What is known of each image: columns such as `age`, one row an image.

    The manifest's columns `skin_tone`, `age` (years), `sex` and `view` count. If all numbers of `skin_tone`
    are whole ones from 1 to 6, they and roman I to VI are Fitzpatrick's types, told in pairs, as usual since
    the DDI data set (Daneshjou et al. 2022); 0 and -1 among them are not known. Otherwise its numbers are the
    ITA in degrees. Words are names of their own either way.

    Without a `skin_tone` it is measured, and called so: in focused photographs only, since what surrounds the
    lesion in others need not be skin; outside the lesion where it is known, else on the border. What is not
    known is "unknown"; an attribute of which nothing is known is left out.

    Args:
        rows: of the manifest.
        images: uint8 [S, S, 3] of each row.
        lesion: number of a row, from 0 -> bool [S, S], or None where the lesion is not known; only asked for
            those rows whose skin is to be measured, since a mask must be read from its file.
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
    """Accuracy of each value of each attribute; attributes of one value only are left out.

    Args:
        attributes: a column each, N rows.
        truth, predicted: class numbers [N].
        groups: patient of each image [N].
    """
    found = []
    for attribute in attributes.columns:
        values = attributes[attribute].to_numpy(dtype=str)
        if len(set(values)) < 2:
            continue
        for value in sorted(set(values), key=_position):
            here = values == value
            right = int((truth[here] == predicted[here]).sum())
            found.append(
                Stratum(
                    str(attribute),
                    value,
                    int(here.sum()),
                    len(set(groups[here])),
                    len(set(truth[here])),
                    proportion(right, int(here.sum())),
                    balanced_accuracy(truth[here], predicted[here], groups[here]),
                )
            )
    return found


def top_k(probabilities: np.ndarray, truth: np.ndarray, most: int = 3) -> dict[int, Estimate]:
    """Share of images whose true condition is among the k most probable, with Wilson's interval.

    Args:
        probabilities: [N, K].
        truth: true class [N].
        most: k goes from 1 to this, but stays below K.
    """
    ranked = np.argsort(-probabilities, axis=1, kind="stable") == truth[:, None]
    return {
        k: proportion(int(ranked[:, :k].sum()), len(truth))
        for k in range(1, min(most, probabilities.shape[1] - 1) + 1)
    }


def _measured_tones(
    views: pd.Series, images: Sequence[np.ndarray] | np.ndarray, lesion: Callable[[int], np.ndarray | None]
) -> dict[str, list[str]]:
    """The tones, under a name that says on what they were measured if that was the same for all."""
    tones, beside = [UNKNOWN] * len(views), True
    for row in np.flatnonzero(views == "focused").tolist():
        found = lesion(row)
        tones[row] = category(typology_angle(images[row], found)) or UNKNOWN
        beside &= found is not None and bool(found.any())
    where = " on the non-lesion skin" if beside else ""
    return {f"skin tone (measured{where})": tones}


def _named_tones(cells: list[str]) -> list[str]:
    """Names of tones from a column's texts in lower case: all its numbers are types, or all are degrees."""
    numbers = [_number(cell) for cell in cells]
    given = {number for number in numbers if number is not None and not np.isnan(number)}
    name = _fitzpatrick if given <= _TYPES else _degrees
    return [name(cell, number) or UNKNOWN for cell, number in zip(cells, numbers, strict=True)]


def _fitzpatrick(cell: str, number: float | None) -> str | None:
    """Its pair of types; a word as it is; None if it is not known."""
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


def _position(value: str) -> tuple[int, str]:
    """Natural order of ages and skin tones, other names by alphabet, "unknown" last."""
    if value == UNKNOWN:
        return len(_ORDER) + 1, value
    return (_ORDER.index(value) if value in _ORDER else len(_ORDER)), value

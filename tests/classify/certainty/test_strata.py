"""Accuracy by strata: what counts as known, natural order, warnings for few images; top-k."""

import numpy as np
import pandas as pd
import pytest

from morphoscope.classify.certainty.strata import attributes, stratify, top_k

GREY = np.full((16, 16, 3), 128, np.uint8)
SKIN = np.full((16, 16, 3), (194, 150, 130), np.uint8)


def test_attributes_come_from_the_manifest() -> None:
    rows = pd.DataFrame(
        {
            "view": ["focused", "panoramic", "focused"],
            "age": ["1", "17.5", ""],
            "sex": ["Female", "male", ""],
            "skin_tone": ["48.2", "-40", "VI"],
        }
    )
    found = attributes(rows, [GREY] * 3)
    assert found["age"].tolist() == ["0-1", "12-17", "unknown"]
    assert found["sex"].tolist() == ["female", "male", "unknown"]
    assert found["skin tone"].tolist() == ["light", "dark", "vi"]
    assert found["view"].tolist() == ["focused", "panoramic", "focused"]


@pytest.mark.parametrize(
    "given",
    [
        ["1", "2", "3", "4", "5", "6", ""],
        ["I", "ii", "III", "IV", "V", "VI", "unknown"],
        ["1.0", "II", "3.0", "4", "5", "vi", "nan"],  # as a table with empty cells writes whole numbers
        ["1", "2", "3", "4", "5", "6", "-1"],  # Fitzpatrick17k's "not known"
    ],
)
def test_fitzpatrick_types_are_never_taken_for_degrees(given: list[str]) -> None:
    found = attributes(pd.DataFrame({"view": "focused", "skin_tone": given}), [GREY] * 7)
    pairs = [f"Fitzpatrick {name}" for name in ("I-II", "III-IV", "V-VI")]
    assert found["skin tone"].tolist() == [*np.repeat(pairs, 2), "unknown"]
    strata = stratify(found, np.zeros(7, int), np.zeros(7, int), np.arange(7).astype(str))
    assert [stratum.value for stratum in strata] == [*pairs, "unknown"]


@pytest.mark.parametrize(
    ("word", "tone"), [("none", "none"), ("N/A", "n/a"), ("0", "unknown"), ("-1", "unknown")]
)
def test_a_word_beside_fitzpatrick_types_does_not_turn_them_into_degrees(word: str, tone: str) -> None:
    found = attributes(pd.DataFrame({"view": "focused", "skin_tone": [word, "2", "VI"]}), [GREY] * 3)
    assert found["skin tone"].tolist() == [tone, "Fitzpatrick I-II", "Fitzpatrick V-VI"]


@pytest.mark.parametrize("other", ["48.2", "3.5", "7", "-40"])
def test_numbers_that_are_not_all_types_are_degrees(other: str) -> None:
    given = ["5", other, "none", "nan", "VI"]
    found = attributes(pd.DataFrame({"view": "focused", "skin_tone": given}), [GREY] * 5)
    assert found["skin tone"][0] == "brown"
    assert found["skin tone"].tolist()[2:] == ["none", "unknown", "vi"]


def test_skin_tone_is_measured_beside_the_lesion_where_that_is_known() -> None:
    rows = pd.DataFrame({"view": ["focused", "focused", "other"]})
    dark, lesion = SKIN.copy(), np.zeros((16, 16), bool)
    lesion[:, :12] = True  # reaches the border on three sides
    dark[lesion] = (60, 30, 20)
    known = attributes(rows, [dark, SKIN, dark], [lesion, lesion].__getitem__)  # not called for the third
    assert known["skin tone (measured on the non-lesion skin)"].tolist() == ["light", "light", "unknown"]
    partly = attributes(rows, [dark, dark, dark], [lesion, None].__getitem__)
    assert partly["skin tone (measured)"].tolist() == ["light", "dark", "unknown"]


def test_skin_tone_is_measured_in_focused_photographs_only() -> None:
    rows = pd.DataFrame({"view": ["focused", "other"], "age": ["", "unclear"]})
    found = attributes(rows, [SKIN, SKIN])
    assert found["skin tone (measured)"].tolist() == ["light", "unknown"]
    assert "age" not in found.columns  # nothing is known


def test_strata_are_in_natural_order() -> None:
    ages = ["60-79"] * 25 + ["2-11"] * 15 + ["unknown"] * 2
    truth = np.array([0] * 20 + [1] * 5 + [0] * 10 + [1] * 5 + [0, 1])
    predicted = truth.copy()
    predicted[:5] = 1
    known = pd.DataFrame({"age": ages, "view": "focused"})
    found = stratify(known, truth, predicted, np.arange(42).astype(str))
    assert [(item.attribute, item.value) for item in found] == [
        ("age", "2-11"),
        ("age", "60-79"),
        ("age", "unknown"),
    ]  # all of one view: nothing to compare
    young, old, _ = found
    assert (young.images, young.few, old.images, old.few) == (15, True, 25, False)
    assert old.accuracy.value == pytest.approx(20 / 25)
    assert old.balanced_accuracy.value == pytest.approx((15 / 20 + 1) / 2)
    assert old.conditions == 2 and old.groups == 25


def test_top_k_counts_the_most_probable() -> None:
    probabilities = np.array([[0.6, 0.3, 0.1, 0.0], [0.3, 0.4, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]])
    found = top_k(probabilities, np.array([0, 0, 0]), np.arange(3))
    assert {k: round(estimate.value * 3) for k, estimate in found.items()} == {1: 1, 2: 2, 3: 2}
    assert list(top_k(probabilities[:, :3], np.array([0, 0, 0]), np.arange(3))) == [1, 2]

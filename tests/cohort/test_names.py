"""Names have one normal form, and those that people could take for each other are found."""

import unicodedata

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphoscope.cohort import Cohort
from morphoscope.cohort.names import (
    UNKNOWN_PATIENT,
    difference,
    known_names,
    name_key,
    name_objection,
    normalise_name,
    require_usable_names,
    similar_names,
)
from morphoscope.configs import UserError


@pytest.mark.parametrize(
    ("given_name", "expected"),
    [
        ("nv ", "nv"),
        ("\tnv\n", "nv"),
        ("Café-au-lait", unicodedata.normalize("NFC", "Café-au-lait")),
        (unicodedata.normalize("NFD", "Café"), unicodedata.normalize("NFC", "Café")),
        ("tuberous  sclerosis\u00a0complex", "tuberous sclerosis complex"),
        ("10.0", "10"),
        ("10.00", "10"),
        ("-1.0", "-1"),
        ("007", "007"),
        ("10.5", "10.5"),
        ("1.10", "1.10"),
        ("stage 1.0", "stage 1.0"),
        ("Mel", "Mel"),
    ],
)
def test_normal_form(given_name: str, expected: str) -> None:
    assert normalise_name(given_name) == expected


@given(st.text())
def test_the_normal_form_is_stable(text: str) -> None:
    once = normalise_name(text)
    assert normalise_name(once) == once == once.strip()
    assert unicodedata.is_normalized("NFC", once)


@pytest.mark.parametrize("word", ["", " ", "NaN", "nan", "None", "NA", "n/a", "NULL", "<NA>", "#N/A", "?"])
def test_words_for_unknown(word: str) -> None:
    assert known_names(pd.Series([word, "nv"])).tolist() == ["", "nv"]


def test_a_patient_may_be_unknown_where_a_condition_is_not() -> None:
    cells = pd.Series(["-1", "-1.0", "Unknown", "P1 ", "nano"])
    assert known_names(cells, UNKNOWN_PATIENT).tolist() == ["", "", "", "P1", "nano"]
    assert known_names(cells).tolist() == ["-1", "-1", "Unknown", "P1", "nano"]


def test_similar_names_and_in_what_they_differ() -> None:
    composed, decomposed = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    found = similar_names(["nv", "Mel", "mel", composed, decomposed, "m\u200bel", "bcc", "nv"])
    assert found == [["Mel", "mel", "m\u200bel"], sorted([composed, decomposed])]
    assert difference(["Mel", "mel"]) == "in case"
    assert "NFC" in difference([composed, decomposed])
    assert "invisible" in difference(["mel", "m\u200bel"])


@given(st.text())
def test_case_does_not_change_the_key(text: str) -> None:
    assert name_key(normalise_name(text)) == name_key(text)
    assert name_key(text.casefold()) == name_key(text.casefold().casefold())


UNUSABLE = {
    "": "empty",
    " \u200d": "empty",
    "a\nb": "line break",
    "a\u2028b": "line break",
    "\x1b]0;owned\x07": "control character",
    "a\x00b": "control character",
    "\udcff": "surrogate",
    "nevus\u202egpj": "invisible",
    "\u200fnevus": "invisible",
    "mel\u200banoma": "invisible",
    "\ufeffnevus": "invisible",
    "x" * 10_000: "longer than 200",
}


@pytest.mark.parametrize("name", UNUSABLE, ids=ascii)
def test_names_that_could_deceive_or_steer_are_not_usable(name: str) -> None:
    assert UNUSABLE[name] in str(name_objection(name))
    with pytest.raises(ValueError, match=UNUSABLE[name]):
        require_usable_names(["nevus", name])


@pytest.mark.parametrize("name", ["Café au lait", "نوو\u200cس", "👩\u200d⚕️", "..", "NF1 [mild]", "x" * 200])
def test_names_of_any_script_are_usable(name: str) -> None:
    assert name_objection(name) is None


@pytest.mark.parametrize("name", ["nevus\u202egpj", "x" * 201])
def test_a_cohort_with_an_unusable_condition_is_refused(tmp_path, name: str) -> None:
    """Otherwise its trained models could not be loaded."""
    (tmp_path / "manifest.csv").write_text(f"file,condition\na.png,{name}\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"condition '.*' of a\.png .*; rename it"):
        Cohort.load(tmp_path)

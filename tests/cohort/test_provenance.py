"""The provenance of synthetic images: its statements, its words and its cells in a manifest."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphoscope.cohort import Provenance
from morphoscope.cohort.provenance import MorphPath, PathEnd, label_text, mixture, read_mixture

FULL = Provenance(
    generator="0123456789abcdef", phantoms_only=True, label={"NF1": 0.75, "café": 0.25}, seed=3, psi=0.7
)


def test_only_phantoms_alone_show_no_patient() -> None:
    phantoms, others = FULL, FULL.model_copy(update={"phantoms_only": False})
    assert phantoms.statement == "yes: made by a generator, shows no patient"
    assert "no patient is shown" in phantoms.sheet_caption
    for text in (others.statement, others.sheet_caption, Provenance().statement):
        assert "may resemble its training photographs" in text
        assert "no patient" not in text


@given(st.floats(0, 1))
def test_mixture_of_a_morph_adds_up(share: float) -> None:
    label = mixture("a", "b", share)
    assert sum(label.values()) == pytest.approx(1)
    assert all(label.values())
    assert label.get("b", 0.0) == share
    assert mixture("a", "a", share) == {"a": 1.0}
    assert read_mixture(json.dumps(label)) == label


@pytest.mark.parametrize("percent", range(101))
def test_a_label_in_words(percent: int) -> None:
    text = {0: "100% a", 100: "100% b"}.get(percent, f"{100 - percent}% a + {percent}% b")
    assert label_text(mixture("a", "b", percent / 100)) == text


def test_the_origin_in_a_line() -> None:
    assert Provenance().summary == "origin not recorded"
    assert Provenance(seed=0, psi=0.0, generator="ab").summary == "seed 0 · psi 0 · generator ab"
    line = "75% NF1 + 25% café · seed 3 · psi 0.7 · generator 0123456789abcdef"
    assert FULL.summary == line


def test_columns_of_the_manifest() -> None:
    assert FULL.model_copy(update={"label": {"NF1": 1.0}}).columns() == {
        "generator": "0123456789abcdef",
        "seed": "3",
        "label": '{"NF1": 1.0}',
        "psi": "0.7",
        "phantom": "true",
    }


def test_a_path_in_words() -> None:
    a = PathEnd(seed=3, label={"NF1": 1.0}, directions=[("2", 1.5)])
    b = PathEnd(photograph="ab12", projection="cd34", label={"NF1": 0.25, "TSC": 0.75})
    path = MorphPath(
        ends=(a, b), way="w", interpolation="linear", centre="condition", positions=[0.25], spacing=None
    )
    text = "100% NF1 seed 3 @2=1.5 to 25% NF1 + 75% TSC photograph ab12 by w"
    assert path.summary == f"{text}, at 25%"
    assert path.model_copy(update={"positions": [0.0, 1.0]}).summary == text
    assert path.model_copy(update={"ends": (a, a)}).summary == "100% NF1 seed 3 @2=1.5"
    frame = Provenance(paths=[path], label={"NF1": 1.0}, psi=0.7, parents=["ab12"])
    assert frame.summary == f"{text}, at 25% · psi 0.7 · from photograph ab12"
    assert FULL.model_copy(update={"paths": [path]}).summary == FULL.summary  # the label says as much

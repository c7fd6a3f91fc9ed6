"""What conditions stand for: the table beside a manifest, what is built in, and where both are used."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphoscope.cohort import Cohort, import_folder, import_isic, join_cohorts, phantom, write_image
from morphoscope.cohort.conditions import (
    BUILT_IN,
    CONDITIONS,
    Description,
    conditions_csv,
    describe,
    explained,
    full_name,
    isic_descriptions,
    long_name,
    read_conditions,
)
from morphoscope.cohort.names import normalise_name
from morphoscope.configs import UserError

NAMES = ["HMI", "IP", "MA", "ML", "NF1", "TSC", "akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"]
TABLE = "name,full_name,code\nNF1,von Recklinghausen disease,OMIM 162200\n"
words = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=40)


def folder_of(path, *conditions):
    """A folder of images, and its cohort."""
    rows = []
    for index, condition in enumerate(conditions):
        write_image(path / f"{index}.png", np.full((8, 8, 3), 20 * index, np.uint8))
        rows.append({"file": f"{index}.png", "condition": condition})
    cohort = Cohort.from_rows(path, pd.DataFrame(rows))
    cohort.save()
    return cohort


def test_the_conditions_of_the_paper_and_of_ham10000_are_built_in():
    assert list(BUILT_IN) == NAMES
    assert all(one.full_name and one.sentence.endswith(".") and one.code for one in BUILT_IN.values())
    assert long_name("NF1", BUILT_IN) == "NF1 (neurofibromatosis type 1)"
    assert {name: BUILT_IN[name].code for name in NAMES[:6]} == {
        "HMI": "OMIM 300337",
        "IP": "OMIM 308300",
        "MA": "OMIM 174800",
        "ML": "OMIM 151100",
        "NF1": "OMIM 162200",
        "TSC": "OMIM 191100, 613254",
    }


def test_names_without_a_description_stay_as_they_are():
    assert long_name("psoriasis", BUILT_IN) == "psoriasis"
    known = {"melanoma": Description(name="melanoma", full_name="Melanoma", code="C43")}
    assert long_name("melanoma", known) == "melanoma"
    assert full_name("x", {"x": Description(name="x")}) == ""


def test_all_that_is_known_in_a_line():
    one = Description(name="a", full_name="alpha", code="C1", sentence="It is.")
    assert explained("a", {"a": one}) == "alpha (C1). It is."
    assert explained("a", {"a": one.model_copy(update={"sentence": ""})}) == "alpha (C1)"
    assert explained("a", {"a": Description(name="a", code="C1")}) == "C1"
    assert explained("a", {"a": Description(name="a", sentence="It is")}) == "It is."
    assert explained("b", {"a": one}) == ""


@given(
    st.dictionaries(
        words.map(normalise_name).filter(bool), st.tuples(words, words, words), min_size=1, max_size=9
    )
)
def test_a_table_is_read_as_it_was_written(content):
    given = [
        Description(name=name, full_name=full, sentence=sentence, code=code)
        for name, (full, sentence, code) in content.items()
    ]
    assert read_conditions(conditions_csv(given).encode(), "conditions.csv") == given


def test_columns_may_be_written_with_blanks_and_capitals():
    (one,) = read_conditions(b"Name;Full name\nNF1;neurofibromatosis\n", "t")
    assert one == Description(name="NF1", full_name="neurofibromatosis", sentence="", code="")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("name,code\na,b\n", "columns name, full_name"),
        ("name,full_name,genus\na,b,c\n", "has name, full_name, genus"),
        ("file,condition\na.png,b\n", "rename the file"),
        ("name,full_name\n", "0 rows"),
        ("name,full_name\na,b\n a,c\n", "a stands in more than one row"),
        ("name,full_name\n,b\n", "row of ''"),
        (f"name,full_name\na,{'b' * 201}\n", "row of 'a'.*full_name"),
        ("name,full_name\na,b\u202ec\n", "row of 'a'.*control character"),
        ('name,full_name\na,"b\nc"\n', "row of 'a'.*line break"),
        ("name,full_name\na,b,c\n", "line 2"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(table, said):
    with pytest.raises(UserError, match=rf"(?s)place/{CONDITIONS}.*{said}"):
        read_conditions(table.encode(), f"place/{CONDITIONS}")


def test_a_cohort_takes_its_own_table_or_what_is_built_in(tmp_path):
    cohort = folder_of(tmp_path, "NF1", "TSC", "other")
    assert cohort.descriptions == {name: BUILT_IN[name] for name in ("NF1", "TSC")}
    digest = cohort.digest
    (tmp_path / CONDITIONS).write_text(TABLE)
    described = Cohort.load(tmp_path)
    assert long_name("NF1", described.descriptions) == "NF1 (von Recklinghausen disease)"
    assert list(described.descriptions) == ["NF1"]
    assert described.digest == digest
    assert list(described.select([1]).descriptions) == ["NF1"]


def test_copies_carry_the_table(tmp_path):
    cohort = folder_of(tmp_path / "one", "NF1", "TSC")
    (tmp_path / "one" / CONDITIONS).write_text(TABLE)
    cohort = Cohort.load(cohort.root)
    for name in ("copy", "copy.zip"):
        assert cohort.save_as(tmp_path / name).descriptions == cohort.descriptions
    other = folder_of(tmp_path / "two", "IP", "NF1")
    write_image(tmp_path / "two" / "0.png", np.full((8, 8, 3), 99, np.uint8))
    write_image(tmp_path / "two" / "1.png", np.full((8, 8, 3), 98, np.uint8))
    joined = join_cohorts([cohort, Cohort.load(other.root)], tmp_path / "joined")
    assert joined.descriptions == cohort.descriptions
    (tmp_path / "two" / CONDITIONS).write_text(TABLE.replace("von", "Von"))
    with pytest.raises(UserError, match="NF1 is described differently"):
        join_cohorts([cohort, Cohort.load(other.root)], tmp_path / "refused")


def test_an_import_brings_the_table_of_its_source(tmp_path):
    for name in ("NF1", "TSC"):
        write_image(tmp_path / "photos" / name / "a.png", np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "photos" / CONDITIONS).write_text(TABLE)
    assert list(import_folder(tmp_path / "photos", tmp_path / "cohort").descriptions) == ["NF1"]
    (tmp_path / "photos" / CONDITIONS).write_text("a,b\n")
    with pytest.raises(UserError, match=CONDITIONS):
        import_folder(tmp_path / "photos", tmp_path / "refused")
    assert not (tmp_path / "refused").exists()


def test_isic_imports_spell_diagnoses_out(tmp_path):
    source = tmp_path / "isic"
    table = ["image_id,dx,lesion_id"]
    for index, diagnosis in enumerate(("nv", "MEL", "scc", "something else")):
        write_image(source / f"{index}.png", np.full((8, 8, 3), index, np.uint8))
        table.append(f"{index},{diagnosis},{index}")
    (source / "metadata.csv").write_text("\n".join(table))
    found = import_isic(source, tmp_path / "cohort").descriptions
    assert {name: one.full_name for name, one in found.items()} == {
        "MEL": "melanoma",
        "nv": "melanocytic naevus",
        "scc": "squamous cell carcinoma",
    }
    assert (tmp_path / "cohort" / CONDITIONS).exists()
    assert isic_descriptions(["healthy"]) == []


def test_phantoms_bear_the_names_that_are_built_in(tmp_path):
    assert list(phantom(tmp_path / "p", per_condition=1, size=32).descriptions) == NAMES[:6]


def test_a_table_goes_before_what_is_built_in():
    own = [Description(name="NF1", full_name="another")]
    assert describe(["NF1", "TSC"], own) == {"NF1": own[0]}
    assert list(describe(["TSC", "x"])) == ["TSC"]

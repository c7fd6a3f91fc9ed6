"""What networks tell apart: all syndromes, one against the rest, a gene within a syndrome."""

import numpy as np
import pandas as pd
import pytest

from morphoscope.classify.gestalt.region_networks.labels import REST, Question
from morphoscope.cohort import Cohort, write_image
from morphoscope.configs import UserError


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Six patients of three syndromes; of a and c the gene is known, of c for one patient only."""
    root = tmp_path_factory.mktemp("cohort")
    for number in range(6):
        write_image(root / f"{number}.png", np.full((4, 4, 3), number, np.uint8))
    rows = {
        "file": [f"{number}.png" for number in range(6)],
        "condition": list("aabbcc"),
        "gene": ["PTPN11", "SOS1", "", "", "RAF1", ""],
    }
    return Cohort.from_rows(root, pd.DataFrame(rows))


def test_many_syndromes(cohort):
    assert Question().labels(cohort).tolist() == list("aabbcc")


def test_one_syndrome_against_the_rest(cohort):
    found = Question(against_rest="b").labels(cohort)
    assert found.tolist() == [REST, REST, "b", "b", REST, REST]
    with pytest.raises(UserError, match="--against-rest d: no value of condition; there are a, b, c"):
        Question(against_rest="d").labels(cohort)


def test_genes_within_a_syndrome(cohort):
    assert Question("gene", only="a").labels(cohort).tolist() == ["PTPN11", "SOS1", "", "", "", ""]
    with pytest.raises(UserError, match="--only d: no condition; there are a, b, c"):
        Question("gene", only="d").labels(cohort)


def test_one_gene_against_the_rest_leaves_out_who_has_none_recorded(cohort):
    found = Question("gene", against_rest="SOS1").labels(cohort)
    assert found.tolist() == [REST, "SOS1", "", "", REST, ""]


def test_a_label_with_the_name_of_the_rest_is_refused(cohort):
    named = Cohort.from_rows(cohort.root, cohort.rows.assign(condition=["a", "a", "b", "b", REST, REST]))
    with pytest.raises(UserError, match="rename it"):
        Question(against_rest="a").labels(named)

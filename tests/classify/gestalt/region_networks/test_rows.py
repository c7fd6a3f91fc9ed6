"""Who is trained on, and who has not been seen."""

import numpy as np
import pandas as pd
import pytest

from morphoscope.classify.gestalt.region_networks.labels import Question
from morphoscope.classify.gestalt.region_networks.rows import known_people, plan_rows
from morphoscope.cohort import Cohort, write_image
from morphoscope.configs import UserError


@pytest.fixture
def make(tmp_path):
    """make(folds, **columns): twelve images of six patients of two syndromes."""
    for number in range(12):
        write_image(tmp_path / f"{number}.png", np.full((4, 4, 3), number, np.uint8))

    def cohort(folds="001122", load=Cohort.from_rows, **columns):
        rows = pd.DataFrame(
            {
                "file": [f"{number}.png" for number in range(12)],
                "condition": ["a", "a", "b", "b"] * 3,
                "group": [f"p{number // 2}" for number in range(12)],
                "fold": [("test" if one == "t" else one) for one in folds for _ in range(2)],
            }
        )
        return Cohort.from_rows(tmp_path, rows.assign(**columns))

    return cohort


def plan(cohort, exclude=(), seen=()):
    return plan_rows(cohort, Question().labels(cohort), list(exclude), list(seen))


def test_the_test_fold_and_excluded_folds_are_left_out(make):
    found = plan(make("0012tt"), exclude=["1"])
    assert found.training.tolist() == [0, 1, 2, 3, 6, 7]
    assert found.held_out.tolist() == [4, 5]
    assert not len(plan(make()).held_out)


def test_an_unknown_fold_and_nothing_to_train_on_are_refused(make):
    with pytest.raises(UserError, match=r"--exclude-folds: .* has no fold 7"):
        plan(make(), exclude=["7"])
    with pytest.raises(UserError, match="no image is left"):
        plan(make("tttttt"))


def test_a_family_is_never_on_both_sides(make):
    with pytest.raises(UserError, match=r"both in training and in a fold that is held out: p1"):
        plan(make(["", "0", "1", "1", "2", "2"], family=["f", "f", "f", "f"] + [""] * 8), exclude=["0", "1"])


def test_networks_that_have_seen_a_relative_of_a_held_out_patient_are_refused(make):
    cohort = make(family=["f"] * 4 + [""] * 8)
    seen = [cohort.image_hashes[0]]
    assert known_people(cohort, seen).tolist() == [True] * 4 + [False] * 8
    assert not known_people(cohort, []).any()
    assert len(plan(cohort, exclude=["1"], seen=seen).training) == 8
    with pytest.raises(UserError, match="were trained on people in a fold that is held out: p0, p1"):
        plan(cohort, exclude=["0"], seen=seen)


def test_one_file_in_two_folds_is_refused(make, tmp_path):
    write_image(tmp_path / "11.png", np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(UserError, match="same file"):
        plan(make(), exclude=["0"])


def test_labels_come_from_a_column(make):
    cohort = make(gene=["g", ""] * 6)
    assert Question("gene").labels(cohort).tolist() == ["g", ""] * 6
    assert plan_rows(cohort, Question("gene").labels(cohort), [], []).training.tolist() == list(
        range(0, 12, 2)
    )
    with pytest.raises(UserError, match="--column exon: the manifest has file, condition"):
        Question("exon").labels(cohort)

"""Focused and panoramic images: the test rule, and training and evaluation in one view."""

from pathlib import Path

import pandas as pd
import pytest

from morphoscope.classify import Ensemble, evaluate, plan_folds, train_ensemble
from morphoscope.classify.inputs.views import in_view, require_paired_test
from morphoscope.cohort import Cohort
from morphoscope.configs import UserError
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.runtime import RunFolder


@pytest.fixture
def paired(cohort: Cohort) -> Cohort:
    """Of each group's two images the first is focused, the second panoramic."""
    views = ["focused", "panoramic"] * (len(cohort) // 2)
    return Cohort.from_rows(cohort.root, cohort.rows.assign(view=views))


def with_cells(cohort: Cohort, row: int, **cells: str) -> Cohort:
    """Changed without the manifest's checks, as a faulty program might do."""
    cohort = Cohort.from_rows(cohort.root, cohort.rows)
    for column, cell in cells.items():
        cohort.rows.loc[row, column] = cell
    return cohort


def first_in_test(cohort: Cohort, view: str) -> int:
    rows = cohort.rows
    return int(rows.index[(rows["fold"] == "test") & (rows["view"] == view)][0])


def test_a_fair_test_passes(paired: Cohort) -> None:
    require_paired_test(paired)
    only_focused = paired.select((paired.rows["fold"] != "test") | (paired.rows["view"] == "focused"))
    require_paired_test(Cohort.from_rows(paired.root, only_focused.rows))


def test_a_panoramic_test_image_needs_one_focused_partner(paired: Cohort) -> None:
    lonely = paired.rows["file"][first_in_test(paired, "focused") + 1]
    none = with_cells(paired, first_in_test(paired, "focused"), view="other")
    with pytest.raises(UserError, match=f"1 panoramic test images do not .*: {lonely}"):
        require_paired_test(none)
    row = first_in_test(paired, "focused")
    elsewhere = paired.rows["group"][(paired.rows["fold"] == "test") & (paired.rows.index > row + 1)].iloc[0]
    two = with_cells(paired, row, group=elsewhere)
    with pytest.raises(UserError, match="2 panoramic test images do not"):  # one has none, one has two
        require_paired_test(two)


def test_pairs_may_be_told_within_a_group(paired: Cohort) -> None:
    rows = paired.rows.copy()
    in_test = rows["fold"] == "test"
    rows["pair"] = rows["group"].where(in_test, "")
    rows.loc[in_test, "group"] = "one patient"
    require_paired_test(Cohort.from_rows(paired.root, rows))
    with pytest.raises(UserError, match="exactly one focused"):
        require_paired_test(Cohort.from_rows(paired.root, rows.drop(columns="pair")))


def test_pairs_of_different_patients_may_have_one_name(paired: Cohort) -> None:
    rows = paired.rows.assign(pair="1")
    require_paired_test(Cohort.from_rows(paired.root, rows))
    tested = rows.index[rows["fold"] == "test"]
    lonely, other = tested[1], tested[2]  # one patient's panoramic image, another's focused one
    assert rows["group"][lonely] != rows["group"][other]
    rows.loc[[lonely, other], "pair"] = "2"
    with pytest.raises(UserError, match=f"2 panoramic test images do not .*: {rows['file'][lonely]}"):
        require_paired_test(Cohort.from_rows(paired.root, rows))


def test_a_partner_has_the_same_condition(paired: Cohort) -> None:
    rows = paired.rows.copy()
    first = rows.index[rows["fold"] == "test"][0]
    rows.loc[first, "condition"] = "green"
    with pytest.raises(UserError, match=f"1 panoramic test images do not .*: {rows['file'][first + 1]}"):
        require_paired_test(Cohort.from_rows(paired.root, rows))


def test_a_test_group_may_not_train_in_either_view(paired: Cohort) -> None:
    row = first_in_test(paired, "focused")
    training = int(paired.rows.index[paired.rows["fold"] == "0"][0])
    leaky = with_cells(paired, training, group=paired.rows["group"][row])
    with pytest.raises(UserError, match=rf"1 images outside the test fold.*{paired.rows['file'][training]}"):
        plan_folds(leaky, [], view="panoramic")


def test_a_test_image_under_another_name_may_not_train(paired: Cohort, tmp_path: Path) -> None:
    copy = paired.save_as(tmp_path / "copy")
    row, training = first_in_test(paired, "panoramic"), int(paired.rows.index[paired.rows["fold"] == "0"][0])
    names = copy.rows["file"]
    (copy.root / names[training]).write_bytes((copy.root / names[row]).read_bytes())
    with pytest.raises(UserError, match=names[training]):
        require_paired_test(Cohort.load(copy.root))


def test_plans_hold_one_view_only(paired: Cohort) -> None:
    for plan in plan_folds(paired, [], view="focused"):
        assert set(paired.rows["view"].iloc[[*plan.training, *plan.validation]]) == {"focused"}
    both = plan_folds(paired, [])
    assert sum(len(plan.validation) for plan in both) == (paired.rows["fold"] != "test").sum()
    with pytest.raises(UserError, match="no face image; its views are focused, panoramic"):
        in_view(paired, "face")


def test_an_ensemble_of_one_view_is_evaluated_in_either_view(
    paired: Cohort, config: EnsembleTraining, tmp_path: Path
) -> None:
    config = config.model_copy(update={"epochs": 1})
    run = RunFolder(tmp_path / "run")
    train_ensemble(config, paired, run, device="cpu", view="focused")
    ensemble = Ensemble.load(run.path / "ensemble.safetensors")
    assert ensemble.view == "focused"
    shown = pd.read_csv(run.path / "out_of_fold" / "probabilities.csv")["file"]
    view_of = dict(zip(paired.rows["file"], paired.rows["view"], strict=True))
    assert {view_of[file] for file in shown} == {"focused"}
    own, other = evaluate(ensemble, paired), evaluate(ensemble, paired, view="panoramic")
    assert {view_of[file] for file in own.files} == {"focused"} and own.facts.view == "focused"
    assert {view_of[file] for file in other.files} == {"panoramic"}
    assert set(own.groups) == set(other.groups)
    with pytest.raises(UserError, match="view: focused before, panoramic now"):
        train_ensemble(config, paired, run, device="cpu", view="panoramic")

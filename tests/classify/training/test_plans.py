import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from morphoscope.classify import plan_folds
from morphoscope.classify.training.material import TrainingCohorts
from morphoscope.cohort import Cohort
from morphoscope.configs import UserError


def test_each_fold_trains_on_the_others_and_never_on_test(cohort: Cohort) -> None:
    plans = plan_folds(cohort, [])
    assert [plan.fold for plan in plans] == ["0", "1", "2"]
    for plan in plans:
        trained = cohort.rows.iloc[plan.training]
        assert set(trained["fold"]) == {"0", "1", "2"} - {plan.fold}
        assert set(cohort.rows["fold"].iloc[plan.validation]) == {plan.fold}
        assert not set(trained["group"]) & set(cohort.rows["group"].iloc[plan.validation])


def test_synthetic_rows_go_to_the_folds_that_their_generator_has_not_seen(
    cohort: Cohort, make_synthetic: Callable[..., Cohort]
) -> None:
    early, late = make_synthetic(["0", "1"]), make_synthetic(["2"])
    by_fold = {
        plan.fold: [len(rows) for rows in plan.synthetic] for plan in plan_folds(cohort, [early, late])
    }
    assert by_fold == {"0": [0, 6], "1": [0, 6], "2": [6, 0]}


def test_rows_of_one_cohort_are_chosen_one_by_one(
    cohort: Cohort, make_synthetic: Callable[..., Cohort]
) -> None:
    mixed = make_synthetic([["0"], ["1"], ["0"], ["2"], ["2"], ["1"]])
    plans = {plan.fold: plan.synthetic[0].tolist() for plan in plan_folds(cohort, [mixed])}
    assert plans == {"0": [1, 3, 4, 5], "1": [0, 2, 3, 4], "2": [0, 1, 2, 5]}


def test_a_generator_that_saw_the_fold_is_a_hard_error(
    cohort: Cohort, make_synthetic: Callable[..., Cohort]
) -> None:
    leaky = make_synthetic(["0", "1", "2"])
    with pytest.raises(UserError, match=r"Fold 0 .*feedc0de.*excludes fold 0.*--folds"):
        plan_folds(cohort, [leaky])
    partly = make_synthetic(["1", "2"])
    with pytest.raises(UserError, match="Fold 1 "):
        plan_folds(cohort, [partly])
    assert len(plan_folds(cohort, [partly], folds=["0"])[0].synthetic[0]) == 6


def test_a_generator_that_saw_the_test_fold_is_always_an_error(
    cohort: Cohort, make_synthetic: Callable[..., Cohort]
) -> None:
    fine = make_synthetic([])
    with pytest.raises(UserError, match=r"feedc0de was trained on the test fold"):
        plan_folds(cohort, [fine, make_synthetic(["1", "test"])], folds=["0"])


def test_a_generator_of_another_split_is_an_error(
    cohort: Cohort, make_synthetic: Callable[..., Cohort]
) -> None:
    assert plan_folds(cohort, [make_synthetic(["1"])], folds=["0"])
    with pytest.raises(UserError, match="another split"):
        plan_folds(cohort, [make_synthetic(["1"], trained_on_cohort="1234567890abcdef")], folds=["0"])


def test_a_generator_whose_ancestors_saw_another_split_is_an_error(
    cohort: Cohort, make_synthetic: Callable[..., Cohort]
) -> None:
    assert plan_folds(cohort, [make_synthetic(["1"], ancestor_cohorts="[]")], folds=["0"])
    grown = make_synthetic(["1"], ancestor_cohorts='["1234567890abcdef"]')
    with pytest.raises(UserError, match=r"other cohorts or splits \(digest 1234567890abcdef\)"):
        plan_folds(cohort, [grown], folds=["0"])


def test_a_foreign_ancestor_is_said_to_be_so_and_a_foreign_generator_is_refused(
    cohort: Cohort, make_synthetic: Callable[..., Cohort], caplog: pytest.LogCaptureFixture
) -> None:
    started = make_synthetic(["1"], ancestor_cohorts='["foreign"]')
    with caplog.at_level(logging.WARNING):
        assert len(plan_folds(cohort, [started], folds=["0"])[0].synthetic[0]) == 6
    assert "generator feedc0de, which started from a foreign model" in caplog.text
    assert "the leak check does not cover them" in caplog.text
    cohorts = TrainingCohorts(cohort, [started, make_synthetic(["1"])], [], None)
    assert cohorts.foreign_generators == cohorts.generators == ["feedc0de"]
    with pytest.raises(UserError, match=r"feedc0de is a foreign model.*--start-from"):
        plan_folds(cohort, [make_synthetic([], trained_on_cohort="foreign")], folds=["0"])
    mixed = make_synthetic(["1"], ancestor_cohorts='["1234567890abcdef", "foreign"]')
    with pytest.raises(UserError, match=r"other cohorts or splits \(digest 1234567890abcdef\)"):
        plan_folds(cohort, [mixed], folds=["0"])


@pytest.mark.parametrize("column", ["trained_on_folds", "trained_on_cohort"])
def test_missing_provenance_is_never_taken_for_harmless(
    cohort: Cohort, make_synthetic: Callable[..., Cohort], column: str
) -> None:
    absent, empty, nested = make_synthetic(["1"]), make_synthetic(["1"]), make_synthetic(["1"])
    del absent.rows[column]
    empty.rows.loc[1, column] = ""
    nested.rows["ancestor_cohorts"] = "[" * 100_000
    for extra in (absent, empty, nested):
        with pytest.raises(UserError, match=r"unknown provenance: \S+\.png: the manifest does not say"):
            plan_folds(cohort, [extra], folds=["0"])


def test_unknown_provenance_or_condition_is_an_error(
    cohort: Cohort, make_synthetic: Callable[..., Cohort]
) -> None:
    unknown = make_synthetic(["1"])
    unknown.rows.loc[2, "trained_on_folds"] = "1"
    with pytest.raises(UserError, match=r"red-2\.png: the manifest does not say"):
        plan_folds(cohort, [unknown])
    with pytest.raises(UserError, match="synthetic images of violet"):
        plan_folds(cohort, [make_synthetic(["1"], conditions=("red", "violet"))])
    with pytest.raises(UserError, match="not synthetic"):
        plan_folds(cohort, [cohort])


def test_a_training_on_synthetic_images_alone_still_validates_on_real_ones(
    cohort: Cohort, make_synthetic: Callable[..., Cohort]
) -> None:
    every = make_synthetic([], conditions=("blue", "green", "red"))
    (plan,) = plan_folds(cohort, [every], folds=["1"], real_images=False, synthetic_per_real=0.25)
    real = cohort.rows["fold"].isin(["0", "2"]).sum()
    assert plan.counts == {"real": 0, "synthetic": min(len(every), round(0.25 * real))}
    assert set(cohort.rows["fold"].iloc[plan.validation]) == {"1"}
    with pytest.raises(UserError, match="without any image of blue"):
        plan_folds(cohort, [make_synthetic([])], real_images=False)
    with pytest.raises(UserError, match="real_images: false leaves no image to train on"):
        plan_folds(cohort, real_images=False)


def test_synthetic_images_can_be_bounded(cohort: Cohort, make_synthetic: Callable[..., Cohort]) -> None:
    extras = [make_synthetic([]), make_synthetic([], each=20)]
    (plan,) = plan_folds(cohort, extras, folds=["1"], synthetic_per_real=0.5)
    assert sum(map(len, plan.synthetic)) == round(0.5 * len(plan.training))
    (again,) = plan_folds(cohort, extras, folds=["1"], synthetic_per_real=0.5)
    for first, second in zip(plan.synthetic, again.synthetic, strict=True):
        np.testing.assert_array_equal(first, second)
    (whole,) = plan_folds(cohort, extras, folds=["1"], synthetic_per_real=100)
    assert [len(rows) for rows in whole.synthetic] == [6, 40]


def test_bad_folds_are_named(cohort: Cohort) -> None:
    with pytest.raises(UserError, match=r"--folds 7.*0, 1, 2"):
        plan_folds(cohort, [], folds=["0", "7"])
    with pytest.raises(UserError, match="--folds test"):
        plan_folds(cohort, [], folds=["test"])
    unsplit = Cohort.from_rows(cohort.root, cohort.rows.assign(fold=""))
    with pytest.raises(UserError, match="cohort split"):
        plan_folds(unsplit, [])
    with pytest.raises(UserError, match="two folds"):
        plan_folds(cohort.select(cohort.rows["fold"].isin(["0", "test"])), [])


@pytest.mark.parametrize("second", ["1", "test"])
def test_one_file_in_two_folds_is_an_error(cohort: Cohort, tmp_path: Path, second: str) -> None:
    """A copy with another name and group would be trained on and then evaluated."""
    copied = cohort.save_as(tmp_path / "copied")
    rows = copied.rows
    names = [rows["file"][(rows["fold"] == fold) & (rows["condition"] == "red")] for fold in ("0", second)]
    first, twin, neighbour = names[0].iloc[0], names[1].iloc[0], names[0].iloc[1]
    content = (copied.root / first).read_bytes()
    (copied.root / neighbour).write_bytes(content)  # within one fold it does no harm
    assert len(plan_folds(Cohort.load(copied.root), [])) == 3
    (copied.root / twin).write_bytes(content)
    leaky = Cohort.load(copied.root)
    message = rf"(?=.*{first} \(fold 0\))(?=.*{twin} \(fold {second}\)).*cohort check"
    for folds in (None, ["2"]):
        with pytest.raises(UserError, match=message):
            plan_folds(leaky, [], folds=folds)


def test_a_condition_without_training_images_is_an_error(cohort: Cohort) -> None:
    rows = cohort.rows
    few = cohort.select((rows["condition"] != "red") | (rows["fold"] == "1"))
    with pytest.raises(UserError, match="Fold 1 would train without any image of red"):
        plan_folds(few, [], folds=["1"])

"""Which cells a study has, and which patients each of them sees."""

from dataclasses import replace
from pathlib import Path

import pytest

from morphoscope.apps.study.cell import Cell
from morphoscope.apps.study.leaks import check_leaks
from morphoscope.apps.study.partition import INNER, TRAINING, cell_cohort, outer_folds
from morphoscope.apps.study.plan import StudyPlan, plan_study, wanted_images
from morphoscope.cohort import Cohort
from morphoscope.configs import UserError, load_config
from morphoscope.configs.loading import list_presets, validated
from morphoscope.configs.study import Arm, Study


def changed(study: Study, **values: object) -> Study:
    return validated(Study, {**study.model_dump(mode="json"), **values})


def test_patients_are_apart_and_fewer_shots_are_parts_of_more(cohort: Cohort) -> None:
    split = outer_folds(cohort, 3, seed=1)
    tested: set[str] = set()
    for fold in ("0", "1", "2"):
        parts = [cell_cohort(split, fold, shots, 2, seed=1).rows for shots in (2, 3, "all")]
        groups = [
            {name: set(rows["group"][rows["fold"] == name]) for name in set(rows["fold"])} for rows in parts
        ]
        few, more, every = groups
        assert few[TRAINING] < more[TRAINING] < every[TRAINING]
        assert few[INNER] == every[INNER] and few["test"] == every["test"]
        assert not every["test"] & (every[INNER] | every[TRAINING]) and not every[INNER] & every[TRAINING]
        in_training = parts[0][parts[0]["fold"] == TRAINING]
        assert set(in_training.groupby("condition")["group"].nunique()) == {2}
        tested |= every["test"]
    assert tested == set(cohort.rows["group"])


def test_the_cohorts_own_test_fold_takes_no_part(cohort: Cohort) -> None:
    held_out = cohort.split(2, 0, test_fraction=0.2)
    groups = set(held_out.rows["group"][held_out.rows["fold"] == "test"])
    assert groups and not groups & set(outer_folds(held_out, 2, 0).rows["group"])


def test_cells_are_shared_and_named_by_what_determines_them(
    study: Study, cohort: Cohort, tmp_path: Path
) -> None:
    plan = plan_study(study, cohort)
    kinds = [cell.kind for cell in plan.cells.values()]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "cohort": 4,
        "generator": 4,
        "images": 4,
        "classifier": 16,
        "reverse": 4,
    }
    assert len(plan.places) == 16 and {place.cell for place in plan.places} <= plan.cells.keys()
    more = plan_study(changed(study, classifier_seeds=2), cohort)
    assert plan.cells.keys() < more.cells.keys()
    other = plan_study(changed(study, psi=0.5), cohort)
    common = {name.partition("-")[0] for name in plan.cells.keys() & other.cells.keys()}
    assert common == {"cohort", "generator", "classifier"}, "classifiers without images stay"
    enough = plan_study(changed(study, shots=[30, "all"]), cohort)
    assert len(enough.cells) == len(plan.cells) / 2, "more shots than patients are all patients"
    plan.write(tmp_path)
    assert StudyPlan.read(tmp_path) == plan


def test_what_an_arm_chooses_among_is_planned_and_depends_on_no_test(study: Study, cohort: Cohort) -> None:
    arms = {"chosen": {"choose": {"ratio": [0.5, 1], "psi": [0.7, 1]}}}
    plan = plan_study(changed(study, arms=arms, shots=["all"], classifier_seeds=2), cohort)
    kinds = [cell.kind for cell in plan.cells.values()]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "cohort": 2,
        "generator": 2,
        "images": 4,  # smaller ratios use the first images of larger ones
        "candidate": 16,
        "choice": 2,
        "chosen": 4,
        "classifier": 4,
    }
    assert check_leaks(plan, cohort)[-1].counted == 16
    choice = next(cell for cell in plan.cells.values() if cell.kind == "choice")
    assert choice.settings["candidates"][1] == {"ratio": 0.5, "psi": 1.0, "snapshot": None}
    real = next(cell for cell in plan.cells.values() if cell.kind == "classifier")
    leaky = Cell("choice", choice.settings, {**choice.needs, "0, 0": real})
    with pytest.raises(UserError, match=r"chooses among cells that predict a test \(classifier\)"):
        check_leaks(replace(plan, cells={**plan.cells, leaky.name: leaky}), cohort)


def test_a_snapshot_that_is_discarded_cannot_be_chosen(study: Study, cohort: Cohort) -> None:
    arms = {"chosen": {"synthetic": 1, "choose": {"snapshot": [0.5, 1]}}}
    generator = {**study.generator, "kimg": 1, "tick_kimg": 0.1, "snapshot_ticks": 1}
    with pytest.raises(UserError, match=r"of 10 snapshots a generator keeps 5\. Set .*keep_snapshots: 10"):
        plan_study(changed(study, arms=arms, generator=generator), cohort)
    plan_study(changed(study, arms=arms, generator={**generator, "keep_snapshots": 10}), cohort)


def test_every_arm_takes_equally_many_steps(study: Study, cohort: Cohort) -> None:
    cells = plan_study(changed(study, steps=100), cohort).cells.values()
    configs = [cell.settings["config"] for cell in cells if cell.kind == "classifier"]
    assert {(one["epochs"], one["images_per_epoch"], one["batch"]) for one in configs} == {(1, 800, 8)}


def test_how_many_synthetic_images_an_arm_adds() -> None:
    counts = {"blue": 4, "red": 10}
    assert wanted_images(Arm(synthetic=2), counts) == {"blue": 14, "red": 14}
    assert wanted_images(Arm(fill=True), counts) == {"blue": 6, "red": 0}


@pytest.mark.parametrize(
    ("arm", "problem"),
    [
        ({"real": False}, "needs synthetic images"),
        ({"fill": True, "synthetic": 1}, "leave out `synthetic`, and keep real images"),
        ({"images": "morphs"}, "uses no synthetic image"),
        ({"synthetic": 1, "folder": "images"}, "needs {fold}"),
        ({"synthetic": 1, "folder": "images/{fold}", "images": "morphs"}, "used as they are"),
        ({"sythetic": 1}, "no such setting"),
        ({"choose": {"psi": [0.5, 1]}}, "how many synthetic images"),
        ({"synthetic": 1, "choose": {"ratio": [0.5, 1]}}, "takes the place of `synthetic`"),
        ({"choose": {"ratio": [1]}}, "at least two candidates"),
        ({"choose": {"ratio": [1, 100]}}, "at most 20"),
        ({"synthetic": 1, "choose": {"snapshot": [0, 1]}}, "parts of the training"),
        ({"synthetic": 1, "choose": {"psi": [0.5, 1]}, "folder": "{fold}"}, "leave out `folder`"),
    ],
)
def test_arms_that_make_no_sense_are_refused(study: Study, arm: dict, problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        changed(study, arms={"odd": arm})


def test_the_reference_is_always_there_and_stays_what_it_is(study: Study) -> None:
    assert next(iter(study.arms)) == "real"
    with pytest.raises(UserError, match="give this one another name"):
        changed(study, arms={"real": {"synthetic": 1}})
    with pytest.raises(UserError, match="at least one arm besides"):
        changed(study, arms={})


@pytest.mark.parametrize("preset", list_presets("study"))
def test_presets_are_valid(preset: str, cohort: Cohort) -> None:
    study = load_config(Study, family="study", preset=preset, cohort=cohort.root)
    assert len(plan_study(study, cohort).places) > 0

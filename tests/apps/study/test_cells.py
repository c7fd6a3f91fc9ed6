"""What cells do, by the functions of the commands; and that a leak stops a study before it trains."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from morphoscope.apps.study.cell import Cell, Store
from morphoscope.apps.study.cells.classifiers import PREDICTIONS
from morphoscope.apps.study.cells.context import COHORT, IMAGES, Context
from morphoscope.apps.study.cells.running import run_cell
from morphoscope.apps.study.leaks import check_leaks
from morphoscope.apps.study.plan import StudyPlan, generator_settings, plan_study
from morphoscope.cohort import Cohort, write_image
from morphoscope.configs import UserError
from morphoscope.configs.generator import GeneratorTraining
from morphoscope.configs.loading import validated
from morphoscope.configs.study import Study
from morphoscope.generate import train_generator
from morphoscope.runtime import RunFolder


def changed(study: Study, **values: object) -> Study:
    return validated(Study, {**study.model_dump(mode="json"), **values})


def run_with_needs(cell: Cell, context: Context) -> None:
    for need in cell.needs.values():
        run_with_needs(need, context)
    run_cell(cell, context)


def first(plan: StudyPlan, arm: str) -> Cell:
    return next(plan.cells[place.cell] for place in plan.places if place.arm == arm)


def test_arms_train_on_what_they_say_and_predict_the_same_patients(
    study: Study, cohort: Cohort, context: Context
) -> None:
    arms = {
        "synthetic": {"synthetic": 1},
        "only": {"real": False, "synthetic": 1},
        "fill": {"fill": True},
        "filtered": {"synthetic": 1, "images": "filtered"},
        "morphs": {"synthetic": 1, "images": "morphs"},
    }
    plan = plan_study(changed(study, arms=arms, shots=["all"]), cohort)
    tables, values = {}, {}
    for arm in plan.study.arms:
        cell = first(plan, arm)
        run_with_needs(cell, context)
        tables[arm] = pd.read_csv(context.store.folder(cell) / PREDICTIONS)
        values[arm] = context.store.values(cell)["training_images"]
    assert all(table["file"].equals(tables["real"]["file"]) for table in tables.values())
    np.testing.assert_allclose(tables["only"].filter(like="p ").sum(axis=1), 1, atol=1e-6)
    real = values["real"]["real"]
    assert values["real"]["synthetic"] == 0 and values["only"]["real"] == 0
    assert values["synthetic"] == {"real": real, "synthetic": 3 * round(real / 3)}
    assert 0 < values["fill"]["synthetic"] < real
    assert 0 < values["filtered"]["synthetic"] <= 3 * round(real / 3)
    morphs = Cohort.load(context.store.folder(first(plan, "morphs").needs["images"]) / IMAGES)
    assert morphs.rows["label"].str.count(":").eq(2).all()
    generator = first(plan, "only").needs["images"].needs["generator"]
    measured = context.store.values(generator)
    assert measured["trained_on_folds"] == ["1"] and measured["copying"] and measured["similarity"]
    reverse = next(cell for cell in plan.cells.values() if cell.kind == "reverse")
    run_with_needs(reverse, context)
    assert 0 <= context.store.values(reverse)["balanced_accuracy"] <= 1


def test_a_finished_cell_is_kept_and_an_unready_one_refused(
    study: Study, cohort: Cohort, context: Context
) -> None:
    cell = first(plan_study(study, cohort), "real")
    with pytest.raises(UserError, match=r"needs cohort-[0-9a-f]{16}; run that first"):
        run_cell(cell, context)
    assert run_cell(cell.needs["cohort"], context) is True
    assert run_cell(cell.needs["cohort"], context) is False


def test_selected_images_are_those_that_the_classifier_of_real_images_agrees_with(
    study: Study, cohort: Cohort, context: Context
) -> None:
    arms = {"selected": {"synthetic": 1, "images": "selected"}}
    cell = first(plan_study(changed(study, arms=arms, shots=["all"]), cohort), "selected")
    for need in cell.needs.values():
        run_with_needs(need, context)
    try:
        run_cell(cell, context)
    except UserError as error:  # the tiny generator's images may all be refused
        assert "the selection refuses all" in str(error)
    else:
        assert context.store.values(cell)["training_images"]["synthetic"] <= sum(
            cell.settings["images"].values()
        )


def test_a_choice_never_sees_the_test(study: Study, cohort: Cohort, context: Context, tmp_path: Path) -> None:
    """Other photographs in the test fold, of other conditions, change no candidate and no choice."""
    choose = {"ratio": [0.5, 1], "snapshot": [0.5, 1]}
    generator = {**study.generator, "tick_kimg": 0.008, "snapshot_ticks": 1}
    settings = {"arms": {"chosen": {"choose": choose}}, "shots": ["all"], "generator": generator}
    plan = plan_study(changed(study, **settings), cohort)
    cell = first(plan, "chosen")
    run_with_needs(cell, context)
    values = context.store.values(cell.needs["choice"])
    assert len(values["scores"]) == 4 and values["scores"][values["chosen"]] == max(values["scores"])
    scored = context.store.values(cell.needs[str(values["chosen"])])
    assert context.store.values(cell)["inner_balanced_accuracy"] == scored["inner_balanced_accuracy"]
    assert pd.read_csv(context.store.folder(cell) / PREDICTIONS)["file"].nunique() > 0
    candidates = [context.store.folder(need) for role, need in cell.needs.items() if role.isdecimal()]
    assert len(candidates) == 4
    assert not any((folder / PREDICTIONS).exists() for folder in candidates)
    snapshots = [
        load_cohort(context, cell.needs[number].needs["images"]).rows["generator"][0] for number in ("0", "1")
    ]
    assert snapshots[0] != snapshots[1]

    other = Context(Store(tmp_path / "other"), cohort.root, None, "cpu")
    run_cell(cell.needs["cohort"], other)
    copy = Cohort.load(other.store.folder(cell.needs["cohort"]) / COHORT)
    tested = (copy.rows["fold"] == "test").to_numpy()
    for file in copy.rows["file"][tested]:
        write_image(copy.root / file, np.zeros((40, 40, 3), np.uint8))
    turned = copy.rows["condition"].map({"blue": "green", "green": "red", "red": "blue"})
    Cohort.from_rows(
        copy.root, copy.rows.assign(condition=copy.rows["condition"].mask(tested, turned))
    ).save()
    run_with_needs(cell.needs["choice"], other)
    assert other.store.values(cell.needs["choice"]) == values


def load_cohort(context: Context, cell: Cell) -> Cohort:
    return Cohort.load(context.store.folder(cell) / IMAGES)


def test_images_of_another_generator_are_taken_over_by_fold(
    study: Study, cohort: Cohort, context: Context, tmp_path: Path
) -> None:
    random = np.random.default_rng(1)
    for fold in ("0", "1"):
        for condition in cohort.conditions:
            for number in range(20):
                path = tmp_path / f"diffusion-{fold}" / condition / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                write_image(path, random.integers(0, 256, (32, 32, 3), dtype=np.uint8))
    arms = {"diffusion": {"synthetic": 1, "folder": str(tmp_path / "diffusion-{fold}")}}
    foreign = changed(study, arms=arms, shots=["all"])
    plan = plan_study(foreign, cohort)
    assert "generator" not in {cell.kind for cell in plan.cells.values()}
    assert "what the study's author states" in check_leaks(plan, cohort)[-1].what
    cell = first(plan, "diffusion")
    run_with_needs(cell, context)
    assert context.store.values(cell)["training_images"]["synthetic"] == sum(cell.settings["images"].values())
    copied = tmp_path / "diffusion-1" / "blue" / "0.png"
    copied.write_bytes((cohort.root / cohort.rows["file"][0]).read_bytes())
    with pytest.raises(
        UserError, match=r"1 files are images of the cohort itself: 0\.png\. Nothing has been"
    ):
        check_leaks(plan_study(foreign, cohort), cohort)


def test_one_image_under_the_names_of_two_patients_stops_the_study(
    study: Study, cohort: Cohort, tmp_path: Path
) -> None:
    copy = cohort.save_as(tmp_path / "copy")
    twin = copy.root / "twin.png"
    twin.write_bytes((copy.root / copy.rows["file"][0]).read_bytes())
    row = copy.rows.iloc[[0]].assign(file="twin.png", group="somebody else")
    leaky = Cohort.from_rows(copy.root, pd.concat([copy.rows, row], ignore_index=True))
    with pytest.raises(UserError, match=r"under the names of different patients.*nothing has been trained"):
        check_leaks(plan_study(study, leaky), leaky)


def test_a_generator_that_has_seen_the_tests_stops_the_study(
    study: Study, cohort: Cohort, tmp_path: Path
) -> None:
    every = cohort.split(2, 0)
    config = validated(GeneratorTraining, generator_settings(study))
    snapshot = train_generator(config, every, RunFolder(tmp_path / "leaky"))
    leaky = changed(study, start_from=str(snapshot))
    with pytest.raises(UserError, match=r"start_from: .* was trained on images of patients"):
        check_leaks(plan_study(leaky, cohort), cohort)


def test_a_cohort_that_changed_since_the_plan_is_refused(
    study: Study, cohort: Cohort, context: Context, tmp_path: Path
) -> None:
    copy = cohort.save_as(tmp_path / "copy")
    cell = first(plan_study(changed(study, cohort=str(copy.root)), copy), "real").needs["cohort"]
    write_image(copy.root / "blue-0.png", np.zeros((40, 40, 3), np.uint8))
    moved = Context(context.store, copy.root, None, "cpu")
    with pytest.raises(UserError, match="has changed since the study was planned"):
        run_cell(cell, moved)

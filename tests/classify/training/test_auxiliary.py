"""Joint training with an auxiliary cohort: its classes, its share of the loss, and what it may not show."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from morphoscope.classify import Ensemble, evaluate, plan_folds, train_ensemble
from morphoscope.classify.training.auxiliary import auxiliary_targets, joint_classes, require_every_class
from morphoscope.classify.training.fold import FoldTrainer
from morphoscope.classify.training.pool import ImagePool
from morphoscope.cohort import Cohort, write_image
from morphoscope.configs import UserError
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.runtime import RunFolder

SHADES = {"black": (20, 20, 20), "white": (240, 240, 240)}


@pytest.fixture
def lesions(tmp_path: Path) -> Cohort:
    """2 conditions x 6 images, two in each of the folds 0, 1 and 2."""
    random = np.random.default_rng(7)
    rows = []
    for condition, shade in SHADES.items():
        for index in range(6):
            name = f"{condition}-{index}.png"
            pixels = np.array(shade) + random.normal(0, 10, (40, 40, 3))
            write_image(tmp_path / "lesions" / name, np.clip(pixels, 0, 255).astype(np.uint8))
            rows.append({"file": name, "condition": condition, "group": f"L-{name}", "fold": str(index % 3)})
    return Cohort.from_rows(tmp_path / "lesions", pd.DataFrame(rows))


def changed(lesions: Cohort, row: int, **cells: str) -> Cohort:
    rows = lesions.rows.copy()
    for column, cell in cells.items():
        rows.loc[row, column] = cell
    return Cohort.from_rows(lesions.root, rows)


def test_own_conditions_come_first(cohort: Cohort, lesions: Cohort) -> None:
    assert joint_classes(cohort, [lesions], {}) == ["blue", "green", "red", "black", "white"]
    assert joint_classes(cohort, [lesions, lesions], {"white": "pale"})[3:] == ["black", "pale"]
    targets = auxiliary_targets(lesions, ["blue", "green", "red", "black", "pale"], {"white": "pale"})
    assert targets.sum(axis=0).tolist() == [0, 0, 0, 6, 6] and set(targets.sum(axis=1)) == {1}
    with pytest.raises(UserError, match="no auxiliary cohort has violet"):
        joint_classes(cohort, [lesions], {"violet": "x"})


def test_a_name_in_both_cohorts_is_the_users_to_settle(cohort: Cohort, lesions: Cohort) -> None:
    both = changed(lesions, 0, condition="red")
    with pytest.raises(UserError, match=r"red: in .*auxiliary_names\.red=red"):
        joint_classes(cohort, [both], {})
    assert joint_classes(cohort, [both], {"red": "red"})[3:] == ["black", "white"]
    assert joint_classes(cohort, [both], {"red": "rosacea"})[3:] == ["black", "rosacea", "white"]


def test_its_own_folds_are_held_out_as_well(cohort: Cohort, lesions: Cohort) -> None:
    for plan in plan_folds(cohort, [], auxiliary=[lesions]):
        (rows,) = plan.auxiliary
        assert set(lesions.rows["fold"].iloc[rows]) == {"0", "1", "2"} - {plan.fold}
    unsplit = Cohort.from_rows(lesions.root, lesions.rows.assign(fold=""))
    assert [len(plan.auxiliary[0]) for plan in plan_folds(cohort, [], auxiliary=[unsplit])] == [12] * 3
    kept = changed(lesions, 0, fold="test")
    assert all(0 not in plan.auxiliary[0] for plan in plan_folds(cohort, [], auxiliary=[kept]))


@pytest.mark.parametrize("by", ["group", "content"])
def test_it_shows_no_image_or_patient_that_is_held_out(cohort: Cohort, lesions: Cohort, by: str) -> None:
    unsplit = Cohort.from_rows(lesions.root, lesions.rows.assign(fold=""))
    place = dict.fromkeys(["test", "1"], 0)
    for fold in place:
        place[fold] = int(np.flatnonzero(cohort.rows["fold"] == fold)[0])

    def like(row: int) -> Cohort:
        if by == "group":
            return changed(unsplit, 4, group=cohort.rows["group"].iloc[row])
        copied = cohort.root / cohort.rows["file"].iloc[row]
        (lesions.root / unsplit.rows["file"].iloc[4]).write_bytes(copied.read_bytes())
        return Cohort.from_rows(lesions.root, unsplit.rows)

    plans = plan_folds(cohort, [], auxiliary=[like(place["1"])])
    assert {plan.fold: 4 in plan.auxiliary[0] for plan in plans} == {"0": True, "1": False, "2": True}
    with pytest.raises(UserError, match=r"1 images have the content, .* test fold of .*: black-4\.png"):
        plan_folds(cohort, [], auxiliary=[like(place["test"])])


def test_a_group_named_after_its_file_is_no_patient(cohort: Cohort, lesions: Cohort) -> None:
    tested = cohort.rows.index[cohort.rows["fold"] == "test"][0]
    rows = cohort.rows.copy()
    rows.loc[rows["group"] == rows["group"][tested], "group"] = "black-0.png"
    same_name = Cohort.from_rows(cohort.root, rows)
    assert plan_folds(same_name, [], auxiliary=[changed(lesions, 0, group="black-0.png")])


def test_generated_images_are_no_auxiliary_ones(cohort: Cohort, lesions: Cohort) -> None:
    lesions.rows.loc[0, "source"] = "synthetic"
    with pytest.raises(UserError, match=r"black-0\.png is synthetic.*--synthetic"):
        plan_folds(cohort, [], auxiliary=[lesions])


def test_a_phantom_trained_jointly_with_patients_is_none(
    cohort: Cohort, lesions: Cohort, config: EnsembleTraining, tmp_path: Path
) -> None:
    config = config.model_copy(update={"epochs": 1})
    phantom = Cohort.from_rows(cohort.root, cohort.rows.assign(phantom="true"))
    for extras, expected in (([], True), ([lesions], False)):
        run = RunFolder(tmp_path / str(expected))
        trained = train_ensemble(config, phantom, run, auxiliary=extras, folds=["0"], device="cpu")
        assert trained.metadata.phantom is expected


@pytest.mark.parametrize("cell", ["true", "false"])
def test_a_phantom_trained_on_images_of_a_patients_generator_is_none(
    cohort: Cohort,
    make_synthetic: Callable[..., Cohort],
    config: EnsembleTraining,
    tmp_path: Path,
    cell: str,
) -> None:
    config = config.model_copy(update={"epochs": 1})
    phantom = Cohort.from_rows(cohort.root, cohort.rows.assign(phantom="true"))
    synthetic = make_synthetic([], phantom=cell, trained_on_cohort=phantom.digest)
    run = RunFolder(tmp_path / "run")
    trained = train_ensemble(config, phantom, run, synthetic=[synthetic], folds=["0"], device="cpu")
    assert trained.metadata.phantom is (cell == "true")


def test_every_class_is_seen_in_every_fold(
    cohort: Cohort, lesions: Cohort, config: EnsembleTraining, tmp_path: Path
) -> None:
    rare = changed(lesions, 3, condition="grey")
    with pytest.raises(UserError, match="Fold 0 would train without any image of grey"):
        train_ensemble(config, cohort, RunFolder(tmp_path / "run"), auxiliary=[rare], device="cpu")
    plan = plan_folds(cohort, [], auxiliary=[rare])[0]
    require_every_class("0", [rare], plan.auxiliary, {"grey": "black"})


def test_own_conditions_weigh_more(cohort: Cohort, config: EnsembleTraining) -> None:
    targets = np.eye(5, dtype=np.float32)[np.repeat(np.arange(5), [4, 4, 4, 30, 30])]
    pool = ImagePool([cohort.images(32)], np.zeros((72, 2), np.int64), targets)
    config = config.model_copy(update={"class_balance": 0.0, "own_weight": 5.0})
    trainer = FoldTrainer("0", config, pool, pool, 3, torch.device("cpu"))
    assert trainer.loss.weights.tolist() == [5, 5, 5, 1, 1]


def test_one_softmax_is_trained_and_its_target_conditions_are_evaluated(
    cohort: Cohort, lesions: Cohort, config: EnsembleTraining, tmp_path: Path
) -> None:
    config = config.model_copy(
        # The last epoch: the target conditions are correct before the auxiliary ones are.
        update={"epochs": 6, "patience": None, "augmentation": 0.2, "auxiliary_names": {"white": "pale"}}
    )
    run = RunFolder(tmp_path / "run")
    trained = train_ensemble(config, cohort, run, auxiliary=[lesions], folds=["0"], device="cpu")
    assert trained.conditions == ["blue", "green", "red"] and trained.auxiliary == ["black", "pale"]
    assert trained.metadata.auxiliary_cohorts == [f"lesions {lesions.digest}"]
    assert trained.metadata.scores["0"].training_images == {"real": 36, "synthetic": 0, "auxiliary": 8}
    ensemble = Ensemble.load(run.path / "ensemble.safetensors")
    found = ensemble.predict(lesions.images(32))
    assert found.per_fold.shape == (1, 12, 3) and found.joint is not None and found.joint.shape == (1, 12, 5)
    np.testing.assert_allclose(found.combined.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(found.joint.sum(axis=2), 1, atol=1e-5)
    raw = found.joint[0, :, :3] / found.joint[0, :, :3].sum(axis=1, keepdims=True)
    assert found.uncalibrated is not None
    np.testing.assert_allclose(found.uncalibrated, raw, rtol=1e-3)
    assert np.mean(np.array(found.auxiliary_first) == ["black"] * 6 + ["pale"] * 6) > 0.8
    evaluation = evaluate(ensemble, cohort)
    assert evaluation.confusion.shape == (3, 3) and evaluation.balanced_accuracy.value > 0.8
    assert [name for name in evaluation.table() if name.startswith("joint_")] == [
        f"joint_{name}" for name in ("blue", "green", "red", "black", "pale")
    ]
    with pytest.raises(UserError, match=r"trained or validated on .*lesions|does not know"):
        evaluate(ensemble, lesions, rows="all")

"""The dual-view model: both photographs count, one alone is enough, and its file keeps everything."""

from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError

from morphoscope.classify import Ensemble, evaluate, plan_folds, train_ensemble
from morphoscope.classify.attribution_comparison.comparison import compare_maps
from morphoscope.classify.network.classifier import ConditionClassifier
from morphoscope.classify.network.forward import orientations
from morphoscope.classify.training.transforms import TrainingTransforms
from morphoscope.cohort import Cohort, write_image
from morphoscope.configs import UserError
from morphoscope.configs.attribution import MapComparison, Method
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.runtime import RunFolder
from morphoscope.runtime.torch_checkpoints import read_checkpoint, write_checkpoint

BLUE, RED, GREEN = (60, 70, 200), (200, 60, 60), (70, 190, 60)
# The focused photograph separates a from the others, the panoramic one c: all three need both.
LOOKS = {"a": (BLUE, GREEN), "b": (RED, GREEN), "c": (RED, BLUE)}


def photograph(colour: tuple[int, int, int], random: np.random.Generator) -> np.ndarray:
    return np.clip(np.array(colour) + random.normal(0, 25, (36, 36, 3)), 1, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def paired(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """3 conditions x 16 patients with a pair each, two folds and a test fold; one face."""
    root = tmp_path_factory.mktemp("paired")
    random = np.random.default_rng(0)
    rows = []
    for condition, colours in LOOKS.items():
        for patient in range(16):
            for view, colour in zip(("focused", "panoramic"), colours, strict=True):
                name = f"{condition}-{patient}-{view}.png"
                write_image(root / name, photograph(colour, random))
                rows.append(
                    {"file": name, "condition": condition, "group": f"{condition}{patient}", "view": view}
                )
    write_image(root / "face.png", photograph(GREEN, random))
    rows.append({"file": "face.png", "condition": "a", "group": "a0", "view": "face"})
    Cohort.from_rows(root, pd.DataFrame(rows)).split(folds=2, seed=0, test_fraction=0.25).save()
    return Cohort.load(root)


@pytest.fixture(scope="module")
def dual() -> EnsembleTraining:
    return EnsembleTraining(
        backbone="test_efficientnet",
        resolution=32,
        views="dual",
        weights="none",
        epochs=12,
        batch=4,
        learning_rate=3e-3,
        warmup_epochs=0.5,
        augmentation=0.2,
        patience=12,
    )


@pytest.fixture(scope="module")
def trained(paired: Cohort, dual: EnsembleTraining, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = RunFolder(tmp_path_factory.mktemp("run") / "dual")
    train_ensemble(dual, paired, run, device="cpu")
    return run.path


@pytest.fixture(scope="module")
def ensemble(trained: Path) -> Ensemble:
    return Ensemble.load(trained / "ensemble.safetensors")


def model_of(dual: EnsembleTraining, **changes: object) -> ConditionClassifier:
    torch.manual_seed(0)
    model = ConditionClassifier.pretrained(dual.model_copy(update=changes), 3)
    torch.nn.init.normal_(model.backbone.get_submodule("classifier").weight)  # type: ignore[arg-type]
    return model


def pairs(count: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 3, 32, 64, generator=torch.Generator().manual_seed(seed)).clamp(min=0.01)


class TestModel:
    def test_the_head_reads_both_photographs_of_one_backbone(self, dual: EnsembleTraining) -> None:
        model = model_of(dual).eval()
        images = pairs(2)
        with torch.no_grad():
            logits, features = model.logits_and_features(images)
            torch.testing.assert_close(model(images), logits)
            assert features.shape == (2, model.features)
            left, right = features.chunk(2, dim=1)
            swapped = torch.cat([images[..., 32:], images[..., :32]], dim=3)
            torch.testing.assert_close(model.logits_and_features(swapped)[1], torch.cat([right, left], dim=1))
            for half in (slice(0, 32), slice(32, 64)):
                other = images.clone()
                other[..., half] = pairs(2, seed=1)[..., half]
                assert (model(other) - logits).abs().max() > 0.01

    def test_a_missing_photograph_adds_nothing(self, dual: EnsembleTraining) -> None:
        """It adds nothing to the logits, whatever the backbone makes of black; other pairs change nothing."""
        model = model_of(dual).eval()
        head = model.backbone.get_submodule("classifier")
        images = pairs(3)
        images[1, ..., :32] = 0
        images[2, ..., 32:] = 0
        with torch.no_grad():
            logits, features = model.logits_and_features(images)
            size = model.features // 2
            assert not features[1, :size].any() and not features[2, size:].any() and features[0].all()
            weight, bias = head.weight, head.bias  # type: ignore[union-attr]
            torch.testing.assert_close(logits[1], weight[:, size:] @ features[1, size:] + bias)
            torch.testing.assert_close(model(images[1:2])[0], logits[1])
            both = torch.ones(1, 2, dtype=torch.bool)
            assert not torch.allclose(model.joint(images[1:2], both)[0], logits[1])  # a black photograph

    def test_in_training_one_view_is_dropped_at_the_stated_share(self, dual: EnsembleTraining) -> None:
        model = model_of(dual, view_dropout=0.4)
        kept = model._some_dropped(torch.ones(20_000, 2, dtype=torch.bool))
        assert kept.any(dim=1).all()
        np.testing.assert_allclose((~kept).double().mean(dim=0), [0.2, 0.2], atol=0.01)
        batches = [model._some_dropped(torch.ones(3, 2, dtype=torch.bool)) for _ in range(500)]
        lost = [int((~batch).sum()) for batch in batches]
        assert set(lost) == {1, 2} and np.mean(lost) == pytest.approx(1.2, abs=0.1)
        half = torch.tensor([[True, False]]).expand(100, 2)
        assert torch.equal(model._some_dropped(half), half)  # the only photograph stays
        model.eval()
        assert model._some_dropped(torch.ones(100, 2, dtype=torch.bool)).all()

    def test_missing_photographs_leave_the_batch_statistics_alone(self, dual: EnsembleTraining) -> None:
        images = pairs(4)
        images[..., 32:] = 0
        models = [model_of(dual), model_of(dual, views="single")]
        for model, shown in zip(models, (images, images[..., :32]), strict=True):
            model.train().joint(shown)
        means = [model.state_dict()["backbone.bn1.running_mean"] for model in models]
        torch.testing.assert_close(*means)

    @pytest.mark.parametrize("backbone", ["test_convnext2", "test_vit"])
    def test_backbones_of_any_family(self, dual: EnsembleTraining, backbone: str) -> None:
        config = dual.model_copy(update={"backbone": backbone, "resolution": 64})
        model = ConditionClassifier.pretrained(config, 3, auxiliary=1)
        images = torch.rand(2, 3, 64, 128)
        assert model.joint(images).shape == (2, 4) and model(images).shape == (2, 3)
        groups = model.parameter_groups(0.05, 0.5)
        assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))

    def test_two_heads_are_refused(self, dual: EnsembleTraining) -> None:
        config = dual.model_copy(update={"backbone": "deit_tiny_distilled_patch16_224", "resolution": 224})
        with pytest.raises(UserError, match="one linear layer"):
            ConditionClassifier(config, 3)


def test_photographs_of_different_views_are_not_mixed(dual: EnsembleTraining) -> None:
    for key in ("mixup", "cutmix"):
        with pytest.raises(ValidationError, match="mixup, cutmix: not with views"):
            EnsembleTraining(**{**dual.model_dump(), key: 0.2})


def test_orientations_turn_each_photograph_in_its_place() -> None:
    image = torch.arange(3 * 4 * 8.0).reshape(1, 3, 4, 8)
    left, right = orientations(image[..., :4], 8), orientations(image[..., 4:], 8)
    for turned, *halves in zip(orientations(image, 8), left, right, strict=True):
        assert torch.equal(turned, torch.cat(halves, dim=3))


def test_transforms_are_drawn_for_each_photograph_and_leave_a_missing_one_black() -> None:
    image = np.random.default_rng(0).integers(1, 256, (32, 32, 3), dtype=np.uint8)
    transforms = TrainingTransforms(1.0)
    found = transforms(np.hstack([image, image]), 3)
    assert found.shape == (32, 64, 3) and found.dtype == np.uint8
    np.testing.assert_array_equal(found[:, :32], transforms(image, 3))
    assert (found[:, :32] != found[:, 32:]).any()
    for index in range(20):
        assert not transforms(np.hstack([np.zeros_like(image), image]), index)[:, :32].any()


class TestPlans:
    def test_rows_are_of_both_views_and_groups_stay_together(self, paired: Cohort) -> None:
        plans = plan_folds(paired, [], dual=True)
        for plan in plans:
            chosen = paired.rows.iloc[[*plan.training, *plan.validation]]
            assert set(chosen["view"]) == {"focused", "panoramic"} and "test" not in set(chosen["fold"])
            groups = [set(paired.rows["group"].iloc[rows]) for rows in (plan.training, plan.validation)]
            assert groups[0].isdisjoint(groups[1])

    def test_a_fold_without_a_pair_is_named(self, paired: Cohort) -> None:
        lonely = (paired.rows["fold"] == "1") & (paired.rows["view"] == "panoramic")
        with pytest.raises(UserError, match=r"no focused and panoramic image .* to train fold 0 on"):
            plan_folds(Cohort.from_rows(paired.root, paired.rows[~lonely]), [], dual=True)
        with pytest.raises(UserError, match="to validate fold 1 on"):
            plan_folds(Cohort.from_rows(paired.root, paired.rows[~lonely]), [], folds=["1"], dual=True)
        faces = paired.rows.assign(view=paired.rows["view"].mask(paired.rows["fold"] == "1", "face"))
        for fold, purpose in (("0", "to train fold 0 on"), ("1", "to validate fold 1 on")):
            with pytest.raises(UserError, match=f"no focused and panoramic image .* {purpose}"):
                plan_folds(Cohort.from_rows(paired.root, faces), [], folds=[fold], dual=True)

    def test_a_single_view_is_refused(self, paired: Cohort, dual: EnsembleTraining, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="leave out --view focused"):
            train_ensemble(dual, paired, RunFolder(tmp_path / "run"), device="cpu", view="focused")


def test_three_conditions_need_both_photographs(ensemble: Ensemble, paired: Cohort) -> None:
    assert ensemble.dual
    whole = evaluate(ensemble, paired)
    assert whole.balanced_accuracy.value >= 0.9 and len(whole.files) == 12
    assert whole.facts.samples == "pairs"
    focused, panoramic = (evaluate(ensemble, paired, view=view) for view in ("focused", "panoramic"))
    assert list(focused.files) == list(whole.files) and list(panoramic.files) == list(whole.partners)
    assert focused.recall["a"].value >= 0.75 and panoramic.recall["c"].value >= 0.75
    for one, others in ((focused, "bc"), (panoramic, "ab")):  # the rest is a guess
        assert np.mean([one.recall[name].value for name in others]) <= 0.6
        assert one.facts.samples == "images" and one.partners is None
    with pytest.raises(UserError, match="view 'face'"):
        evaluate(ensemble, paired, "out_of_fold", view="face")


def test_out_of_fold_predictions_name_both_files(trained: Path, paired: Cohort) -> None:
    table = pd.read_csv(trained / "out_of_fold" / "probabilities.csv")
    assert len(table) == 36
    names = table["file"].str.replace("focused", "panoramic")
    assert (names == table["partner"]).all()
    assert set(table["file"]) == set(
        paired.rows["file"][(paired.rows["fold"] != "test") & (paired.rows["view"] == "focused")]
    )


def test_calibration_is_that_of_the_photographs_present(ensemble: Ensemble, paired: Cohort) -> None:
    """A single photograph is neither called novel for its missing half nor as certain as a pair."""
    assert set(ensemble.calibrations) == {"whole", "focused", "panoramic"}
    forms = {"whole": None, "focused": "focused", "panoramic": "panoramic"}
    for rows in ("test", "out_of_fold"):
        found = [evaluate(ensemble, paired, rows, view=view).facts.calibration for view in forms.values()]
        assert found == [ensemble.calibrations[form].summary for form in forms]
        assert len({summary.temperature for summary in found}) == 3
    mixed = [evaluate(ensemble, paired, view=view) for view in forms.values()]
    for evaluation in mixed:
        assert evaluation.prediction.novel is not None
        assert evaluation.prediction.novel.mean() <= 0.25
        assert evaluation.coverage is not None and evaluation.coverage.overall.coverage.value >= 0.75
    said = [evaluation.prediction.prediction_sets.sum(axis=1).mean() for evaluation in mixed]
    assert said[0] < min(said[1:])
    # In one call as by themselves, each form by its own calibration.
    images = paired.images(32)
    together = [
        ensemble.pair(images[0], images[1]),
        ensemble.pair(images[0], None),
        ensemble.pair(None, images[1]),
    ]
    joint = ensemble.predict(together)
    for index, pair in enumerate(together):
        alone = ensemble.predict([pair])
        np.testing.assert_allclose(joint.combined[index], alone.combined[0], atol=1e-6)
        np.testing.assert_allclose(joint.novelty[index], alone.novelty[0], atol=1e-6)
        assert (joint.prediction_sets[index] == alone.prediction_sets[0]).all()
        assert joint.novel[index] == alone.novel[0]


def test_a_file_keeps_calibrations_and_weights(ensemble: Ensemble, paired: Cohort, tmp_path: Path) -> None:
    path = tmp_path / "e.safetensors"
    ensemble.save(path)
    images = paired.images(32)
    shown = [ensemble.pair(images[0], images[1]), ensemble.pair(None, images[3])]
    before, after = ensemble.predict(shown), Ensemble.load(path).predict(shown)
    for name in ("per_fold", "combined", "prediction_sets", "novelty", "novel"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))
    eight = Ensemble.load(path, test_time=8)
    assert not eight.calibrations and eight.predict(shown).novel is None

    tensors, metadata = read_checkpoint(path, "ensemble")
    damaged = {
        "halves": {**metadata, "half_calibrations": None},
        "single": {**metadata, "config": {**metadata["config"], "views": "single"}},
    }
    for name, facts in damaged.items():
        write_checkpoint(tmp_path / name, "ensemble", tensors, facts)
        with pytest.raises(UserError, match=r"damaged calibration|does not fit"):
            Ensemble.load(tmp_path / name)


def test_pairs_are_made_of_photographs_of_any_size(ensemble: Ensemble) -> None:
    random = np.random.default_rng(0)
    tall, wide = (random.integers(0, 256, shape, dtype=np.uint8) for shape in ((90, 40, 3), (50, 70, 3)))
    pair = ensemble.pair(tall, wide)
    assert pair.shape == (32, 64, 3) and pair.dtype == np.uint8
    np.testing.assert_array_equal(
        ensemble.pair(tall, None), np.hstack([pair[:, :32], np.zeros_like(pair[:, :32])])
    )
    with pytest.raises(UserError, match="focused or a panoramic"):
        ensemble.pair(None, None)
    for wrong in (tall, pair[:, :32], np.zeros_like(pair), pair.astype(np.float32)):
        with pytest.raises(UserError, match="takes pairs"):
            ensemble.predict([wrong])


@pytest.mark.parametrize("method", get_args(Method))
def test_evidence_lies_in_the_photographs_that_are_present(
    ensemble: Ensemble, paired: Cohort, method: Method
) -> None:
    images = paired.images(32)
    steps = {"steps": 32, "samples": 4} if method != "gradcam" else {}
    whole = ensemble.attribute(ensemble.pair(images[0], images[1]), "a", method, **steps)
    assert whole.map.shape == (32, 64) and whole.per_fold.shape == (2, 32, 64)
    assert whole.map[:, :32].any()
    for pair, there in (
        (ensemble.pair(images[0], None), slice(0, 32)),
        (ensemble.pair(None, images[1]), slice(32, 64)),
    ):
        found = ensemble.attribute(pair, "a", method, **steps)
        missing = found.map.copy()
        missing[:, there] = 0
        assert np.abs(missing).max() < 1e-6
        if found.difference is not None:
            assert found.map.sum() == pytest.approx(found.difference, abs=0.02)


def test_maps_are_not_compared_on_pairs(ensemble: Ensemble, paired: Cohort) -> None:
    with pytest.raises(UserError, match="takes pairs"):
        compare_maps(ensemble, paired, MapComparison())


def test_synthetic_images_must_be_focused_or_panoramic(
    paired: Cohort, dual: EnsembleTraining, tmp_path: Path
) -> None:
    rows = pd.DataFrame(
        {
            "file": [f"{i}.png" for i in range(6)],
            "condition": "a",
            "source": "synthetic",
            "generator": "feedc0de",
        }
    ).assign(seed="1", psi="1", label="{}", trained_on_folds='["1"]', trained_on_cohort=paired.digest)
    for name in rows["file"]:
        write_image(tmp_path / "synthetic" / name, photograph(BLUE, np.random.default_rng(0)))
    config = dual.model_copy(update={"epochs": 1})
    run = RunFolder(tmp_path / "run")
    other = Cohort.from_rows(tmp_path / "synthetic", rows)
    with pytest.raises(UserError, match="6 images are neither focused nor panoramic"):
        train_ensemble(config, paired, run, synthetic=[other], folds=["0"], device="cpu")
    focused = Cohort.from_rows(tmp_path / "synthetic", rows.assign(view="focused"))
    ensemble = train_ensemble(config, paired, run, synthetic=[focused], folds=["0"], device="cpu")
    assert ensemble.metadata.scores["0"].training_images == {"real": 36, "synthetic": 6}

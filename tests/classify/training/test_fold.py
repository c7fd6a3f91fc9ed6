"""Training of one fold: exact resuming, and the effect of each option on a step."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from morphoscope.classify.network.classifier import ConditionClassifier
from morphoscope.classify.training import fold
from morphoscope.classify.training.fold import FoldState, FoldTrainer, half_precision
from morphoscope.classify.training.pool import ImagePool, class_targets
from morphoscope.classify.training.schedule import learning_rate
from morphoscope.cohort import Cohort
from morphoscope.configs import UserError
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.runtime.torch_checkpoints import read_state, write_state

CPU = torch.device("cpu")
OPTIONS = {
    "label smoothing": {"label_smoothing": 0.1},
    "effective numbers": {"balance": "effective", "balance_beta": 0.9},
    "mixup": {"mixup": 0.4},
    "cutmix": {"cutmix": 1.0},
    "running mean": {"ema_decay": 0.8},
    "layer decay": {"layer_decay": 0.7},
    "micro-batches": {"micro_batch": 3},
    "bfloat16": {"precision": "bfloat16"},
    "float16": {"precision": "float16"},
}
EVERY_OPTION = {key: value for option in OPTIONS.values() for key, value in option.items()}


class StopAfter:
    """An interruption and a listener: requests a stop after `steps` steps, and calls `watch` after each."""

    def __init__(self, steps: int = -1, watch: Callable[[], None] = lambda: None) -> None:
        self.left, self.requested, self.epochs, self.watch = steps, False, 0, watch
        self.begun = -1

    def step(self, done: int, total: int, epoch: int) -> None:
        assert 0 < done <= total
        self.watch()
        self.left -= 1
        self.requested = self.left == 0

    def begin(self, fold: str, epoch: int) -> None:
        self.begun = epoch

    def epoch(self, fold: str, epoch: int, **values: float) -> None:
        self.epochs += 1


@pytest.fixture(scope="module")
def pools(cohort: Cohort) -> tuple[ImagePool, ImagePool]:
    """36 images for training, of which red ones are fewer, and 12 for validation."""
    images, targets = cohort.images(32), class_targets(cohort, cohort.conditions)
    scarce = [row for row in range(0, 72, 2) if row < 60]
    return (
        ImagePool.of([(images, targets, np.array(scarce))]),
        ImagePool.of([(images, targets, np.arange(1, 72, 6))]),
    )


Make = Callable[..., FoldTrainer]


@pytest.fixture
def make(config: EnsembleTraining, pools: tuple[ImagePool, ImagePool]) -> Make:
    """A trainer of fold 1 with changes to the settings."""

    def trainer(training: ImagePool = pools[0], **changes: object) -> FoldTrainer:
        return FoldTrainer(
            "1", EnsembleTraining(**{**config.model_dump(), **changes}), training, pools[1], 3, CPU
        )

    return trainer


def fit(trainer: FoldTrainer, path: Path, listener: StopAfter | None = None) -> FoldState:
    listener = listener or StopAfter()
    return trainer.fit(path, listener, listener)  # type: ignore[arg-type]


def gradients(trainer: FoldTrainer, tmp_path: Path) -> dict[str, Tensor]:
    """Those of the only step of a trainer whose batch holds all images."""
    state_file = tmp_path / f"{len(list(tmp_path.iterdir()))}.pt"  # new: an existing one would be resumed
    fit(trainer, state_file)
    return {name: p.grad for name, p in trainer.model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("changes", [{}, EVERY_OPTION], ids=["plain", "every option"])
@pytest.mark.parametrize("steps", [4, 6], ids=["at the end of an epoch", "within an epoch"])
def test_resumed_training_equals_uninterrupted(
    make: Make,
    changes: dict[str, object],
    steps: int,
    workers: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = fit(make(**changes), tmp_path / "whole.pt")
    monkeypatch.setattr(fold, "worker_count", lambda _: workers)
    with pytest.raises(KeyboardInterrupt, match=r"^Stopped in fold 1 after epoch 1 of 3\.$"):
        fit(make(**changes), tmp_path / "cut.pt", StopAfter(steps))  # 4 steps per epoch
    assert not multiprocessing.active_children()
    again = StopAfter()
    resumed = fit(make(**changes), tmp_path / "cut.pt", again)
    assert again.begun == 1 and again.epochs == 2
    assert (resumed.kept_epoch, resumed.kept_score) == (whole.kept_epoch, whole.kept_score)
    for name, value in whole.kept_weights.items():
        assert torch.equal(value, resumed.kept_weights[name]), name
    files = [torch.load(tmp_path / name, weights_only=True) for name in ("whole.pt", "cut.pt")]
    for kind in ("model", "average"):
        for name, value in (files[0][kind] or {}).items():
            assert torch.equal(value, files[1][kind][name]), (kind, name)


@pytest.mark.parametrize(("patience", "epochs", "kept"), [(2, 4, 2), (9, 5, 2), (None, 5, 5)])
def test_patience_keeps_the_best_epoch_and_none_the_last(
    make: Make, patience: int | None, epochs: int, kept: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.4, 0.8, 0.7, 0.8, 0.6])
    monkeypatch.setattr(fold, "mean_recall", lambda truth, said: next(scores))
    trainer = make(epochs=5, patience=patience)
    state = fit(trainer, tmp_path / "state.pt")
    assert (state.epoch, state.kept_epoch + 1) == (epochs, kept)
    assert state.kept_score == {2: 0.8, 5: 0.6}[kept]
    last = trainer.model.state_dict()
    same = all(torch.equal(value, last[name]) for name, value in state.kept_weights.items())
    assert same == (kept == epochs)


@pytest.mark.parametrize("shown", [5, 20, 50])
def test_an_epoch_shows_each_image_equally_often(shown: int) -> None:
    batches = fold._batches(20, 8, 0, shown)
    sizes, images = [len(batch) for batch in batches], np.concatenate(batches)
    assert sum(sizes) == shown and max(sizes) <= 8 and max(sizes) - min(sizes) <= 1
    assert len(set(images.tolist())) == shown, "repeated images have transforms of their own"
    times = np.bincount(images % 20, minlength=20)
    assert times.max() - times.min() <= 1


@pytest.mark.parametrize("batch", [8, 36], ids=["seen in the loss", "seen in validation"])
def test_divergence_is_reported_and_keeps_the_last_good_epoch(make: Make, batch: int, tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    fit(make(epochs=1), path)
    before, listener = path.read_bytes(), StopAfter()
    with pytest.raises(UserError, match=r"Fold 1 diverged in epoch 2: .*learning_rate.*1e\+30") as raised:
        fit(make(epochs=3, batch=batch, learning_rate=1e30), path, listener)
    assert listener.epochs == 0 and path.read_bytes() == before
    assert "precision" not in str(raised.value)
    with pytest.raises(UserError, match=r"diverged in epoch 1: .*precision=float32 instead of bfloat16"):
        fit(make(batch=batch, learning_rate=1e30, precision="bfloat16"), tmp_path / "other.pt")
    assert not (tmp_path / "other.pt").exists()


def test_a_step_that_float16_skipped_is_no_divergence(make: Make, tmp_path: Path) -> None:
    trainer, step = make(epochs=1, precision="float16"), FoldTrainer._train_step
    taken: list[tuple[float, int]] = []

    def first_overflows(images: np.ndarray, shares: np.ndarray) -> Tensor:
        loss = step(trainer, images, shares) * (1 if taken else torch.inf)
        taken.append((float(loss), len(images)))
        return loss

    trainer._train_step = first_overflows  # type: ignore[method-assign]
    losses: list[float] = []
    listener = StopAfter()
    listener.epoch = lambda fold, epoch, **values: losses.append(values["loss"])  # type: ignore[method-assign]
    fit(trainer, tmp_path / "state.pt", listener)
    images = sum(count for _, count in taken[1:])
    assert losses == [pytest.approx(sum(loss * count for loss, count in taken[1:]) / images)]
    trainer.scaler = torch.amp.GradScaler("cpu", enabled=False)
    assert not np.isfinite(trainer._mean_loss(np.array([1.0, np.inf]), [9, 9]))


def test_a_damaged_state_is_named(make: Make, tmp_path: Path) -> None:
    fit(make(epochs=1), tmp_path / "state.pt")
    with pytest.raises(UserError, match=r"state\.pt: .*damaged, or of another version; delete it"):
        fit(make(epochs=1, ema_decay=0.9), tmp_path / "state.pt")  # has no running mean
    (tmp_path / "state.pt").write_bytes((tmp_path / "state.pt").read_bytes()[:5000])
    with pytest.raises(UserError, match=r"state\.pt: .*damaged.*delete it"):
        fit(make(epochs=1), tmp_path / "state.pt")


def test_a_state_does_not_say_how_this_device_makes_its_steps(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    fit(make(epochs=1), path)
    state = read_state(path)
    for group in state["optimizer"]["param_groups"]:
        assert group["fused"] is None
        group["fused"] = True  # as on a GPU
    write_state(path, state)
    trainer, again = make(epochs=2), StopAfter()
    fit(trainer, path, again)
    assert again.epochs == 1
    assert {group["fused"] for group in trainer.optimizer.param_groups} == {None}


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_is_wired(make: Make, option: str, tmp_path: Path) -> None:
    plain = fit(make(epochs=1), tmp_path / "plain.pt").kept_weights
    other = fit(make(epochs=1, **OPTIONS[option]), tmp_path / "other.pt").kept_weights
    name = "backbone.conv_stem.weight"
    assert not torch.equal(plain[name], other[name])
    torch.testing.assert_close(plain[name], other[name], atol=0.05, rtol=0)


def test_the_running_mean_is_kept_and_validated(make: Make, tmp_path: Path) -> None:
    trainer = make(epochs=1, ema_decay=0.6)
    seen: list[dict[str, Tensor]] = []
    watch = lambda: seen.append({k: v.clone() for k, v in trainer.model.state_dict().items()})  # noqa: E731
    state = fit(trainer, tmp_path / "state.pt", StopAfter(watch=watch))
    # Step n holds on to min(0.6, 1 - n^(-2/3)): 0, 0.370, 0.519, 0.6.
    for name in ("backbone.conv_stem.weight", "backbone.bn1.running_var", "backbone.classifier.bias"):
        mean = seen[0][name]
        for step in (2, 3, 4):
            mean = torch.lerp(seen[step - 1][name], mean, min(0.6, 1 - step ** (-2 / 3)))
        torch.testing.assert_close(state.kept_weights[name], mean, atol=1e-6, rtol=1e-5)
        assert not torch.equal(state.kept_weights[name], seen[3][name])
    model = ConditionClassifier(trainer.config, 3)
    model.load_state_dict(state.kept_weights)
    images = np.stack([trainer.validation.image(i) for i in range(len(trainer.validation))])
    with torch.inference_mode():
        found = model.eval()(torch.from_numpy(images).permute(0, 3, 1, 2) / 255).argmax(dim=1).numpy()
    recalls = [(found == k)[trainer.validation.labels == k].mean() for k in range(3)]
    assert state.kept_score == pytest.approx(np.mean(recalls))


def test_frozen_stages_stay_in_the_running_mean(make: Make, tmp_path: Path) -> None:
    torch.manual_seed(5)
    first = make().model
    torch.save(first.backbone.state_dict(), tmp_path / "first.pth")
    frozen = make(ema_decay=0.9, epochs=1, weights_file=tmp_path / "first.pth", freeze_stages=3)
    kept = fit(frozen, tmp_path / "state.pt").kept_weights
    for name, value in first.state_dict().items():
        if name.startswith(("backbone.conv_stem", "backbone.bn1", "backbone.blocks.0")):
            assert torch.equal(kept[name], value), name
    assert not torch.equal(kept["backbone.bn2.running_mean"], first.state_dict()["backbone.bn2.running_mean"])


@pytest.mark.parametrize("micro_batch", [7, 12])
def test_micro_batches_add_up_to_the_batch(make: Make, micro_batch: int, tmp_path: Path) -> None:
    # A backbone without batch statistics; without dropout, whose draws depend on the shapes.
    parts = {"backbone": "test_convnext2", "epochs": 1, "batch": 36, "dropout": 0.0, "class_balance": 1.0}
    whole = gradients(make(**parts), tmp_path)
    summed = gradients(make(**parts, micro_batch=micro_batch), tmp_path)
    for name, gradient in whole.items():
        torch.testing.assert_close(summed[name], gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_is_close_to_float32(make: Make, precision: str, tmp_path: Path) -> None:
    parts = {"epochs": 1, "batch": 36, "dropout": 0.0}
    full = gradients(make(**parts), tmp_path)["backbone.classifier.weight"]
    half = gradients(make(**parts, precision=precision), tmp_path)["backbone.classifier.weight"]
    assert full.norm() * 1e-6 < (half - full).norm() < full.norm() * 0.05


def test_float16_leaves_out_steps_whose_gradients_overflow(make: Make, tmp_path: Path) -> None:
    trainer = make(epochs=1, batch=36, precision="float16")
    trainer.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)
    before = trainer.model.backbone.get_submodule("classifier").weight.detach().clone()
    after = fit(trainer, tmp_path / "state.pt").kept_weights["backbone.classifier.weight"]
    assert torch.equal(before, after)
    assert trainer.scaler.get_scale() == 2.0**39


def test_auto_is_float32_on_a_cpu() -> None:
    assert half_precision("auto", CPU) is None
    assert half_precision("float32", torch.device("cuda")) is None
    assert half_precision("float16", torch.device("cuda")) is torch.float16


def test_soft_targets_pull_towards_their_shares(
    make: Make, pools: tuple[ImagePool, ImagePool], tmp_path: Path
) -> None:
    shares = np.array([0.6, 0.3, 0.1], np.float32)
    mixed = ImagePool(pools[0].arrays, pools[0].rows, np.tile(shares, (len(pools[0]), 1)))
    trainer = make(mixed, epochs=1, batch=36, class_balance=0.0, dropout=0.0)
    slope = gradients(trainer, tmp_path)["backbone.classifier.bias"]
    np.testing.assert_allclose(slope, 1 / 3 - shares, atol=0.02)  # the head starts at even probabilities


def test_layers_learn_at_their_own_rates(make: Make, tmp_path: Path) -> None:
    trainer = make(epochs=1, layer_decay=0.5)
    rates: list[list[float]] = []
    watch = lambda: rates.append([group["lr"] for group in trainer.optimizer.param_groups])  # noqa: E731
    fit(trainer, tmp_path / "state.pt", StopAfter(watch=watch))
    scales = [group["lr_scale"] for group in trainer.optimizer.param_groups]
    assert max(scales) == 1
    for step, found in enumerate(rates):
        np.testing.assert_allclose(found, learning_rate(trainer.settings, (step + 1) / 4) * np.array(scales))


@pytest.mark.parametrize("backbone", ["test_convnext2", "test_vit", "test_resnet"])
def test_any_backbone_learns(make: Make, backbone: str, tmp_path: Path) -> None:
    state = fit(make(backbone=backbone, epochs=8, augmentation=0.2, layer_decay=0.9), tmp_path / "state.pt")
    assert state.kept_score >= 0.9


def test_too_little_memory_suggests_micro_batches(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(ConditionClassifier, "joint", full)
    with pytest.raises(UserError, match=r"8 images of 32 px at once .*micro_batch=4 .* uses 8 images"):
        fit(make(), tmp_path / "state.pt")
    with pytest.raises(UserError, match=r"5 images of 32 px at once .*micro_batch=2"):
        fit(make(micro_batch=5), tmp_path / "state.pt")


@pytest.mark.parametrize("requested", [False, True], ids=["out of memory", "by a scheduler that stops all"])
def test_killed_workers_end_a_training(
    make: Make, requested: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(fold, "worker_count", lambda _: 2)
    listener = StopAfter()

    def kill() -> None:
        for child in multiprocessing.active_children():
            with suppress(ProcessLookupError):  # the pool was faster
                os.kill(child.pid or 0, signal.SIGTERM)
        listener.requested = requested

    listener.step = lambda done, total, epoch: kill()  # type: ignore[method-assign]
    with pytest.raises(
        KeyboardInterrupt if requested else UserError,
        match=r"during the first epoch of 50|Re-run the command",
    ):
        fit(make(epochs=50), tmp_path / "state.pt", listener)
    assert not multiprocessing.active_children()


def test_micro_batches_larger_than_the_batch_are_refused(config: EnsembleTraining) -> None:
    with pytest.raises(ValueError, match="micro_batch: 9 images are more than the batch of 8"):
        EnsembleTraining(**{**config.model_dump(), "micro_batch": 9})


def test_the_published_rule_counts_auxiliary_classes_as_wrong_answers() -> None:
    truth = np.array([0, 0, 1, 1])
    assert fold.mean_recall(truth, np.array([0, 0, 1, 0])) == pytest.approx(0.75)
    assert fold.mean_recall(truth, np.array([0, 2, 1, 2])) == pytest.approx(0.5)  # 2 is auxiliary

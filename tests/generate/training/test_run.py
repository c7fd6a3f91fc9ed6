"""Training: its mathematics, exact resume, and what it refuses."""

import json
import shutil
import signal

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from morphoscope.configs import UserError
from morphoscope.generate import load, train_generator
from morphoscope.generate.training.losses import discriminator_loss, generator_loss, r1_penalty
from morphoscope.generate.training.preparation import training_part
from morphoscope.generate.training.trainer import GeneratorTrainer
from morphoscope.ops.runtime import Processes, RunFolder


def make_trainer(config, cohort, **settings):
    config = config.model_copy(update=settings).resolved()
    images, labels = cohort.images(config.resolution), cohort.labels
    return GeneratorTrainer(config, images, labels, cohort.conditions, Processes(torch.device("cpu")))


@pytest.fixture
def trainer(tiny_config, tiny_cohort):
    return make_trainer(tiny_config, tiny_cohort)


def flat(module):
    return torch.cat([tensor.flatten() for tensor in module.state_dict().values()])


def test_losses_have_their_closed_form():
    logits = torch.tensor([[0.0], [2.0]])
    expected = (np.log(2) + np.log1p(np.exp(-2))) / 2
    assert generator_loss(logits).item() == pytest.approx(expected, rel=1e-6)
    assert discriminator_loss(logits, -logits).item() == pytest.approx(2 * expected, rel=1e-6)


def test_r1_is_the_squared_gradient_norm_per_image():
    images = torch.randn(3, 1, 4, 4, requires_grad=True)
    logits = (images.square().sum(dim=[1, 2, 3]) / 2)[:, None]  # gradient = the image itself
    torch.testing.assert_close(r1_penalty(logits, images), images.square().sum(dim=[1, 2, 3]))


def test_lazy_regularisation_corrects_rate_and_betas(trainer):
    group = trainer.G_opt.param_groups[0]
    assert group["lr"] == pytest.approx(trainer.config.lr * 2 / 3)
    assert group["betas"] == pytest.approx((0.0, 0.99 ** (2 / 3)))


def test_average_follows_the_half_life(trainer):
    trainer.images_seen = 10**9  # past the ramp-up
    with torch.no_grad():
        for parameter in trainer.G.parameters():
            parameter.fill_(1.0)
        for parameter in trainer.G_ema.parameters():
            parameter.fill_(0.0)
    trainer._update_average()
    beta = 0.5 ** (trainer.config.batch / (trainer.config.ema_kimg * 1000))
    assert next(trainer.G_ema.parameters()).flatten()[0].item() == pytest.approx(1 - beta, rel=1e-4)


def test_iteration_changes_both_networks_and_reports_finite_figures(trainer):
    before = flat(trainer.G).clone(), flat(trainer.D).clone()
    stats = trainer.iterate()
    assert not torch.equal(before[0], flat(trainer.G))
    assert not torch.equal(before[1], flat(trainer.D))
    assert {"loss_G", "loss_D", "path_length", "r1"} <= stats.keys()
    assert all(value.isfinite() for value in stats.values())


def test_freeze_d_keeps_the_first_layers(tiny_config, tiny_cohort):
    trainer = make_trainer(tiny_config, tiny_cohort, freeze_d=2)
    before = {name: tensor.clone() for name, tensor in trainer.D.named_parameters()}
    trainer.iterate()
    kept = {name for name, tensor in trainer.D.named_parameters() if torch.equal(before[name], tensor)}
    assert {"b16.fromrgb.weight", "b16.fromrgb.bias", "b16.conv0.weight", "b16.conv0.bias"} <= kept
    assert "b16.conv1.weight" not in kept


def test_interrupted_and_resumed_equals_uninterrupted(
    tiny_config, tiny_cohort, tiny_run, tmp_path, monkeypatch
):
    """A run cut in the middle of a tick goes on bit for bit."""
    run = RunFolder(tmp_path / "run")
    original = GeneratorTrainer.iterate
    calls = []

    def stop_at_fifth(self):
        calls.append(1)
        if len(calls) == 5:
            signal.raise_signal(signal.SIGTERM)
        return original(self)

    with monkeypatch.context() as patch:
        patch.setattr(GeneratorTrainer, "iterate", stop_at_fifth)
        with pytest.raises(KeyboardInterrupt):
            train_generator(tiny_config, tiny_cohort, run, exclude_folds=["2"])
    assert len(calls) == 5
    train_generator(tiny_config, tiny_cohort, run, exclude_folds=["2"])
    cut, whole = (torch.load(r.path / "training-state.pt", weights_only=True) for r in (run, tiny_run))
    for name in ("G", "D", "G_ema"):
        for key, tensor in whole[name].items():
            assert torch.equal(cut[name][key], tensor), f"{name}.{key}"
    assert cut["ada"] == whole["ada"]
    assert torch.equal(cut["pl_mean"], whole["pl_mean"])


def test_resuming_from_a_scheduled_snapshot_equals_going_on(
    tiny_config, tiny_cohort, tmp_path, monkeypatch, assert_same_state
):
    """What is done for a snapshot must not move the random numbers of the run that goes on."""
    run, copy = RunFolder(tmp_path / "run"), tmp_path / "copy"
    original = GeneratorTrainer.iterate

    def copy_after_the_snapshot(self):
        if self.images_seen == 24:
            shutil.copytree(run.path, copy)
        return original(self)

    with monkeypatch.context() as patch:
        patch.setattr(GeneratorTrainer, "iterate", copy_after_the_snapshot)
        train_generator(tiny_config, tiny_cohort, run, exclude_folds=["2"])
    assert torch.load(copy / "training-state.pt", weights_only=True)["images_seen"] == 24
    torch.rand(7)  # a resumed run is another process, whose random numbers stand elsewhere
    train_generator(tiny_config, tiny_cohort, RunFolder(copy), exclude_folds=["2"])
    whole, resumed = (
        torch.load(folder / "training-state.pt", weights_only=True) for folder in (run.path, copy)
    )
    assert_same_state(whole, resumed)


def test_finished_training_is_left_as_it_is(tiny_config, tiny_cohort, tiny_run):
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in tiny_run.path.iterdir()}
    path = train_generator(tiny_config, tiny_cohort, tiny_run, exclude_folds=["2"])
    assert path == max(tiny_run.path.glob("snapshot-*.safetensors"))
    after = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in tiny_run.path.iterdir()}
    assert before == after


@pytest.mark.parametrize("missing", ["metadata", "G", "G_opt", "ada", "iteration", "images_seen"])
def test_state_that_lacks_something_is_named(tiny_config, tiny_cohort, tiny_run, tmp_path, missing):
    state = torch.load(tiny_run.path / "training-state.pt", weights_only=True)
    del state[missing]
    torch.save(state, tmp_path / "training-state.pt")
    with pytest.raises(UserError, match=r"training-state\.pt.*damaged"):
        train_generator(tiny_config, tiny_cohort, RunFolder(tmp_path), exclude_folds=["2"])


def test_run_folder_holds_what_the_spec_names(tiny_run):
    names = {path.name for path in tiny_run.path.iterdir()}
    assert {"config.yaml", "stats.jsonl", "reals.png", "training-state.pt", "fakes000000.png"} <= names
    lines = [json.loads(line) for line in (tiny_run.path / "stats.jsonl").read_text().splitlines()]
    assert lines[-1]["kimg"] == pytest.approx(0.04)
    assert [line["kimg"] for line in lines] == sorted(line["kimg"] for line in lines)


def test_another_config_in_the_same_run_folder_is_refused(tiny_config, tiny_cohort, tiny_run):
    other = tiny_config.model_copy(update={"gamma": 3.0})
    with pytest.raises(UserError, match="another config"):
        train_generator(other, tiny_cohort, tiny_run, exclude_folds=["2"])


def test_damaged_state_is_named(tiny_config, tiny_cohort, tmp_path):
    (tmp_path / "training-state.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(UserError, match=r"training-state\.pt"):
        train_generator(tiny_config, tiny_cohort, RunFolder(tmp_path))


def test_test_fold_and_excluded_folds_are_left_out(tiny_cohort):
    part = training_part(tiny_cohort, ["1"])
    assert set(part.rows["fold"]) == {"0", "2"}
    assert part.conditions == tiny_cohort.conditions


def test_unknown_fold_is_refused(tiny_cohort):
    with pytest.raises(UserError, match="no fold 7"):
        training_part(tiny_cohort, ["7"])


def test_rows_without_folds_are_refused(tiny_cohort):
    rows = tiny_cohort.rows.assign(fold="")
    with pytest.raises(UserError, match="cohort split"):
        training_part(type(tiny_cohort).from_rows(tiny_cohort.root, rows), [])


def test_condition_without_training_images_is_named(tiny_cohort):
    with pytest.raises(UserError, match="no training image of dark, pale"):
        training_part(tiny_cohort, ["0", "1", "2"])


@pytest.mark.parametrize(
    ("phase", "name", "value", "words"),
    [
        ("_train_generator", "loss_G", float("nan"), "phase G: loss_G = nan"),
        ("_regularise_r1", "r1", float("inf"), "phase R1: r1 = inf"),
        ("_train_generator", "loss_G", 5e3, "phase G: loss_G = 5000"),
    ],
)
def test_divergence_names_step_phase_and_last_good_snapshot(
    tiny_config, tiny_cohort, tmp_path, monkeypatch, phase, name, value, words
):
    original = getattr(GeneratorTrainer, phase)

    def diverging(self, *arguments):
        figures = original(self, *arguments)
        return figures if self.iteration < 7 else {**figures, name: torch.tensor(value)}

    run = RunFolder(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(GeneratorTrainer, phase, diverging)
        with pytest.raises(UserError, match=rf"iteration [79] .*{words}.*snapshot-000000\.safetensors"):
            train_generator(tiny_config, tiny_cohort, run)
    state = torch.load(tmp_path / "training-state.pt", weights_only=True)
    assert state["images_seen"] == 24  # what was saved is from before
    assert all(torch.isfinite(tensor).all() for tensor in state["G"].values())
    train_generator(tiny_config, tiny_cohort, run)  # and goes on


def test_a_full_disk_ends_with_a_clear_error_and_an_intact_snapshot(
    tiny_config, tiny_cohort, tmp_path, monkeypatch
):
    """The second snapshot finds no room; the first, and its state, stay as they are."""
    run = RunFolder(tmp_path)
    written = []

    def full(tensors, path, metadata):
        written.append(path)
        if len(written) == 2:
            raise SafetensorError("I/O error: No space left on device (os error 28)")
        return save_file(tensors, path, metadata)

    with monkeypatch.context() as patch:
        patch.setattr("morphoscope.ops.runtime.checkpoints.save_file", full)
        with pytest.raises(UserError, match=r"snapshot-000000\.safetensors: cannot be written; is the disk"):
            train_generator(tiny_config, tiny_cohort, run)
    assert torch.load(tmp_path / "training-state.pt", weights_only=True)["images_seen"] == 24
    assert load(tmp_path / "snapshot-000000.safetensors").metadata["kimg"] == 0.024
    assert not list(tmp_path.glob(".*"))  # nothing half-written


def test_a_killed_run_logs_nothing_twice(tiny_config, tiny_cohort, tmp_path, monkeypatch):
    """Killed after its last state: the figures in between are forgotten and told again."""
    run = RunFolder(tmp_path)
    original = GeneratorTrainer.iterate

    def killed(self):
        if self.iteration == 9:
            raise MemoryError
        return original(self)

    with monkeypatch.context() as patch:
        patch.setattr(GeneratorTrainer, "iterate", killed)
        with pytest.raises(MemoryError):
            train_generator(tiny_config, tiny_cohort, run)
    assert [line["kimg"] for line in stats(tmp_path)] == [0.012, 0.024, 0.036]
    with (tmp_path / "stats.jsonl").open("a") as file:
        file.write('{"kimg": 0.0')
    train_generator(tiny_config, tiny_cohort, run)
    assert [line["kimg"] for line in stats(tmp_path)] == [0.012, 0.024, 0.036, 0.04]


def stats(folder):
    return [json.loads(line) for line in (folder / "stats.jsonl").read_text().splitlines()]


def test_only_the_newest_snapshots_stay(tiny_config, tiny_cohort, tmp_path):
    settings = {"kimg": 3, "tick_kimg": 1, "snapshot_ticks": 1, "keep_snapshots": 2}
    smaller = {"resolution": 8, "batch": 200, "pl_weight": 0.0}
    config = tiny_config.model_copy(update=settings | smaller)
    train_generator(config, tiny_cohort, RunFolder(tmp_path))
    left = [path.stem for path in sorted(tmp_path.glob("snapshot-*"))]
    assert left == ["snapshot-000002", "snapshot-000003"]
    assert len(list(tmp_path.glob("fakes*.png"))) == 3


def test_gradients_of_micro_batches_add_up(tiny_config, tiny_cohort):
    """Adam hides the size of a gradient, so the gradients themselves are compared."""
    config = {"micro_batch": 2, "style_mixing": 0.0, "augment": None}
    trainer = make_trainer(tiny_config, tiny_cohort, **config)
    gradients = {}

    def keep(self, *_):
        gradients.update({name: p.grad.clone() for name, p in trainer.G.named_parameters()})

    trainer.G_opt.register_step_pre_hook(keep)
    trainer._train_generator()
    fresh = make_trainer(tiny_config, tiny_cohort, **config)
    fresh.G.requires_grad_(True)
    total = 0
    for chunk in range(2):
        fresh._seed("G", chunk)
        z, c = fresh._latents(2)
        torch.rand([])  # the coin of style mixing
        total = total + generator_loss(fresh.D(fresh.G.synthesis(fresh.G.mapping(z, c)), c)) / 2
    total.backward()
    for name, parameter in fresh.G.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-4, atol=1e-7)

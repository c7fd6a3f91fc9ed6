"""Training: its mathematics, exact resume, and what it refuses."""

import io
import json
import shutil
import signal

import numpy as np
import pytest
import torch
from rich.console import Console

from morphoscope.configs import UserError
from morphoscope.generate import load, train_generator
from morphoscope.generate.training.losses import discriminator_loss, generator_loss, r1_penalty
from morphoscope.generate.training.run import training_part
from morphoscope.generate.training.trainer import GeneratorTrainer, RealImages
from morphoscope.ops.runtime import RunFolder


@pytest.fixture
def trainer(tiny_config, tiny_cohort):
    torch.manual_seed(0)
    config = tiny_config.resolved()
    return GeneratorTrainer(config, tiny_cohort.images(16), tiny_cohort.labels, 2, torch.device("cpu"))


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
    assert all(np.isfinite(value) for value in stats.values())


def test_freeze_d_keeps_the_first_layers(tiny_config, tiny_cohort):
    torch.manual_seed(0)
    config = tiny_config.model_copy(update={"freeze_d": 2}).resolved()
    trainer = GeneratorTrainer(config, tiny_cohort.images(16), tiny_cohort.labels, 2, torch.device("cpu"))
    before = {name: tensor.clone() for name, tensor in trainer.D.named_parameters()}
    trainer.iterate()
    kept = {name for name, tensor in trainer.D.named_parameters() if torch.equal(before[name], tensor)}
    assert {"b16.fromrgb.weight", "b16.fromrgb.bias", "b16.conv0.weight", "b16.conv0.bias"} <= kept
    assert "b16.conv1.weight" not in kept


def test_every_image_is_shown_once_an_epoch():
    images = np.arange(10, dtype=np.uint8)[:, None, None, None].repeat(3, 3)
    data = RealImages(images, np.zeros(10, np.int64), 1, seed=3, mirror=False, device=torch.device("cpu"))
    shown = torch.cat([data.batch(seen, 5)[0][:, 0, 0, 0] for seen in (0, 5, 10, 15)])
    values = ((shown + 1) * 127.5).round().int().tolist()
    assert sorted(values[:10]) == sorted(values[10:]) == list(range(10))
    assert values[:10] != values[10:]


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


def assert_same_state(a, b):
    """Two values of a training state, equal bit for bit."""
    assert type(a) is type(b)
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same_state(a[key], b[key])
    elif isinstance(a, list):
        for left, right in zip(a, b, strict=True):
            assert_same_state(left, right)
    else:
        assert a == b


def test_resuming_from_a_scheduled_snapshot_equals_going_on(tiny_config, tiny_cohort, tmp_path, monkeypatch):
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


@pytest.mark.parametrize("missing", ["metadata", "G", "G_opt", "ada", "rng_cpu", "images_seen"])
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


def test_start_from_a_snapshot(tiny_config, tiny_cohort, tiny_snapshot, tmp_path):
    one_batch = tiny_config.model_copy(update={"kimg": 0.004, "lr": 1e-9})
    path = train_generator(one_batch, tiny_cohort, RunFolder(tmp_path), start_from=tiny_snapshot)
    before, after = load(tiny_snapshot), load(path)
    difference = np.abs(before.sample("dark", [0]).astype(int) - after.sample("dark", [0]).astype(int))
    assert difference.max() <= 1
    assert [link["trained_on_folds"] for link in after.metadata["started_from"]] == [["0", "1"]]
    assert after.metadata["trained_on_folds"] == ["0", "1", "2"]


def test_ancestors_are_kept_over_generations_and_over_a_resume(
    tiny_config, tiny_cohort, tiny_snapshot, tmp_path
):
    """Folds 0 and 1, then fold 2, then fold 0 again: all three count as trained on to the end."""
    one_batch = tiny_config.model_copy(update={"kimg": 0.004})
    child = train_generator(
        one_batch, tiny_cohort, RunFolder(tmp_path / "b"), exclude_folds=["0", "1"], start_from=tiny_snapshot
    )
    grandchild = RunFolder(tmp_path / "c")
    first = train_generator(one_batch, tiny_cohort, grandchild, exclude_folds=["1", "2"], start_from=child)
    longer = tiny_config.model_copy(update={"kimg": 0.008})
    resumed = train_generator(longer, tiny_cohort, grandchild, exclude_folds=["1", "2"])  # no start_from
    link = {"cohort_digest": tiny_cohort.digest, "phantom": False}
    for path in (first, resumed):
        metadata = load(path).metadata
        assert metadata["started_from"] == [
            {**link, "trained_on_folds": ["0", "1", "2"]},
            {**link, "trained_on_folds": ["0", "1"]},
        ]
        assert metadata["trained_on_folds"] == ["0", "1", "2"]
    assert load(resumed).metadata["kimg"] == 0.008
    with pytest.raises(UserError, match="not started from this snapshot"):
        train_generator(longer, tiny_cohort, grandchild, exclude_folds=["1", "2"], start_from=tiny_snapshot)


def test_folds_of_an_ancestor_on_another_cohort_do_not_count(
    tiny_config, tiny_cohort, tiny_snapshot, tmp_path
):
    one_batch = tiny_config.model_copy(update={"kimg": 0.004})
    other = tiny_cohort.select(np.arange(len(tiny_cohort)) != 0)
    path = train_generator(
        one_batch, other, RunFolder(tmp_path), exclude_folds=["0", "1"], start_from=tiny_snapshot
    )
    metadata = load(path).metadata
    assert metadata["trained_on_folds"] == ["2"]
    assert metadata["started_from"][0]["cohort_digest"] == tiny_cohort.digest != metadata["cohort_digest"]


def test_start_from_half_the_resolution(tiny_config, tiny_cohort, tiny_snapshot, tmp_path):
    """Progressive growing: the lower blocks come from the snapshot, the new ones start anew."""
    larger = tiny_config.model_copy(update={"resolution": 32, "kimg": 0.004, "lr": 1e-9})
    console = Console(file=io.StringIO(), width=1000)
    path = train_generator(
        larger, tiny_cohort, RunFolder(tmp_path), start_from=tiny_snapshot, console=console
    )
    small, large = load(tiny_snapshot).G.synthesis, load(path).G.synthesis
    torch.testing.assert_close(large.b16.conv1.weight, small.b16.conv1.weight, rtol=0, atol=1e-6)
    listed = console.file.getvalue()
    assert "synthesis.b32.conv0" in listed
    assert "synthesis.b16.conv1" not in listed


def test_start_from_another_architecture_is_refused(tiny_config, tiny_cohort, tiny_snapshot, tmp_path):
    wider = tiny_config.model_copy(update={"channel_max": 6, "w_dim": 6})
    with pytest.raises(UserError, match="tensors of the generator fit"):
        train_generator(wider, tiny_cohort, RunFolder(tmp_path), start_from=tiny_snapshot)


def test_unknown_device_is_refused(tiny_config, tiny_cohort, tmp_path):
    with pytest.raises(UserError, match="unknown device"):
        train_generator(tiny_config, tiny_cohort, RunFolder(tmp_path), device="abacus")


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


def test_divergence_is_reported_with_the_last_good_snapshot(tiny_config, tiny_cohort, tmp_path, monkeypatch):
    monkeypatch.setattr(GeneratorTrainer, "_train_generator", lambda self: {"loss_G": float("nan")})
    with pytest.raises(UserError, match="diverged"):
        train_generator(tiny_config, tiny_cohort, RunFolder(tmp_path))
    assert not list(tmp_path.glob("snapshot*"))

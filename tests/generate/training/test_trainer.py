"""One iteration: rates, averages, frozen layers, gradients of micro-batches."""

import pytest
import torch

from morphoscope.configs import UserError
from morphoscope.generate import Discriminator, Generator
from morphoscope.generate.training.architecture import discriminator_kwargs, generator_kwargs
from morphoscope.generate.training.losses import generator_loss
from morphoscope.ops.dispatch import bfloat16_by, native_runs
from morphoscope.ops.native.bfloat16 import Instructions


@pytest.fixture
def trainer(make_trainer):
    return make_trainer()


def flat(module):
    return torch.cat([tensor.flatten() for tensor in module.state_dict().values()])


def test_lazy_regularisation_corrects_rate_and_betas(trainer):
    group = trainer.G_opt.param_groups[0]
    assert group["lr"] == pytest.approx(trainer.config.training.lr * 2 / 3)
    assert group["betas"] == pytest.approx((0.0, 0.99 ** (2 / 3)))


def test_average_follows_the_half_life(trainer):
    trainer.images_seen = 10**9  # past the ramp-up
    with torch.no_grad():
        for parameter in trainer.G.parameters():
            parameter.fill_(1.0)
        for parameter in trainer.G_ema.parameters():
            parameter.fill_(0.0)
    trainer._update_average()
    beta = 0.5 ** (trainer.config.training.batch / (trainer.config.training.ema_kimg * 1000))
    assert next(trainer.G_ema.parameters()).flatten()[0].item() == pytest.approx(1 - beta, rel=1e-4)


def test_iteration_changes_both_networks_and_reports_finite_values(trainer):
    before = flat(trainer.G).clone(), flat(trainer.D).clone()
    stats = trainer.iterate()
    assert not torch.equal(before[0], flat(trainer.G))
    assert not torch.equal(before[1], flat(trainer.D))
    assert {"loss_G", "loss_D", "path_length", "r1"} <= stats.keys()
    assert all(value.isfinite() for value in stats.values())


def test_noise_starts_at_the_resolution_that_the_config_names(make_trainer):
    trainer = make_trainer(noise_from=16)
    for _ in range(2):
        trainer.iterate()
    for network in (trainer.G, trainer.G_ema):
        below = network.synthesis.noise_strengths(below=16)
        every = network.synthesis.noise_strengths(below=32)
        assert [len(below), len(every)] == [3, 5]
        assert not any(below)
        assert all(every[3:])


def test_precision_chooses_the_products_of_all_convolutions(make_trainer):
    """Losses and gradient penalties in bfloat16 follow those in float32; the sums are float32 in both."""
    if not native_runs("cpu", None):
        pytest.skip("no native kernels can be built here")
    wide = {"channel_base": 512, "channel_max": 32}
    with bfloat16_by(Instructions.EMULATED_AVX512_BF16):
        exact, rounded = (
            make_trainer(**wide, precision=precision).iterate() for precision in ("float32", "bfloat16")
        )
    assert exact.keys() == rounded.keys() >= {"loss_G", "loss_D", "path_length", "r1"}
    for name in ("loss_G", "loss_D", "path_length", "r1"):
        assert rounded[name] != exact[name]
        assert rounded[name].item() == pytest.approx(exact[name].item(), rel=0.05)


def test_freeze_d_keeps_the_first_layers(make_trainer):
    trainer = make_trainer(freeze_d=2)
    before = {name: tensor.clone() for name, tensor in trainer.D.named_parameters()}
    trainer.iterate()
    kept = {name for name, tensor in trainer.D.named_parameters() if torch.equal(before[name], tensor)}
    assert {"b16.fromrgb.weight", "b16.fromrgb.bias", "b16.conv0.weight", "b16.conv0.bias"} <= kept
    assert "b16.conv1.weight" not in kept


def test_gradients_of_micro_batches_add_up(make_trainer):
    """Adam hides the size of a gradient, so the gradients themselves are compared."""
    config = {"micro_batch": 2, "style_mixing": 0.0, "augment": None}
    trainer = make_trainer(**config)
    gradients = {}

    def keep(self, *_):
        gradients.update({name: p.grad.clone() for name, p in trainer.G.named_parameters()})

    trainer.G_opt.register_step_pre_hook(keep)
    trainer._train_generator()
    fresh = make_trainer(**config)
    fresh.G.requires_grad_(True)
    total = 0
    for index in range(2):
        fresh._seed("G", index)
        c = fresh._choices(2)["labels"]
        z = torch.randn([2, fresh.config.network.z_dim])
        total = total + generator_loss(fresh.D(fresh.G.synthesis(fresh.G.mapping(z, c)), c)) / 2
    total.backward()
    for name, parameter in fresh.G.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ({"batch": 4, "micro_batch": 2}, "Try micro_batch=1 (with the same batch of 4), or smaller"),
        ({"batch": 9, "mbstd_group": 3}, "Try micro_batch=3 (with the same batch of 9), or smaller"),
        ({"batch": 12, "mbstd_group": 4}, "Try micro_batch=4 (with the same batch of 12), or smaller"),
        ({"batch": 4, "micro_batch": 1}, "Try smaller networks"),
    ],
)
def test_too_little_memory_is_an_error_that_says_what_to_try(make_trainer, monkeypatch, settings, remedy):
    trainer = make_trainer(**settings)

    def exhausted(_):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(trainer.steps.G.synthesis, "forward", exhausted)
    with pytest.raises(UserError, match=r"images of 16 px does not fit into the memory of cpu\.") as raised:
        trainer.iterate()
    assert remedy in str(raised.value)


def test_a_new_trainer_draws_the_weights_of_its_seed_and_leaves_other_random_numbers_alone(
    make_trainer,
) -> None:
    torch.manual_seed(123)
    before = torch.get_rng_state()
    trainer = make_trainer(seed=7)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(7)
    config, conditions = trainer.config, ["dark", "pale"]
    for network, expected in (
        (trainer.G, Generator(**generator_kwargs(config, conditions))),
        (trainer.D, Discriminator(**discriminator_kwargs(config, conditions))),
    ):
        for name, value in expected.state_dict().items():
            assert torch.equal(network.state_dict()[name], value), name

"""The published training to the letter: each step of the optimisers, and w_avg, against plain formulas."""

import copy
from math import sqrt

import pytest
import torch
import torch.nn.functional as F

from morphoscope.configs import load_config
from morphoscope.configs.generator import GeneratorTraining
from morphoscope.generate.training.optimizers import build_optimizer
from morphoscope.ops import backend

PLAIN = {"style_mixing": 0.0, "augment": None}  # so that a step draws labels, z and noise only


class PlainAdam:
    """Algorithm 1 of Kingma and Ba (2015), in float64, corrected for lazy regularisation.

    A gradient of None counts as zeros, so every parameter takes every step.
    """

    def __init__(self, network, rate, interval):
        ratio = interval / (interval + 1)
        self.rate, self.beta1, self.beta2 = rate * ratio, 0.0**ratio, 0.99**ratio
        self.v = {name: torch.zeros_like(p, dtype=torch.float64) for name, p in network.named_parameters()}
        self.m = copy.deepcopy(self.v)
        self.steps = 0

    def step(self, network, gradients):
        """The parameters after a step, by name."""
        self.steps += 1
        after = {}
        for (name, parameter), gradient in zip(network.named_parameters(), gradients, strict=True):
            g = torch.zeros_like(self.v[name]) if gradient is None else gradient.double()
            self.m[name] = self.beta1 * self.m[name] + (1 - self.beta1) * g
            self.v[name] = self.beta2 * self.v[name] + (1 - self.beta2) * g**2
            m = self.m[name] / (1 - self.beta1**self.steps)
            v = self.v[name] / (1 - self.beta2**self.steps)
            after[name] = parameter.detach().double() - self.rate * m / (v.sqrt() + 1e-8)
        return after


class Independent:
    """The four steps of an iteration at the trainer's present weights, without the trainer's steps."""

    def __init__(self, trainer):
        self.trainer, self.config = trainer, trainer.config
        training, loss = trainer.config.training, trainer.config.loss
        self.G_adam = PlainAdam(trainer.G, training.lr, loss.g_interval)
        self.D_adam = PlainAdam(trainer.D, training.lr, loss.d_interval)
        self.pl_mean = torch.zeros([])

    def expected(self, purpose):
        """Parameters after the step, and w_avg after it."""
        self.G, self.D = (
            copy.deepcopy(network).requires_grad_(True) for network in (self.trainer.G, self.trainer.D)
        )
        self.w_avg = self.G.mapping.w_avg.clone()
        self.trainer._seed(purpose, 0)
        losses = {"G": self.main_of_g, "path_length": self.path_length, "D": self.main_of_d, "r1": self.r1}
        loss = losses[purpose]()
        network, adam = (self.G, self.G_adam) if purpose in ("G", "path_length") else (self.D, self.D_adam)
        gradients = torch.autograd.grad(loss, list(network.parameters()), allow_unused=True)
        return adam.step(network, gradients), self.w_avg

    def fakes(self, number):
        """Images, ws and labels; w_avg follows their w."""
        c = self.trainer._choices(number)["labels"]
        ws = self.G.mapping(torch.randn([number, self.config.network.z_dim]), c)
        self.w_avg = 0.995 * self.w_avg + 0.005 * ws[:, 0].detach().mean(dim=0)
        return self.G.synthesis(ws), ws, c

    def main_of_g(self):
        images, _, c = self.fakes(self.config.training.batch)
        return F.softplus(-self.D(images, c)).mean()

    def main_of_d(self):
        images, _, c = self.fakes(self.config.training.batch)
        reals = self.trainer._reals(0)
        fake = F.softplus(self.D(images.detach(), c)).mean()
        return fake + F.softplus(-self.D(reals["real_images"], reals["real_labels"])).mean()

    def path_length(self):
        loss = self.config.loss
        images, ws, _ = self.fakes(self.config.training.batch // 2)
        noise = torch.randn_like(images) / sqrt(images[0, 0].numel())
        (gradient,) = torch.autograd.grad((images * noise).sum(), ws, create_graph=True)
        lengths = gradient.square().sum(2).mean(1).sqrt()
        self.pl_mean = self.pl_mean.lerp(lengths.detach().mean(), 0.01)
        return (lengths - self.pl_mean).square().mean() * loss.pl_weight * loss.g_interval

    def r1(self):
        reals = self.trainer._reals(0)
        images = reals["real_images"].requires_grad_()
        logits = self.D(images, reals["real_labels"])
        (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
        penalty = gradient.square().sum(dim=[1, 2, 3]).mean()
        return penalty * self.config.loss.gamma / 2 * self.config.loss.d_interval


def test_every_step_of_the_optimisers_and_w_avg_are_the_published_ones(make_trainer):
    """Two iterations of all four phases: biases that a penalty does not touch still take their steps."""
    trainer = make_trainer(**PLAIN)
    independent = Independent(trainer)
    phases = {
        "G": (trainer.G, trainer._train_generator),
        "path_length": (trainer.G, trainer._regularise_path_length),
        "D": (trainer.D, lambda: trainer._train_discriminator({0: trainer._reals(0)})),
        "r1": (trainer.D, lambda: trainer._regularise_r1({0: trainer._reals(0)})),
    }
    for _ in range(2):
        for purpose, (network, train) in phases.items():
            expected, w_avg = independent.expected(purpose)
            train()
            for name, parameter in network.named_parameters():
                message = f"{purpose}: {name}"
                found = parameter.detach().double()
                torch.testing.assert_close(found, expected[name], rtol=1e-5, atol=1e-6, msg=message)
            torch.testing.assert_close(trainer.G.mapping.w_avg, w_avg, rtol=1e-5, atol=1e-7, msg=purpose)
        trainer.images_seen += trainer.config.training.batch
        trainer.iteration += 1


def test_an_iteration_updates_w_avg_in_each_phase_that_generates(make_trainer, monkeypatch):
    trainer = make_trainer()
    updates = []
    monkeypatch.setattr(type(trainer.G.mapping), "follow", lambda self, mean: updates.append(mean))
    trainer.iterate()  # with path lengths
    assert len(updates) == 3
    trainer.iterate()
    assert len(updates) == 3 + 2


def test_the_preset_cifar_corrects_the_rates_although_it_has_no_path_lengths():
    config = load_config(GeneratorTraining, family="generate", preset="cifar").resolved()
    assert config.loss.pl_weight == 0
    network = torch.nn.Linear(1, 1)
    of_G = build_optimizer(network, config.training, config.loss.g_interval, fused=False).defaults
    of_D = build_optimizer(network, config.training, config.loss.d_interval, fused=False).defaults
    assert of_G["betas"] == pytest.approx((0, 0.992), abs=1e-4)
    assert of_D["betas"] == pytest.approx((0, 0.99 ** (16 / 17)))


@pytest.mark.parametrize(
    ("settings", "rates"),
    [({"pl_weight": 0.0, "gamma": 0.0}, {1.0}), ({"layer_decay": 0.5}, {1.0, 0.5, 0.25})],
)
def test_the_rates_of_a_trainer(make_trainer, settings, rates):
    """Corrected whatever the weights of the penalties; halved with every doubling of the resolution."""
    trainer = make_trainer(g_interval=4, lr=0.0025, **settings)
    assert {group["lr"] for group in trainer.G_opt.param_groups} == {0.002 * rate for rate in rates}
    names = {parameter: name for name, parameter in trainer.G.named_parameters()}
    for group in trainer.G_opt.param_groups:
        for parameter in group["params"]:
            octaves = {"b8": 1, "b16": 2}.get(names[parameter].split(".")[1], 0)
            assert group["lr"] == 0.002 * settings.get("layer_decay", 1) ** octaves


def test_layer_decay_shortens_the_first_step(make_trainer):
    """Adam's first step is the rate in every direction with a gradient."""
    trainer = make_trainer(layer_decay=0.5, **PLAIN)
    before = {name: parameter.clone() for name, parameter in trainer.D.named_parameters()}
    trainer._train_discriminator({0: trainer._reals(0)})
    moved = {name: (p - before[name]).abs().max().item() for name, p in trainer.D.named_parameters()}
    rate = trainer.config.training.lr * 3 / 4
    for name, factor in (("b16.conv0.weight", 0.25), ("b8.conv0.weight", 0.5), ("b4.conv.weight", 1)):
        assert moved[name] == pytest.approx(rate * factor, rel=1e-3), name


@pytest.mark.parametrize(("kernels", "channels"), [("native", 3), ("reference", 3), ("native", 1)])
def test_a_state_resumes_exactly(make_trainer, assert_same_state, kernels, channels):
    settings = {"layer_decay": 0.7, "freeze_d": 2, "img_channels": channels}
    with backend(kernels):
        whole = make_trainer(**settings)
        for _ in range(3):
            whole.iterate()
        cut = make_trainer(**settings)
        cut.load_state_dict(copy.deepcopy(whole.state_dict()))
        for trainer in (whole, cut):
            for _ in range(2):
                trainer.iterate()
    assert_same_state(whole.state_dict(), cut.state_dict())

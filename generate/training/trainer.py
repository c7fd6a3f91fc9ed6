"""One training iteration of StyleGAN2-ADA, and everything it changes (spec 4)."""

import copy
from collections.abc import Callable, Sequence
from math import sqrt
from typing import Any

import numpy as np
import torch

from morphoscope.configs.generator import ResolvedTraining
from morphoscope.generate.augmentation import AdaController, AugmentPipe, build_augmentation
from morphoscope.generate.discriminator import Discriminator
from morphoscope.generate.generator import Generator
from morphoscope.generate.training.architecture import discriminator_kwargs, generator_kwargs
from morphoscope.generate.training.data import RealImages
from morphoscope.generate.training.lecam import LeCam
from morphoscope.generate.training.losses import (
    discriminator_loss,
    generator_loss,
    output_weights,
    path_lengths,
    r1_penalty,
)
from morphoscope.generate.training.transition import label_influence
from morphoscope.ops.runtime import Processes

Figures = dict[str, torch.Tensor]
Loss = Callable[[int], tuple[torch.Tensor, Figures]]
# What random numbers are drawn for; the order is part of the seeds.
_PURPOSES = ("reals", "G", "path_length", "D", "r1")


class GeneratorTrainer:
    """G, D, the averaged G_ema, their optimisers, the augmentation; `iterate` trains on one batch.

    A batch is made of micro-batches, shared among the processes; their gradients are added up. Random numbers
    depend on the seed, the iteration, their purpose and the micro-batch, and on nothing else: not on which
    process draws them, nor on what was drawn before. So a state needs no random number generators, and two
    processes compute what one computes with the same micro-batches.

    Args:
        config: resolved for the number of processes.
        images: uint8 [M, R, R, 3], may be memory-mapped.
        labels: int64 [M], indices into `conditions`.
        conditions: names of the conditions.
        processes: those that train together; their device is where this one computes.
    """

    def __init__(
        self,
        config: ResolvedTraining,
        images: np.ndarray,
        labels: np.ndarray,
        conditions: Sequence[str],
        processes: Processes,
    ) -> None:
        self.config = config
        self.processes = processes
        self.device = device = processes.device
        self.data = RealImages(images, labels, len(conditions), config.seed, config.sampling, device)
        torch.manual_seed(config.seed)
        self.G = Generator(**generator_kwargs(config, conditions)).to(device).requires_grad_(False)
        self.D = Discriminator(**discriminator_kwargs(config, conditions)).to(device).requires_grad_(False)
        self.G_ema = copy.deepcopy(self.G).eval()
        self.augment = build_augmentation(config.augment)
        self.ada: AdaController | None = None
        if self.augment is not None:
            self.augment.to(device)
        if isinstance(self.augment, AugmentPipe):
            self.augment.p = (
                self.augment.p.cpu().zero_()
            )  # read in every call, which a GPU should not wait for
            self.ada = AdaController(
                self.augment, target=config.ada_target, kimg=config.ada_kimg, ceiling=config.ada_ceiling
            )
        self.G_opt = self._optimizer(self.G, config.g_interval if config.pl_weight > 0 else None)
        self.D_opt = self._optimizer(self.D, config.d_interval if config.gamma else None)
        self.frozen = self.D.layers_from_input()[: config.freeze_d]
        self.lecam = LeCam(config.lecam_decay) if config.lecam_weight else None
        self.pl_mean = torch.zeros([], device=device)
        self.images_seen = 0
        self.iteration = 0
        self._influence = 1.0
        self._weights: torch.Tensor | None = None
        self._chunks = config.batch // config.micro_batch
        own = self._chunks // processes.world
        self._own_chunks = range(processes.rank * own, (processes.rank + 1) * own)

    def _optimizer(self, network: torch.nn.Module, interval: int | None) -> torch.optim.Adam:
        """Adam whose rate and betas make up for the steps of lazy regularisation (StyleGAN2, app. B)."""
        ratio = 1.0 if interval is None else interval / (interval + 1)
        betas = (0.0**ratio, 0.99**ratio)
        return torch.optim.Adam(network.parameters(), lr=self.config.lr * ratio, betas=betas, eps=1e-8)

    def iterate(self) -> Figures:
        """Train on one batch: G, sometimes its path lengths, D, sometimes R1; then EMA and ADA.

        Returns:
            Losses and statistics by name, scalars on the device, of this process's part of the batch.
        """
        config = self.config
        self._influence = label_influence(config, self.images_seen)
        self._weights = output_weights(self.D.outputs, self._influence, self.device)
        reals = {chunk: self._reals(chunk) for chunk in self._own_chunks}
        figures = self._train_generator()
        if config.pl_weight > 0 and self.iteration % config.g_interval == 0:
            figures |= self._regularise_path_length()
        figures |= self._train_discriminator(reals)
        if config.gamma and self.iteration % config.d_interval == 0:
            figures |= self._regularise_r1(reals)
        self.images_seen += config.batch
        self.iteration += 1
        self._update_average()
        adapted = (self.ada.step(config.batch) or {}) if self.ada is not None else {}
        if config.transition_end_kimg is not None:
            adapted["label_influence"] = self._influence
        return figures | {name: torch.tensor(value) for name, value in adapted.items()}

    def _reals(self, chunk: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The real images and labels of one micro-batch."""
        number = self.config.micro_batch
        images, labels = self.data.stretch(self.images_seen + chunk * number, number)
        if self.config.mirror:
            self._seed("reals", chunk)
            flipped = torch.rand([number, 1, 1, 1], device=self.device) < 0.5
            images = torch.where(flipped, images.flip(3), images)
        return images, labels

    def _train_generator(self) -> Figures:
        means: list[torch.Tensor] = []

        def loss(chunk: int) -> tuple[torch.Tensor, Figures]:
            z, c = self._latents(self.config.micro_batch)
            fakes, _, w = self._synthesise(z, c)
            means.append(w.detach().mean(dim=0) / self._chunks)
            value = generator_loss(self._judge(fakes, c), self._weights)
            return value, {"loss_G": value}

        figures = self._optimise("G", self.G, self.G_opt, loss)
        mean = torch.stack(means).sum(dim=0)
        self.processes.sum([mean])
        self.G.mapping.follow(mean)
        return figures

    def _regularise_path_length(self) -> Figures:
        """Path length regularisation (StyleGAN2, section 3.2)."""
        config = self.config
        means: list[torch.Tensor] = []

        def loss(chunk: int) -> tuple[torch.Tensor, Figures]:
            z, c = self._latents(max(config.micro_batch // config.pl_batch_shrink, 1))
            fakes, ws, _ = self._synthesise(z, c)
            noise = torch.randn_like(fakes) / sqrt(fakes.shape[2] * fakes.shape[3])
            lengths = path_lengths(fakes, ws, noise)
            mean = lengths.detach().mean()
            means.append(mean / self._chunks)
            penalty = (lengths - self.pl_mean.lerp(mean, config.pl_decay)).square().mean()
            return penalty * config.pl_weight * config.g_interval, {
                "path_length": mean,
                "path_penalty": penalty,
            }

        figures = self._optimise("path_length", self.G, self.G_opt, loss)
        mean = torch.stack(means).sum()
        self.processes.sum([mean])
        self.pl_mean.lerp_(mean, config.pl_decay)
        return figures

    def _train_discriminator(self, reals: dict[int, tuple[torch.Tensor, torch.Tensor]]) -> Figures:
        means: list[torch.Tensor] = []

        def loss(chunk: int) -> tuple[torch.Tensor, Figures]:
            real_images, real_labels = reals[chunk]
            z, c = self._latents(self.config.micro_batch)
            with torch.no_grad():
                fakes, _, _ = self._synthesise(z, c)
            fake, real = self._judge(fakes, c), self._judge(real_images, real_labels)
            value = discriminator_loss(real, fake, self._weights)
            figures = {
                "loss_D": value,
                "logits_real": self._verdict(real).mean(),
                "logits_fake": self._verdict(fake).mean(),
            }
            if self.ada is not None:
                self.ada.observe(self._verdict(real))
            if self.lecam is not None:
                means.append(torch.stack([real.detach().mean(dim=0), fake.detach().mean(dim=0)]))
                figures["lecam"] = self.lecam.penalty(real, fake, self._weights)
                value = value + self.config.lecam_weight * figures["lecam"]
            return value, figures

        figures = self._optimise("D", self.D, self.D_opt, loss)
        if self.lecam is not None:
            mean = torch.stack(means).sum(dim=0) / self._chunks
            self.processes.sum([mean])
            self.lecam.observe(*mean)
        return figures

    def _regularise_r1(self, reals: dict[int, tuple[torch.Tensor, torch.Tensor]]) -> Figures:
        def loss(chunk: int) -> tuple[torch.Tensor, Figures]:
            images, labels = reals[chunk]
            images = images.detach().requires_grad_()
            penalty = r1_penalty(self._verdict(self._judge(images, labels)), images).mean()
            return penalty * (self.config.gamma / 2) * self.config.d_interval, {"r1": penalty}

        return self._optimise("r1", self.D, self.D_opt, loss)

    def _optimise(
        self, purpose: str, network: torch.nn.Module, optimizer: torch.optim.Optimizer, loss: Loss
    ) -> Figures:
        """One step on the mean over all micro-batches; returns the figures' means over this process's own."""
        network.requires_grad_(True)
        for layer in self.frozen:
            layer.requires_grad_(False)
        sums: Figures = {}
        for chunk in self._own_chunks:
            self._seed(purpose, chunk)
            value, figures = loss(chunk)
            (value / self._chunks).backward()
            for name, figure in figures.items():
                sums[name] = sums.get(name, 0) + figure.detach() / len(self._own_chunks)
        network.requires_grad_(False)
        gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
        self.processes.sum(gradients)
        for gradient in gradients:
            torch.nan_to_num(gradient, nan=0, posinf=1e5, neginf=-1e5, out=gradient)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return sums

    def _seed(self, purpose: str, chunk: int) -> None:
        key = [self.config.seed, self.iteration, _PURPOSES.index(purpose), chunk]
        torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0]))

    def _latents(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Random z, and labels as often as the real images have them."""
        z = torch.randn([number, self.config.z_dim], device=self.device)
        return z, self.data.random_labels(number)

    def _synthesise(
        self, z: torch.Tensor, c: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Fakes, their ws with style mixing (StyleGAN, section 3.1), and the w before it [N, w_dim]."""
        ws = self.G.mapping(z, c, label_influence=self._influence)
        w = ws[:, 0]
        if torch.rand([]).item() < self.config.style_mixing:
            crossover = int(torch.randint(1, self.G.num_ws, []))
            other = self.G.mapping(torch.randn_like(z), c, label_influence=self._influence)
            ws = torch.cat([ws[:, :crossover], other[:, crossover:]], dim=1)
        return self.G.synthesis(ws), ws, w

    def _judge(self, images: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        return self.D(images if self.augment is None else self.augment(images), c)

    def _verdict(self, logits: torch.Tensor) -> torch.Tensor:
        """[N, outputs] -> [N, 1]: the outputs' sum, weighted as in the loss."""
        return logits if self._weights is None else (logits * self._weights).sum(dim=1, keepdim=True)

    @torch.no_grad()
    def _update_average(self) -> None:
        """G_ema follows G with a half-life of `ema_kimg`, shorter at the start."""
        config = self.config
        half_life = config.ema_kimg * 1000
        if config.ema_rampup is not None:
            half_life = min(half_life, self.images_seen * config.ema_rampup)
        beta = 0.5 ** (config.batch / max(half_life, 1e-8))
        for average, current in zip(self.G_ema.parameters(), self.G.parameters(), strict=True):
            average.lerp_(current, 1 - beta)
        for kept, buffer in zip(self.G_ema.buffers(), self.G.buffers(), strict=True):
            kept.copy_(buffer)

    def state_dict(self) -> dict[str, Any]:
        """Everything that an exact resume needs; all processes must ask for it together."""
        return {
            "G": self.G.state_dict(),
            "D": self.D.state_dict(),
            "G_ema": self.G_ema.state_dict(),
            "G_opt": self.G_opt.state_dict(),
            "D_opt": self.D_opt.state_dict(),
            "ada": self.ada.state_dict() if self.ada is not None else None,
            "lecam": self.lecam.state_dict() if self.lecam is not None else None,
            "pl_mean": self.pl_mean,
            "images_seen": self.images_seen,
            "iteration": self.iteration,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where `state_dict` was taken, in as many processes as there are now."""
        for name in ("G", "D", "G_ema", "G_opt", "D_opt"):
            getattr(self, name).load_state_dict(state[name])
        for part, name in ((self.ada, "ada"), (self.lecam, "lecam")):
            if part is not None:
                part.load_state_dict(state[name])
        self.pl_mean.copy_(state["pl_mean"])
        self.images_seen = state["images_seen"]
        self.iteration = state["iteration"]

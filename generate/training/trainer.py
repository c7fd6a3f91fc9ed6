"""One training iteration of StyleGAN2-ADA, and everything it changes (spec 4)."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from morphoscope.configs.generator import ResolvedTraining
from morphoscope.generate.augmentation import AdaController, AugmentPipe, augment_multipliers
from morphoscope.generate.discriminator import Discriminator
from morphoscope.generate.generator import Generator
from morphoscope.generate.training.losses import discriminator_loss, generator_loss, path_lengths, r1_penalty


def generator_kwargs(config: ResolvedTraining, c_dim: int) -> dict[str, Any]:
    """Keywords of `Generator` for a resolved config; stored with every snapshot."""
    return {
        "z_dim": config.z_dim,
        "c_dim": c_dim,
        "w_dim": config.w_dim,
        "img_resolution": config.resolution,
        "img_channels": 3,
        "mapping_kwargs": {"num_layers": config.mapping_layers},
        "synthesis_kwargs": {
            "channel_base": config.channel_base,
            "channel_max": config.channel_max,
            "architecture": config.g_architecture,
            "num_fp16_res": config.num_fp16_res,
            "conv_clamp": config.conv_clamp,
        },
    }


def discriminator_kwargs(config: ResolvedTraining, c_dim: int) -> dict[str, Any]:
    """Keywords of `Discriminator` for a resolved config; stored with every snapshot."""
    return {
        "c_dim": c_dim,
        "img_resolution": config.resolution,
        "img_channels": 3,
        "architecture": config.d_architecture,
        "channel_base": config.channel_base,
        "channel_max": config.channel_max,
        "num_fp16_res": config.num_fp16_res,
        "conv_clamp": config.conv_clamp,
        "epilogue_kwargs": {"mbstd_group_size": config.mbstd_group},
    }


class GeneratorTrainer:
    """G, D, the averaged G_ema, their optimisers, the augmentation; `iterate` trains on one batch.

    Args:
        config: resolved (no None fields of the `auto` rule).
        images: uint8 [M, R, R, 3], may be memory-mapped.
        labels: int64 [M], class indices below c_dim.
        c_dim: number of conditions.
    """

    def __init__(
        self,
        config: ResolvedTraining,
        images: np.ndarray,
        labels: np.ndarray,
        c_dim: int,
        device: torch.device,
    ) -> None:
        self.config = config
        self.device = device
        self.data = RealImages(images, labels, c_dim, config.seed, config.mirror, device)
        self.G = Generator(**generator_kwargs(config, c_dim)).to(device).requires_grad_(False)
        self.D = Discriminator(**discriminator_kwargs(config, c_dim)).to(device).requires_grad_(False)
        self.G_ema = copy.deepcopy(self.G).eval()
        self.augment = AugmentPipe(**augment_multipliers(config.augment)) if config.augment else None
        self.ada: AdaController | None = None
        if self.augment is not None:
            self.augment.to(device).p.zero_()
            self.ada = AdaController(
                self.augment, target=config.ada_target, kimg=config.ada_kimg, ceiling=config.ada_ceiling
            )
        self.G_opt = self._optimizer(self.G, config.g_interval if config.pl_weight > 0 else None)
        self.D_opt = self._optimizer(self.D, config.d_interval if config.gamma else None)
        self.frozen = self.D.layers_from_input()[: config.freeze_d]
        self.pl_mean = torch.zeros([], device=device)
        self.images_seen = 0
        self.iteration = 0

    def _optimizer(self, network: torch.nn.Module, interval: int | None) -> torch.optim.Adam:
        """Adam whose rate and betas make up for the steps of lazy regularisation (StyleGAN2, app. B)."""
        ratio = 1.0 if interval is None else interval / (interval + 1)
        betas = (0.0**ratio, 0.99**ratio)
        return torch.optim.Adam(network.parameters(), lr=self.config.lr * ratio, betas=betas, eps=1e-8)

    def iterate(self) -> dict[str, float]:
        """Train on one batch: G, sometimes its path lengths, D, sometimes R1; then EMA and ADA.

        Returns:
            Losses and statistics of this iteration, by name.
        """
        config = self.config
        real_images, real_labels = self.data.batch(self.images_seen, config.batch)
        stats: dict[str, float] = {}
        stats |= self._train_generator()
        if config.pl_weight > 0 and self.iteration % config.g_interval == 0:
            stats |= self._regularise_path_length()
        stats |= self._train_discriminator(real_images, real_labels)
        if config.gamma and self.iteration % config.d_interval == 0:
            stats |= self._regularise_r1(real_images, real_labels)
        self.images_seen += config.batch
        self.iteration += 1
        self._update_average()
        if self.ada is not None:
            stats |= self.ada.step(config.batch) or {}
        return stats

    def _train_generator(self) -> dict[str, float]:
        with self._optimizing(self.G, self.G_opt):
            z, c = self._latents(self.config.batch)
            fakes, _ = self._synthesise(z, c, update_w_avg=True)
            loss = generator_loss(self._judge(fakes, c))
            loss.backward()
        return {"loss_G": loss.item()}

    def _regularise_path_length(self) -> dict[str, float]:
        """Path length regularisation (StyleGAN2, section 3.2)."""
        config = self.config
        with self._optimizing(self.G, self.G_opt):
            z, c = self._latents(max(config.batch // config.pl_batch_shrink, 1))
            fakes, ws = self._synthesise(z, c)
            noise = torch.randn_like(fakes) / (fakes.shape[2] * fakes.shape[3]) ** 0.5
            lengths = path_lengths(fakes, ws, noise)
            self.pl_mean.lerp_(lengths.detach().mean(), config.pl_decay)
            penalty = (lengths - self.pl_mean).square().mean()
            (penalty * config.pl_weight * config.g_interval).backward()
        return {"path_length": lengths.mean().item(), "path_penalty": penalty.item()}

    def _train_discriminator(self, real_images: torch.Tensor, real_labels: torch.Tensor) -> dict[str, float]:
        with self._optimizing(self.D, self.D_opt):
            z, c = self._latents(self.config.batch)
            with torch.no_grad():
                fakes, _ = self._synthesise(z, c)
            fake_logits = self._judge(fakes, c)
            real_logits = self._judge(real_images, real_labels)
            loss = discriminator_loss(real_logits, fake_logits)
            loss.backward()
        if self.ada is not None:
            self.ada.observe(real_logits)
        return {
            "loss_D": loss.item(),
            "logits_real": real_logits.mean().item(),
            "logits_fake": fake_logits.mean().item(),
        }

    def _regularise_r1(self, real_images: torch.Tensor, real_labels: torch.Tensor) -> dict[str, float]:
        with self._optimizing(self.D, self.D_opt):
            images = real_images.detach().requires_grad_()
            penalty = r1_penalty(self._judge(images, real_labels), images).mean()
            (penalty * (self.config.gamma / 2) * self.config.d_interval).backward()
        return {"r1": penalty.item()}

    def _latents(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Random z and labels drawn from the training set's distribution."""
        z = torch.randn([number, self.config.z_dim], device=self.device)
        return z, self.data.random_labels(number)

    def _synthesise(
        self, z: torch.Tensor, c: torch.Tensor, update_w_avg: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Fakes and their ws, with style mixing (StyleGAN, section 3.1)."""
        ws = self.G.mapping(z, c, update_w_avg=update_w_avg)
        if torch.rand([]).item() < self.config.style_mixing:
            crossover = int(torch.randint(1, self.G.num_ws, []))
            other = self.G.mapping(torch.randn_like(z), c)
            ws = torch.cat([ws[:, :crossover], other[:, crossover:]], dim=1)
        return self.G.synthesis(ws), ws

    def _judge(self, images: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        return self.D(images if self.augment is None else self.augment(images), c)

    @contextmanager
    def _optimizing(self, network: torch.nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[None]:
        """Gradients for this network alone, then one step with non-finite gradients made harmless."""
        network.requires_grad_(True)
        for layer in self.frozen:
            layer.requires_grad_(False)
        yield
        network.requires_grad_(False)
        for parameter in network.parameters():
            if parameter.grad is not None:
                torch.nan_to_num(parameter.grad, nan=0, posinf=1e5, neginf=-1e5, out=parameter.grad)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

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
        """Everything that an exact resume needs, random number generators included."""
        state: dict[str, Any] = {
            "G": self.G.state_dict(),
            "D": self.D.state_dict(),
            "G_ema": self.G_ema.state_dict(),
            "G_opt": self.G_opt.state_dict(),
            "D_opt": self.D_opt.state_dict(),
            "ada": self.ada.state_dict() if self.ada is not None else None,
            "pl_mean": self.pl_mean,
            "images_seen": self.images_seen,
            "iteration": self.iteration,
            "rng_cpu": torch.get_rng_state(),
        }
        if self.device.type == "cuda":
            state["rng_cuda"] = torch.cuda.get_rng_state(self.device)
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where `state_dict` was taken."""
        for name in ("G", "D", "G_ema", "G_opt", "D_opt"):
            getattr(self, name).load_state_dict(state[name])
        if self.ada is not None:
            self.ada.load_state_dict(state["ada"])
        self.pl_mean.copy_(state["pl_mean"])
        self.images_seen = state["images_seen"]
        self.iteration = state["iteration"]
        torch.set_rng_state(state["rng_cpu"].cpu())
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(state["rng_cuda"].cpu(), self.device)


class RealImages:
    """Batches of real images in an order that only the seed and the number already seen decide."""

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        c_dim: int,
        seed: int,
        mirror: bool,
        device: torch.device,
    ) -> None:
        self.images = images
        self.labels = torch.tensor(labels)
        self.c_dim = c_dim
        self.seed = seed
        self.mirror = mirror
        self.device = device

    def batch(self, seen: int, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Images `seen` … `seen + number` of the endless shuffled stream.

        Returns:
            float32 [number, 3, R, R] in [-1, 1] and one-hot labels [number, c_dim].
        """
        indices = self._indices(seen, number)
        # NHWC uint8 => NCHW float32, whose memory stays channels_last
        images = torch.from_numpy(self.images[indices]).to(self.device).permute(0, 3, 1, 2)
        images = images.to(torch.float32) / 127.5 - 1
        if self.mirror:
            flipped = torch.rand([number, 1, 1, 1], device=self.device) < 0.5
            images = torch.where(flipped, images.flip(3), images)
        return images, self._one_hot(self.labels[torch.from_numpy(indices)])

    def random_labels(self, number: int) -> torch.Tensor:
        """One-hot labels [number, c_dim] drawn from the training set's distribution."""
        return self._one_hot(self.labels[torch.randint(len(self.labels), [number])])

    def _one_hot(self, labels: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.one_hot(labels, self.c_dim).to(self.device, torch.float32)

    def _indices(self, seen: int, number: int) -> np.ndarray:
        size = len(self.images)
        indices = []
        for position in range(seen, seen + number):
            epoch, offset = divmod(position, size)
            indices.append(self._order(epoch)[offset])
        return np.array(indices)

    def _order(self, epoch: int) -> np.ndarray:
        if getattr(self, "_order_epoch", None) != epoch:
            self._order_epoch = epoch
            self._permutation = np.random.default_rng([self.seed, epoch]).permutation(len(self.images))
        return self._permutation

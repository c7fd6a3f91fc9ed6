"""The four computations of an iteration, each for one micro-batch: values and gradients (spec 4)."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import sqrt
from typing import NamedTuple

import torch

from morphoscope.configs.generator import ResolvedTraining
from morphoscope.generate.augmentation import AdaController
from morphoscope.generate.networks.discriminator import Discriminator
from morphoscope.generate.networks.generator import Generator
from morphoscope.generate.training.lecam import LeCam
from morphoscope.generate.training.losses import (
    discriminator_loss,
    generator_loss,
    output_weights,
    path_lengths,
    r1_penalty,
)
from morphoscope.generate.training.recording import Outcome, Tensors


class _Fakes(NamedTuple):
    """Generated images.

    Attributes:
        images: [N, C, R, R].
        ws: [N, num_ws, w_dim], with style mixing (StyleGAN, section 3.1).
        w: [N, w_dim], before style mixing.
    """

    images: torch.Tensor
    ws: torch.Tensor
    w: torch.Tensor

    @property
    def mean_w(self) -> torch.Tensor:
        """Mean of w over the images [w_dim], without gradients."""
        return self.w.detach().mean(dim=0)


class Steps:
    """The steps `generator`, `path_length`, `discriminator` and `r1`; each takes its input tensors by name.

    The outcomes of those that generate images have the mean of w [w_dim] among their means, as "w".

    They may be recorded (`RecordedStep`): whatever changes between iterations is an input, or a tensor that
    is changed in place.

    Attributes:
        pl_mean: running mean of the path lengths, a scalar.
        micro_batches: number of micro-batches in a batch, over all processes.
        influence: of the labels, 0 to 1; a tensor if a transition changes it.
    """

    def __init__(
        self,
        config: ResolvedTraining,
        G: Generator,
        D: Discriminator,
        augment: torch.nn.Module | None,
        ada: AdaController | None,
        device: torch.device,
    ) -> None:
        self.config, self.G, self.D, self.augment, self.ada = config, G, D, augment, ada
        self.device = device
        frozen_layers = D.layers_from_input()[: config.training.freeze_d]
        self.frozen = [parameter for layer in frozen_layers for parameter in layer.parameters()]
        self.frozen += G.synthesis.noise_strengths(below=config.network.noise_from)
        self.lecam = LeCam(config.loss.lecam_decay, D.outputs, device) if config.loss.lecam_weight else None
        self.pl_mean = torch.zeros([], device=device)
        changes = config.conditions.transition_end_kimg is not None
        self.influence: float | torch.Tensor = torch.ones([], device=device) if changes else 1.0
        self._weights = output_weights(D.outputs, 1.0, device)
        self.micro_batches = config.training.batch // config.training.micro_batch

    def set_influence(self, influence: float) -> None:
        """Set how strongly labels count from now on, 0 to 1."""
        if isinstance(self.influence, torch.Tensor):
            self.influence.fill_(influence)
            if self._weights is not None:
                self._weights[1].fill_(influence)

    def generator(self, inputs: Tensors) -> Outcome:
        """The generator's loss."""
        with self._trained(self.G) as parameters:
            c = inputs["labels"]
            fakes = self._synthesise(self._latents(len(c)), inputs)
            loss = generator_loss(self._logits(fakes.images, c), self._weights)
            gradients = self._gradients(loss, parameters)
        return Outcome({"loss_G": loss.detach()}, gradients, {"w": fakes.mean_w})

    def path_length(self, inputs: Tensors) -> Outcome:
        """Path length regularisation (StyleGAN2, section 3.2); also the mean "length", a scalar."""
        config = self.config
        with self._trained(self.G) as parameters:
            fakes = self._synthesise(self._latents(len(inputs["labels"])), inputs)
            images = fakes.images
            noise = torch.randn_like(images) / sqrt(images.shape[2] * images.shape[3])
            lengths = path_lengths(images, fakes.ws, noise)
            mean = lengths.detach().mean()
            penalty = (lengths - self.pl_mean.lerp(mean, config.loss.pl_decay)).square().mean()
            gradients = self._gradients(
                penalty * (config.loss.pl_weight * config.loss.g_interval), parameters
            )
        values = {"path_length": mean, "path_penalty": penalty.detach()}
        return Outcome(values, gradients, {"w": fakes.mean_w, "length": mean})

    def discriminator(self, inputs: Tensors) -> Outcome:
        """The discriminator's loss; with LeCam also the mean "logits" [real/fake, outputs]."""
        c = inputs["labels"]
        with torch.no_grad():
            fakes = self._synthesise(self._latents(len(c)), inputs)
        with self._trained(self.D) as parameters:
            fake = self._logits(fakes.images, c)
            real = self._logits(inputs["real_images"], inputs["real_labels"])
            loss = discriminator_loss(real, fake, self._weights)
            values = {
                "loss_D": loss.detach(),
                "logits_real": self._weighted(real).detach().mean(),
                "logits_fake": self._weighted(fake).detach().mean(),
            }
            if self.ada is not None:
                self.ada.observe(self._weighted(real))
            means = {"w": fakes.mean_w}
            if self.lecam is not None:
                means["logits"] = torch.stack([real.detach().mean(dim=0), fake.detach().mean(dim=0)])
                penalty = self.lecam.penalty(real, fake, self._weights)
                values["lecam"] = penalty.detach()
                loss = loss + self.config.loss.lecam_weight * penalty
            gradients = self._gradients(loss, parameters)
        return Outcome(values, gradients, means)

    def r1(self, inputs: Tensors) -> Outcome:
        """The gradient penalty at real images (Mescheder et al. 2018)."""
        with self._trained(self.D) as parameters:
            images = inputs["real_images"].detach().requires_grad_()
            logits = self._weighted(self._logits(images, inputs["real_labels"]))
            penalty = r1_penalty(logits, images).mean()
            loss = penalty * (self.config.loss.gamma / 2 * self.config.loss.d_interval)
            gradients = self._gradients(loss, parameters)
        return Outcome({"r1": penalty.detach()}, gradients)

    @contextmanager
    def _trained(self, network: torch.nn.Module) -> Iterator[list[torch.nn.Parameter]]:
        """The trained parameters of a network; within this context they require gradients."""
        network.requires_grad_(True)
        for parameter in self.frozen:
            parameter.requires_grad_(False)
        yield [parameter for parameter in network.parameters() if parameter.requires_grad]
        network.requires_grad_(False)

    def _gradients(
        self, loss: torch.Tensor, parameters: list[torch.nn.Parameter]
    ) -> list[tuple[torch.nn.Parameter, torch.Tensor]]:
        """Gradients of this micro-batch's part of the batch's loss.

        A penalty does not depend on every bias. As in the published release these have zero gradients, with
        which Adam's second moment decays, rather than none, with which Adam would leave it as it is.
        """
        found = torch.autograd.grad(
            loss / self.micro_batches, parameters, allow_unused=True, materialize_grads=True
        )
        return list(zip(parameters, found, strict=True))

    def _latents(self, number: int) -> torch.Tensor:
        return torch.randn([number, self.config.network.z_dim], device=self.device)

    def _synthesise(self, z: torch.Tensor, inputs: Tensors) -> _Fakes:
        """Fakes for z [N, z_dim]."""
        c = inputs["labels"]
        ws = self.G.mapping(z, c, label_influence=self.influence)
        w = ws[:, 0]
        if "crossover" in inputs:
            other = self.G.mapping(torch.randn_like(z), c, label_influence=self.influence)
            before = torch.arange(self.G.num_ws, device=self.device) < inputs["crossover"]
            ws = torch.where(before[:, None], ws, other)
        return _Fakes(self.G.synthesis(ws), ws, w)

    def _logits(self, images: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        return self.D(images if self.augment is None else self.augment(images), c)

    def _weighted(self, logits: torch.Tensor) -> torch.Tensor:
        """[N, outputs] -> [N, 1]: the sum of the outputs, weighted as in the loss."""
        return logits if self._weights is None else (logits * self._weights).sum(dim=1, keepdim=True)

"""One training iteration of StyleGAN2-ADA, and everything it changes (spec 4)."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from morphoscope.configs import UserError
from morphoscope.configs.generator import ResolvedTraining
from morphoscope.generate.augmentation import AdaController, AugmentPipe, build_augmentation
from morphoscope.generate.networks.discriminator import Discriminator
from morphoscope.generate.networks.generator import Generator
from morphoscope.generate.training.architecture import discriminator_kwargs, generator_kwargs
from morphoscope.generate.training.data import RealImages
from morphoscope.generate.training.optimizers import build_optimizer
from morphoscope.generate.training.recording import RecordedStep, Tensors
from morphoscope.generate.training.steps import Steps
from morphoscope.generate.training.transition import label_influence
from morphoscope.ops.precision import convolutions_in
from morphoscope.runtime.torch_devices import to_device
from morphoscope.runtime.torch_optimizers import load_optimizer
from morphoscope.runtime.torch_processes import Processes

Values = Tensors
# The purposes of random numbers; the order is part of the seeds.
_PURPOSES = ("reals", "G", "path_length", "D", "r1")


@contextmanager
def fastest_convolutions() -> Iterator[None]:
    """Let cuDNN measure which of its convolutions is fastest for each shape.

    That takes seconds per network. It does not pay off for sheets and metrics, whose shapes are rare.
    """
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


class GeneratorTrainer:
    """G, D, the averaged G_ema, their optimisers, the augmentation; `iterate` trains on one batch.

    A batch consists of micro-batches, which the processes share; their gradients are summed. Random numbers
    depend only on the seed, the iteration, their purpose and the micro-batch, not on which process draws them
    or on earlier draws. So the saved state needs no random number generators, and two processes compute the
    same as one with the same micro-batches.

    Args:
        config: resolved for the number of processes.
        images: uint8 [M, R, R, C], may be memory-mapped; C is the config's img_channels.
        labels: int64 [M], indices into `conditions`.
        conditions: names of the conditions.
        processes: the processes that train together, with the device of this one.
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
        self.data = RealImages(
            images,
            labels,
            len(conditions),
            config.seed,
            config.images.sampling,
            min(config.network.mbstd_group, config.training.micro_batch),
            device,
        )
        with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay what they were
            torch.default_generator.manual_seed(config.seed)  # weights are drawn on the CPU
            self.G = Generator(**generator_kwargs(config, conditions)).to(device).requires_grad_(False)
            self.D = (
                Discriminator(**discriminator_kwargs(config, conditions)).to(device).requires_grad_(False)
            )
        self.G_ema = copy.deepcopy(self.G).eval()
        self.augment = build_augmentation(config.augmentation.augment)
        self.ada: AdaController | None = None
        if self.augment is not None:
            self.augment.to(device)
        if isinstance(self.augment, AugmentPipe):
            self.augment.p.zero_()
            self.ada = AdaController(
                self.augment,
                target=config.augmentation.ada_target,
                kimg=config.augmentation.ada_kimg,
                ceiling=config.augmentation.ada_ceiling,
            )
        fused = device.type == "cuda"
        self.G_opt = build_optimizer(self.G, config.training, config.loss.g_interval, fused)
        self.D_opt = build_optimizer(self.D, config.training, config.loss.d_interval, fused)
        self.steps = Steps(config, self.G, self.D, self.augment, self.ada, device)
        record = device.type == "cuda" and config.training.cuda_graphs
        pool = torch.cuda.graph_pool_handle() if record else None
        self._computations = {
            "G": RecordedStep(self.steps.generator, pool),
            "path_length": RecordedStep(self.steps.path_length, pool),
            "D": RecordedStep(self.steps.discriminator, pool),
            "r1": RecordedStep(self.steps.r1, pool),
        }
        self.images_seen = 0
        self.iteration = 0
        own = self.steps.micro_batches // processes.world
        self._own_micro_batches = range(processes.rank * own, (processes.rank + 1) * own)

    def iterate(self) -> Values:
        """Train on one batch: G, sometimes its path lengths, D, sometimes R1; then EMA and ADA.

        Returns:
            Losses and statistics by name, scalar tensors, over this process's part of the batch.

        Raises:
            UserError: a micro-batch does not fit the GPU's memory.
        """
        try:
            with fastest_convolutions(), convolutions_in(self.config.training.precision):
                return self._iterate()
        except torch.OutOfMemoryError as error:
            if self.processes.world > 1:  # the others wait for this one; torchrun stops them when it fails
                raise
            raise UserError(self._too_large()) from error

    def _iterate(self) -> Values:
        config = self.config
        influence = label_influence(config, self.images_seen)
        self.steps.set_influence(influence)
        reals = {index: self._reals(index) for index in self._own_micro_batches}
        values = self._train_generator()
        if config.loss.pl_weight > 0 and self.iteration % config.loss.g_interval == 0:
            values |= self._regularise_path_length()
        values |= self._train_discriminator(reals)
        if config.loss.gamma and self.iteration % config.loss.d_interval == 0:
            values |= self._regularise_r1(reals)
        self.images_seen += config.training.batch
        self.iteration += 1
        self._update_average()
        adapted = (self.ada.step(config.training.batch) or {}) if self.ada is not None else {}
        if config.conditions.transition_end_kimg is not None:
            adapted["label_influence"] = influence
        return values | {name: torch.tensor(value) for name, value in adapted.items()}

    def _too_large(self) -> str:
        config, remedies = self.config, []
        for smaller in range(config.training.micro_batch // 2, 0, -1):
            if (
                config.training.micro_batch % smaller == 0
                and smaller % min(config.network.mbstd_group, smaller) == 0
            ):
                remedies.append(f"micro_batch={smaller} (with the same batch of {config.training.batch})")
                break
        if self.device.type == "cuda" and config.training.cuda_graphs:
            remedies.append("cuda_graphs=false")
        remedies.append("smaller networks (channel_base, channel_max)")
        return (
            f"A micro-batch of {config.training.micro_batch} images of {config.images.resolution} px does "
            f"not fit into the memory of {self.device}. Try {', or '.join(remedies)}."
        )

    def _reals(self, index: int) -> Tensors:
        """The real images and labels of the micro-batch number `index`."""
        number = self.config.training.micro_batch
        images, labels = self.data.stretch(self.images_seen + index * number, number)
        if self.config.images.mirror:
            self._seed("reals", index)
            flipped = torch.rand([number, 1, 1, 1], device=self.device) < 0.5
            images = torch.where(flipped, images.flip(3), images)
        return {"real_images": images, "real_labels": labels}

    def _train_generator(self) -> Values:
        values, _ = self._optimise(
            "G", self.G_opt, lambda index: self._choices(self.config.training.micro_batch)
        )
        return values

    def _regularise_path_length(self) -> Values:
        """Path length regularisation (StyleGAN2, section 3.2)."""
        number = max(self.config.training.micro_batch // self.config.loss.pl_batch_shrink, 1)
        values, means = self._optimise("path_length", self.G_opt, lambda index: self._choices(number))
        self.steps.pl_mean.lerp_(means["length"], self.config.loss.pl_decay)
        return values

    def _train_discriminator(self, reals: dict[int, Tensors]) -> Values:
        def inputs(index: int) -> Tensors:
            return reals[index] | self._choices(self.config.training.micro_batch)

        values, means = self._optimise("D", self.D_opt, inputs)
        if self.steps.lecam is not None:
            self.steps.lecam.observe(*means["logits"])
        return values

    def _regularise_r1(self, reals: dict[int, Tensors]) -> Values:
        return self._optimise("r1", self.D_opt, lambda index: reals[index])[0]

    def _optimise(
        self, purpose: str, optimizer: torch.optim.Optimizer, inputs: Callable[[int], Tensors]
    ) -> tuple[Values, Tensors]:
        """One step of the optimiser on the gradients of all micro-batches; w_avg follows their mean w.

        Returns:
            The means of the values over this process's own micro-batches, and `Outcome.means` averaged over
            all micro-batches.
        """
        values: Values = {}
        means: Tensors = {}
        gradient = None
        for index in self._own_micro_batches:
            self._seed(purpose, index)
            outcome = self._computations[purpose](inputs(index))
            for name, value in outcome.values.items():
                values[name] = values.get(name, 0) + value / len(self._own_micro_batches)
            flat = torch.cat([part.reshape(-1) for _, part in outcome.gradients])
            gradient = flat if gradient is None else gradient.add_(flat)
            for name, mean in outcome.means.items():
                means[name] = means.get(name, 0) + mean / self.steps.micro_batches
        assert gradient is not None
        self.processes.sum([gradient, *means.values()])
        torch.nan_to_num(gradient, nan=0, posinf=1e5, neginf=-1e5, out=gradient)
        parameters = [parameter for parameter, _ in outcome.gradients]
        parts = gradient.split([parameter.numel() for parameter in parameters])
        for parameter, part in zip(parameters, parts, strict=True):
            parameter.grad = part.view_as(parameter)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if "w" in means:
            self.G.mapping.follow(means["w"])
        return values, means

    def _seed(self, purpose: str, index: int) -> None:
        key = [self.config.seed, self.iteration, _PURPOSES.index(purpose), index]
        torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0]))

    def _choices(self, number: int) -> Tensors:
        """Random choices for fakes: labels as frequent as in the real images, and where styles mix."""
        choices = {"labels": self.data.random_labels(number)}
        if self.config.loss.style_mixing > 0:
            mixed = torch.rand([]) < self.config.loss.style_mixing
            crossover = torch.where(mixed, torch.randint(1, self.G.num_ws, []), self.G.num_ws)
            choices["crossover"] = to_device(crossover, self.device)
        return choices

    @torch.no_grad()
    def _update_average(self) -> None:
        """G_ema follows G with a half-life of `ema_kimg`, shorter at the start."""
        config = self.config
        half_life = config.training.ema_kimg * 1000
        if config.training.ema_rampup is not None:
            half_life = min(half_life, self.images_seen * config.training.ema_rampup)
        beta = 0.5 ** (config.training.batch / max(half_life, 1e-8))
        torch._foreach_lerp_(list(self.G_ema.parameters()), list(self.G.parameters()), 1 - beta)
        torch._foreach_copy_(list(self.G_ema.buffers()), list(self.G.buffers()))

    def state_dict(self) -> dict[str, Any]:
        """Everything that an exact resume needs; all processes must call this together."""
        return {
            "G": self.G.state_dict(),
            "D": self.D.state_dict(),
            "G_ema": self.G_ema.state_dict(),
            "G_opt": self.G_opt.state_dict(),
            "D_opt": self.D_opt.state_dict(),
            "ada": self.ada.state_dict() if self.ada is not None else None,
            "lecam": self.steps.lecam.state_dict() if self.steps.lecam is not None else None,
            "pl_mean": self.steps.pl_mean,
            "images_seen": self.images_seen,
            "iteration": self.iteration,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where `state_dict` was taken, in any number of processes."""
        for name in ("G", "D", "G_ema"):
            getattr(self, name).load_state_dict(state[name])
        for name in ("G_opt", "D_opt"):
            load_optimizer(getattr(self, name), state[name])
        if self.ada is not None:
            self.ada.load_state_dict(state["ada"])
        if self.steps.lecam is not None:
            self.steps.lecam.load_state_dict(state["lecam"])
        self.steps.pl_mean.copy_(state["pl_mean"])
        self.images_seen = state["images_seen"]
        self.iteration = state["iteration"]

"""The settings and costs of a training, from a few measured iterations: `generate train --dry-run`."""

import time
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml
from rich.console import Console

from morphoscope.cohort import Cohort
from morphoscope.configs.generator import GeneratorTraining, ResolvedTraining
from morphoscope.generate.training.preparation import Preparation, feature_network, prepare
from morphoscope.generate.training.trainer import GeneratorTrainer
from morphoscope.runtime import terminal
from morphoscope.runtime.progress import format_duration
from morphoscope.runtime.terminal import say, show, table
from morphoscope.runtime.torch_memory import memory_gb
from morphoscope.runtime.torch_processes import Processes


@dataclass(frozen=True)
class Plan:
    """A resolved training with its costs.

    Attributes:
        images: number of training images by condition.
        generator_parameters, discriminator_parameters: numbers of parameters.
        kimg_done: thousands of images that an unfinished run in the folder has seen.
        seconds_per_kimg: measured, with penalties weighted by their frequency, without snapshots.
        memory_gb: peak memory while measuring.
    """

    config: ResolvedTraining
    images: dict[str, int]
    generator_parameters: int
    discriminator_parameters: int
    kimg_done: float
    seconds_per_kimg: float
    memory_gb: float

    @property
    def seconds_left(self) -> float:
        """Seconds left at the measured speed."""
        return max(self.config.training.kimg - self.kimg_done, 0) * self.seconds_per_kimg

    def print(self) -> None:
        """Print the settings as config.yaml would have them, and the costs."""
        say(yaml.safe_dump(self.config.model_dump(mode="json"), sort_keys=False))
        parameters = f"{self.generator_parameters:,} and {self.discriminator_parameters:,}"
        costs = [
            *((f"images of {name}", str(number)) for name, number in self.images.items()),
            ("parameters of G and D", parameters),
            ("already done", f"{self.kimg_done:.1f} of {self.config.training.kimg:g} kimg"),
            ("speed, measured", f"{self.seconds_per_kimg:.1f} s/kimg"),
            ("memory, measured", f"{self.memory_gb:.1f} GB"),
            ("time left, without snapshots", format_duration(self.seconds_left)),
        ]
        show(table(["item", "value"], costs))


def plan_training(
    config: GeneratorTraining,
    cohort: Cohort,
    folder: Path,
    *,
    exclude_folds: list[str] | None = None,
    start_from: Path | None = None,
    processes: Processes | None = None,
    console: Console | None = None,
) -> Plan:
    """Prepare a training as `train_generator` would and measure a few iterations; only caches are written.

    Args:
        folder: the run folder, which need not exist; an unfinished run in it would resume.

    Raises:
        UserError: as `train_generator`.
    """
    processes = processes or Processes(torch.device("cpu"))
    console = console or terminal.console(stderr=True)
    prepared = prepare(config, cohort, folder, exclude_folds or [], start_from, processes, console)
    feature_network(config.logging.metric_network, torch.device("cpu"))  # an unknown network is an error now
    return _measured(prepared)


def _measured(prepared: Preparation) -> Plan:
    trainer, part = prepared.trainer, prepared.part
    done = trainer.images_seen / 1000
    seconds = _seconds_per_iteration(trainer)
    counts = {name: int((part.labels == k).sum()) for k, name in enumerate(part.conditions)}
    return Plan(
        config=trainer.config,
        images=counts,
        generator_parameters=sum(p.numel() for p in trainer.G.parameters()),
        discriminator_parameters=sum(p.numel() for p in trainer.D.parameters()),
        kimg_done=done,
        seconds_per_kimg=seconds / trainer.config.training.batch * 1000,
        memory_gb=memory_gb(trainer.device),
    )


def _seconds_per_iteration(trainer: GeneratorTrainer) -> float:
    """Mean time per iteration over an interval of path lengths, plus R1's time weighted by its frequency."""
    config = trainer.config
    for _ in range(2):  # the first warms up, the second records CUDA graphs
        trainer.iteration = 0
        _timed(trainer)
    usual = [_timed(trainer) for _ in range(config.loss.g_interval)]
    mean = sum(usual) / len(usual)
    if not config.loss.gamma:
        return mean
    trainer.iteration = 0  # where every penalty is due
    return mean + max(_timed(trainer) - usual[-1], 0.0) / config.loss.d_interval


def _timed(trainer: GeneratorTrainer) -> float:
    started = time.perf_counter()
    values = trainer.iterate()
    values["loss_D"].item()  # waits for a GPU
    return time.perf_counter() - started

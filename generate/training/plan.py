"""What a training would do and take, from a few measured iterations: `generate train --dry-run`."""

import time
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml
from rich.console import Console

from morphoscope.cohort import Cohort
from morphoscope.configs.generator import GeneratorTraining, ResolvedTraining
from morphoscope.generate.training.preparation import Preparation, feature_network, prepare
from morphoscope.generate.training.progress import duration
from morphoscope.generate.training.trainer import GeneratorTrainer
from morphoscope.runtime import terminal
from morphoscope.runtime.terminal import say, show, table
from morphoscope.runtime.torch_memory import memory_gb
from morphoscope.runtime.torch_processes import Processes


@dataclass(frozen=True)
class Plan:
    """A resolved training with its costs.

    Attributes:
        images: training images by condition.
        parameters: of generator and discriminator.
        kimg_done: thousands of images that an unfinished run in the folder has seen.
        seconds_per_kimg: measured, penalties counted by how often they come; snapshots come on top.
        memory_gb: the most that was held while measuring.
    """

    config: ResolvedTraining
    images: dict[str, int]
    parameters: tuple[int, int]
    kimg_done: float
    seconds_per_kimg: float
    memory_gb: float

    @property
    def seconds_left(self) -> float:
        """Time that is left, by the measured speed."""
        return max(self.config.training.kimg - self.kimg_done, 0) * self.seconds_per_kimg

    def print(self) -> None:
        """Print the settings as they would be in config.yaml, and the costs."""
        say(yaml.safe_dump(self.config.model_dump(mode="json"), sort_keys=False))
        rows = [
            *((f"images of {name}", str(number)) for name, number in self.images.items()),
            ("parameters of G and D", " and ".join(f"{n:,}" for n in self.parameters)),
            ("done already", f"{self.kimg_done:.1f} of {self.config.training.kimg:g} kimg"),
            ("speed, measured", f"{self.seconds_per_kimg:.1f} s/kimg"),
            ("memory, measured", f"{self.memory_gb:.1f} GB"),
            ("time left, without snapshots", duration(self.seconds_left)),
        ]
        show(table(["what", "how much"], rows))


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
        folder: the run folder, which need not exist; an unfinished run in it is what would go on.

    Raises:
        UserError: as `train_generator`.
    """
    processes = processes or Processes(torch.device("cpu"))
    console = console or terminal.console(stderr=True)
    prepared = prepare(config, cohort, folder, exclude_folds or [], start_from, processes, console)
    feature_network(config.logging.metric_network, torch.device("cpu"))  # a name that is none is told now
    return _measured(prepared)


def _measured(prepared: Preparation) -> Plan:
    trainer, part = prepared.trainer, prepared.part
    done = trainer.images_seen / 1000
    seconds = _seconds_an_iteration(trainer)
    counts = {name: int((part.labels == k).sum()) for k, name in enumerate(part.conditions)}
    parameters = tuple(sum(p.numel() for p in network.parameters()) for network in (trainer.G, trainer.D))
    return Plan(
        config=trainer.config,
        images=counts,
        parameters=(parameters[0], parameters[1]),
        kimg_done=done,
        seconds_per_kimg=seconds / trainer.config.training.batch * 1000,
        memory_gb=memory_gb(trainer.device),
    )


def _seconds_an_iteration(trainer: GeneratorTrainer) -> float:
    """Mean time of an iteration: all but R1 over one interval of path lengths, then R1 by its share."""
    config = trainer.config
    for _ in range(2):  # once to warm up, once for a GPU to record what it will replay
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
    figures = trainer.iterate()
    figures["loss_D"].item()  # waits for a GPU
    return time.perf_counter() - started

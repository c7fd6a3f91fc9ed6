"""The settings and costs of a training, from a few measured iterations: `generate train --dry-run`."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from rich.console import Console

from morphoscope.cohort import Cohort
from morphoscope.configs import arguments
from morphoscope.configs.generator import GeneratorTraining, ResolvedTraining
from morphoscope.generate.training.preparation import (
    Preparation,
    check_processes,
    feature_network,
    prepare,
)
from morphoscope.generate.training.trainer import GeneratorTrainer
from morphoscope.runtime import Request, terminal
from morphoscope.runtime.progress import format_duration, working
from morphoscope.runtime.runs import check_request
from morphoscope.runtime.terminal import say, show, table
from morphoscope.runtime.torch_memory import memory_gb
from morphoscope.runtime.torch_processes import Processes

# Rounds of measurement; on a slow machine none begins after this many seconds.
_ROUNDS, _LONG_ENOUGH = 3, 60.0

# Above either limit, other programs are likely to have slowed the measurement. This program itself has
# computed for less than the minute over which the load is averaged.
_BUSY_LOAD, _BUSY_ROUND = 0.8, 1.25


@dataclass(frozen=True)
class Speed:
    """The speed of a training on this machine.

    Attributes:
        seconds_per_kimg: least of the rounds, with penalties weighted by their frequency, without snapshots.
        iterations, rounds: how many iterations were measured, how many times.
        batch: images per iteration.
        slowest: duration of the slowest round relative to the least.
        load: load average per core before the measurement; None if unknown.
    """

    seconds_per_kimg: float
    iterations: int
    rounds: int
    batch: int
    slowest: float
    load: float | None

    @property
    def measured(self) -> str:
        """What was measured, as a sentence."""
        times = f"least of {self.rounds} measurements" if self.rounds > 1 else "one measurement"
        return f"{times} of {self.iterations} iterations of {self.batch} images on this machine"

    @property
    def machine(self) -> str:
        """Whether other programs slowed the measurement."""
        facts = [f"the slowest measurement took {self.slowest:.1f} times the least"]
        if self.load is not None:
            facts.insert(0, f"load {self.load:.1f} per core")
        is_busy = self.slowest > _BUSY_ROUND or (self.load or 0) > _BUSY_LOAD
        if is_busy:
            return f"busy, so that training may be faster when it is not ({', '.join(facts)})"
        return f"not busy ({', '.join(facts)})"


@dataclass(frozen=True)
class Plan:
    """A resolved training with its costs.

    Attributes:
        images: number of training images by condition.
        generator_parameters, discriminator_parameters: numbers of parameters.
        kimg_done: thousands of images that an unfinished run in the folder has seen.
        speed: as measured.
        memory_gb: peak memory while measuring.
    """

    config: ResolvedTraining
    images: dict[str, int]
    generator_parameters: int
    discriminator_parameters: int
    kimg_done: float
    speed: Speed
    memory_gb: float

    @property
    def seconds_left(self) -> float:
        """Seconds left at the measured speed."""
        return max(self.config.training.kimg - self.kimg_done, 0) * self.speed.seconds_per_kimg

    def print(self) -> None:
        """Print the settings as config.yaml would have them, and the costs."""
        say(yaml.safe_dump(self.config.model_dump(mode="json"), sort_keys=False))
        parameters = f"{self.generator_parameters:,} and {self.discriminator_parameters:,}"
        costs = [
            *((f"images of {name}", str(number)) for name, number in self.images.items()),
            ("parameters of G and D", parameters),
            ("already done", f"{self.kimg_done:.1f} of {self.config.training.kimg:g} kimg"),
            ("speed", f"{self.speed.seconds_per_kimg:.1f} s/kimg: {self.speed.measured}"),
            ("machine during the measurement", self.speed.machine),
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
    folder = arguments.path("folder", folder, "the path of a run folder")
    processes = check_processes(processes)
    console = console or terminal.console(stderr=True)

    def check(request: Request, earlier: dict[str, Any] | None) -> bool:
        check_request(folder, request, earlier)
        return False

    with working("Preparing the training", to=console, transient=True):
        prepared = prepare(config, cohort, folder, exclude_folds, start_from, processes, console, check)
        feature_network(config.logging.metric_network, torch.device("cpu"))  # unknown: an error now
    return _measured(prepared)


def _measured(prepared: Preparation) -> Plan:
    trainer, part = prepared.trainer, prepared.part
    done = trainer.images_seen / 1000
    counts = {name: int((part.labels == k).sum()) for k, name in enumerate(part.conditions)}
    return Plan(
        config=trainer.config,
        images=counts,
        generator_parameters=sum(p.numel() for p in trainer.G.parameters()),
        discriminator_parameters=sum(p.numel() for p in trainer.D.parameters()),
        kimg_done=done,
        speed=measure_speed(trainer),
        memory_gb=memory_gb(trainer.device),
    )


def measure_speed(trainer: GeneratorTrainer) -> Speed:
    """Time the same few iterations several times, and take the least time of each.

    A round is one iteration with all penalties and then an interval of path lengths. What other programs take
    from the machine only ever adds time, so the least is the best estimate of a machine at rest.
    """
    config = trainer.config
    length = 1 + config.loss.g_interval
    load = _load_per_core()
    rounds: list[list[float]] = []
    with working("Measuring the speed", 2 + _ROUNDS * length, unit="iterations", transient=True) as work:
        for _ in range(2):  # the first warms up, the second records CUDA graphs
            trainer.iteration = 0
            _timed(trainer)
            work.advance()
        started = time.perf_counter()
        is_late = False
        while len(rounds) < _ROUNDS and not is_late:
            trainer.iteration = 0
            rounds.append([])
            for _ in range(length):
                rounds[-1].append(_timed(trainer))
                work.advance()
            is_late = trainer.processes.any(time.perf_counter() - started > _LONG_ENOUGH)
    least = np.min(rounds, axis=0)
    seconds = float(least[1:].mean())
    if config.loss.gamma:  # R1's time, weighted by its frequency
        seconds += max(float(least[0] - least[-1]), 0.0) / config.loss.d_interval
    return Speed(
        seconds_per_kimg=seconds / config.training.batch * 1000,
        iterations=length,
        rounds=len(rounds),
        batch=config.training.batch,
        slowest=float(np.sum(rounds, axis=1).max() / least.sum()),
        load=load,
    )


def _load_per_core() -> float | None:
    """Programs that ran or waited for a core over the last minute, per core; None where it is unknown."""
    if not hasattr(os, "getloadavg"):  # Windows
        return None
    return os.getloadavg()[0] / (os.cpu_count() or 1)


def _timed(trainer: GeneratorTrainer) -> float:
    started = time.perf_counter()
    values = trainer.iterate()
    values["loss_D"].item()  # waits for a GPU
    return time.perf_counter() - started

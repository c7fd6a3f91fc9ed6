"""The loop around `GeneratorTrainer.iterate`: ticks, snapshots, interruption, divergence (spec 4, 7)."""

import math
import time
from collections import defaultdict
from typing import Any

import numpy as np
import torch

from morphoscope.configs import UserError
from morphoscope.generate.description import SnapshotMetadata
from morphoscope.generate.snapshots import plain_generator, write_snapshot
from morphoscope.generate.training.keeping import discard_old
from morphoscope.generate.training.records import list_snapshots, snapshot_name
from morphoscope.generate.training.resume import STATE
from morphoscope.generate.training.trainer import GeneratorTrainer, Values
from morphoscope.generate.training.transition import label_influence
from morphoscope.generate.training.watch import Watch
from morphoscope.runtime import Interruption, RunFolder
from morphoscope.runtime.torch_checkpoints import write_state

# A larger logistic loss (nats) means that the training has diverged; penalties need only be finite.
_LARGEST = {"loss_G": 1e3, "loss_D": 1e3, "path_penalty": math.inf, "r1": math.inf}
_PHASES = {"loss_G": "G", "loss_D": "D", "path_penalty": "path length", "r1": "R1"}


class TrainingLoop:
    """Trains to the end or until a signal interrupts it, which sets `interrupted`.

    Args:
        metadata: of the snapshots, apart from their kimg.
        watch: shows and measures the training; None except in the main process.
    """

    def __init__(
        self, trainer: GeneratorTrainer, run: RunFolder, metadata: SnapshotMetadata, watch: Watch | None
    ) -> None:
        self.trainer = trainer
        self.run = run
        self.metadata = metadata
        self.watch = watch
        self.config = trainer.config
        self.processes = trainer.processes
        self.interrupted = False
        # Reading values waits for a GPU, so they are read every few iterations there.
        self._iterations_per_read = 1 if trainer.device.type == "cpu" else 4
        self._saved_at: int | None = None

    def train(self) -> None:
        """Train; at the end write a snapshot and the state."""
        total = round(self.config.training.kimg * 1000)
        with Interruption("Stopping after this iteration, saving …") as interruption:
            while self.trainer.images_seen < total and not self.interrupted:
                self._tick(total, interruption)
            if self._saved_at != self.trainer.images_seen:
                self._save()

    def _tick(self, total: int, interruption: Interruption) -> None:
        """Train for one tick; log its values, and save if a snapshot is due."""
        trainer, tick_images = self.trainer, self.config.logging.tick_kimg * 1000
        started, first = time.perf_counter(), trainer.images_seen
        end = min((int(first / tick_images) + 1) * tick_images, total)
        collected: dict[str, list[float]] = defaultdict(list)
        while trainer.images_seen < end and not self.interrupted:
            self._iterate_and_read(end, collected)
            self.interrupted = self.processes.any(interruption.requested) and trainer.images_seen < total
            if self.watch is not None:
                self.watch.update(trainer.images_seen)
        seconds = (time.perf_counter() - started) / (trainer.images_seen - first) * 1000
        means = {name: float(np.mean(values)) for name, values in collected.items()}
        self.processes.on_main(lambda: self._log(seconds, means))
        # Counted in snapshots, not in ticks: a large batch may pass several ticks at once.
        between = self.config.logging.snapshot_ticks * tick_images
        if int(trainer.images_seen / between) > int(first / between):
            self._save()

    def _iterate_and_read(self, end: float, collected: dict[str, list[float]]) -> None:
        """Run iterations up to the next reading; collect their values, averaged over the processes."""
        iterations: list[Values] = []
        while self.trainer.images_seen < end and len(iterations) < self._iterations_per_read:
            iterations.append(self.trainer.iterate())
        names = [(place, name) for place, values in enumerate(iterations) for name in values]
        device = self.trainer.device
        sums = torch.stack([iterations[place][name].to(device, torch.float32) for place, name in names])
        self.processes.sum([sums])
        first = self.trainer.iteration - len(iterations)
        for (place, name), value in zip(names, (sums / self.processes.world).tolist(), strict=True):
            if name in _LARGEST and not abs(value) < _LARGEST[name]:  # NaN compares false too
                self._raise_diverged(name, value, first + place)
            collected[name].append(value)

    def _log(self, seconds_per_kimg: float, means: dict[str, float]) -> None:
        assert self.watch is not None
        self.watch.tick(self.trainer.images_seen / 1000, seconds_per_kimg, means)

    def _raise_diverged(self, name: str, value: float, iteration: int) -> None:
        kept, kimg = list_snapshots(self.run.path), iteration * self.config.training.batch / 1000
        raise UserError(
            f"{self.run.path}: training diverged at iteration {iteration} ({kimg:.1f} kimg) in phase "
            f"{_PHASES[name]}: {name} = {value:g}; the last good snapshot is {kept[-1] if kept else 'none'}. "
            "Start another run from it: --run with a new folder, --start-from with that snapshot, and a "
            "larger gamma or a smaller lr."
        )

    def _save(self) -> None:
        """Write a snapshot to use and a state for an exact resume, and measure the snapshot.

        The state is written after its snapshot, so that there is no state without one. An interrupted
        training does not measure; `Watch.catch_up` does when the run resumes.
        """
        state = self.trainer.state_dict()
        self.processes.on_main(lambda: self._write(state))
        self._saved_at = self.trainer.images_seen

    def _write(self, state: dict[str, Any]) -> None:
        trainer, kimg = self.trainer, self.trainer.images_seen / 1000
        path = self.run.path / snapshot_name(trainer.images_seen)
        G_ema = plain_generator(trainer.G_ema, label_influence(self.config, trainer.images_seen))
        if not (self.interrupted and path.exists()):  # that one may have been measured
            write_snapshot(path, G_ema, trainer.D, self.metadata.model_copy(update={"kimg": kimg}))
        write_state(self.run.path / STATE, {**state, "metadata": self.metadata.as_json()})
        if not self.interrupted:
            assert self.watch is not None
            self.watch.snapshot(path)
        discard_old(self.run.path, self.config.logging.keep_snapshots)

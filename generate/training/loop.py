"""The loop around `GeneratorTrainer.iterate`: ticks, snapshots, interruption, divergence (spec 4, 7)."""

import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from morphoscope.configs import UserError
from morphoscope.generate.model import GeneratorModel, file_digest
from morphoscope.generate.snapshots import plain_generator, write_snapshot
from morphoscope.generate.training.keeping import discard_old, snapshots
from morphoscope.generate.training.resume import STATE
from morphoscope.generate.training.trainer import Figures, GeneratorTrainer
from morphoscope.generate.training.transition import label_influence
from morphoscope.generate.training.watch import Watch
from morphoscope.ops.runtime import Interruption, RunFolder, write_state

# A logistic loss beyond it (nats) is not a bad moment but a lost training.
_LOST = 1e3
_LOSSES = {"loss_G": "G", "loss_D": "D", "path_penalty": "path length", "r1": "R1"}


class TrainingLoop:
    """Trains to the end, or until it is asked to stop; then `interrupted` is set.

    Args:
        metadata: what the snapshots say of themselves.
        watch: what is shown and measured meanwhile; None in other processes than the main one.
    """

    def __init__(
        self, trainer: GeneratorTrainer, run: RunFolder, metadata: dict[str, Any], watch: Watch | None
    ) -> None:
        self.trainer = trainer
        self.run = run
        self.metadata = metadata
        self.watch = watch
        self.config = trainer.config
        self.processes = trainer.processes
        self.interrupted = False
        # Reading figures waits for a GPU, so they are read every few iterations there.
        self._patience = 1 if trainer.device.type == "cpu" else 4
        self._saved_at: int | None = None

    def train(self) -> Path:
        """Train, and return the newest snapshot."""
        total = round(self.config.kimg * 1000)
        with Interruption() as interruption:
            while self.trainer.images_seen < total and not self.interrupted:
                self._tick(total, interruption)
        if self._saved_at != self.trainer.images_seen:
            self._save(measure=not self.interrupted)
        if self.watch is not None and not self.interrupted:
            self.watch.end()
        return snapshots(self.run.path)[-1]

    def _tick(self, total: int, interruption: Interruption) -> None:
        """Train for one tick; log it, and save when it is time."""
        trainer, tick_images = self.trainer, self.config.tick_kimg * 1000
        started, first = time.perf_counter(), trainer.images_seen
        tick = int(first / tick_images)
        end = min((tick + 1) * tick_images, total)
        collected: dict[str, list[float]] = defaultdict(list)
        while trainer.images_seen < end and not self.interrupted:
            self._few_iterations(end, collected)
            self.interrupted = self.processes.any(interruption.requested)
            if self.watch is not None:
                self.watch.update(trainer.images_seen)
        seconds = (time.perf_counter() - started) / (trainer.images_seen - first) * 1000
        means = {name: float(np.mean(values)) for name, values in collected.items()}
        self.processes.on_main(lambda: self._log(seconds, means))
        if not self.interrupted and (tick + 1) % self.config.snapshot_ticks == 0:
            self._save(measure=True)

    def _few_iterations(self, end: float, collected: dict[str, list[float]]) -> None:
        """As many iterations as may pass before their figures are read; collect the figures, averaged."""
        figures: list[Figures] = []
        while self.trainer.images_seen < end and len(figures) < self._patience:
            figures.append(self.trainer.iterate())
        names = [(place, name) for place, part in enumerate(figures) for name in part]
        device = self.trainer.device
        values = torch.stack([figures[place][name].to(device, torch.float32) for place, name in names])
        self.processes.sum([values])
        first = self.trainer.iteration - len(figures)
        for (place, name), value in zip(names, (values / self.processes.world).tolist(), strict=True):
            if name in _LOSSES and not abs(value) < _LOST:  # NaN compares false too
                self._lost(name, value, first + place)
            collected[name].append(value)

    def _log(self, seconds_per_kimg: float, means: dict[str, float]) -> None:
        assert self.watch is not None
        self.watch.tick(self.trainer.images_seen / 1000, seconds_per_kimg, means)

    def _lost(self, name: str, value: float, iteration: int) -> None:
        kept, kimg = snapshots(self.run.path), iteration * self.config.batch / 1000
        raise UserError(
            f"{self.run.path}: training diverged at iteration {iteration} ({kimg:.1f} kimg) in phase "
            f"{_LOSSES[name]}: {name} = {value:g}; "
            f"the last good snapshot is {kept[-1] if kept else 'none'}. Try a larger gamma or a smaller lr; "
            "the same command goes on from the last good state."
        )

    def _save(self, measure: bool) -> None:
        """A snapshot to use, a state for an exact resume, and (`measure`) what is made of the snapshot.

        The state comes after its snapshot, so that a finished state has it beside it.
        """
        trainer = self.trainer
        state = trainer.state_dict()
        self.processes.on_main(lambda: self._write(state, measure))
        self._saved_at = trainer.images_seen

    def _write(self, state: dict[str, Any], measure: bool) -> None:
        trainer, kimg = self.trainer, self.trainer.images_seen / 1000
        path = self.run.path / f"snapshot-{int(kimg):06d}.safetensors"
        metadata = {**self.metadata, "kimg": kimg}
        G_ema = plain_generator(trainer.G_ema, label_influence(self.config, trainer.images_seen))
        means = write_snapshot(path, G_ema, trainer.D, metadata)
        write_state(self.run.path / STATE, {**state, "metadata": self.metadata})
        if measure:
            assert self.watch is not None
            self.watch.snapshot(path, GeneratorModel(G_ema, means, metadata, file_digest(path)))
        discard_old(self.run.path, self.config.keep_snapshots)

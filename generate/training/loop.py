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
from morphoscope.generate.training.records import snapshots
from morphoscope.generate.training.resume import STATE
from morphoscope.generate.training.trainer import Figures, GeneratorTrainer
from morphoscope.generate.training.transition import label_influence
from morphoscope.generate.training.watch import Watch
from morphoscope.runtime import Interruption, RunFolder
from morphoscope.runtime.torch_checkpoints import write_state

# A logistic loss beyond it (nats) is not a bad moment but a lost training; penalties need only be finite.
_LOST = {"loss_G": 1e3, "loss_D": 1e3, "path_penalty": math.inf, "r1": math.inf}
_PHASES = {"loss_G": "G", "loss_D": "D", "path_penalty": "path length", "r1": "R1"}


class TrainingLoop:
    """Trains to the end, or until it is asked to stop; then `interrupted` is set.

    Args:
        metadata: of the snapshots, apart from their kimg.
        watch: what is shown and measured meanwhile; None in other processes than the main one.
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
        # Reading figures waits for a GPU, so they are read every few iterations there.
        self._patience = 1 if trainer.device.type == "cpu" else 4
        self._saved_at: int | None = None

    def train(self) -> None:
        """Train; at the end there is a snapshot of it, and a state."""
        total = round(self.config.training.kimg * 1000)
        with Interruption() as interruption:
            while self.trainer.images_seen < total and not self.interrupted:
                self._tick(total, interruption)
            if self._saved_at != self.trainer.images_seen:
                self._save()

    def _tick(self, total: int, interruption: Interruption) -> None:
        """Train for one tick; log it, and save when it is time."""
        trainer, tick_images = self.trainer, self.config.logging.tick_kimg * 1000
        started, first = time.perf_counter(), trainer.images_seen
        end = min((int(first / tick_images) + 1) * tick_images, total)
        collected: dict[str, list[float]] = defaultdict(list)
        while trainer.images_seen < end and not self.interrupted:
            self._few_iterations(end, collected)
            self.interrupted = self.processes.any(interruption.requested) and trainer.images_seen < total
            if self.watch is not None:
                self.watch.update(trainer.images_seen)
        seconds = (time.perf_counter() - started) / (trainer.images_seen - first) * 1000
        means = {name: float(np.mean(values)) for name, values in collected.items()}
        self.processes.on_main(lambda: self._log(seconds, means))
        # Counted in snapshots, not in ticks, of which a large batch may pass several.
        between = self.config.logging.snapshot_ticks * tick_images
        if int(trainer.images_seen / between) > int(first / between):
            self._save()

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
            if name in _LOST and not abs(value) < _LOST[name]:  # NaN compares false too
                self._lost(name, value, first + place)
            collected[name].append(value)

    def _log(self, seconds_per_kimg: float, means: dict[str, float]) -> None:
        assert self.watch is not None
        self.watch.tick(self.trainer.images_seen / 1000, seconds_per_kimg, means)

    def _lost(self, name: str, value: float, iteration: int) -> None:
        kept, kimg = snapshots(self.run.path), iteration * self.config.training.batch / 1000
        raise UserError(
            f"{self.run.path}: training diverged at iteration {iteration} ({kimg:.1f} kimg) in phase "
            f"{_PHASES[name]}: {name} = {value:g}; the last good snapshot is {kept[-1] if kept else 'none'}. "
            "Begin another run from it: --run with a new folder, --start-from with that snapshot, and a "
            "larger gamma or a smaller lr."
        )

    def _save(self) -> None:
        """A snapshot to use, a state for an exact resume, and what is made of the snapshot.

        The state comes after its snapshot, so that a finished state has it beside it. Whoever asked to stop
        does not wait for the measuring: `Watch.catch_up` does it when the run goes on.
        """
        state = self.trainer.state_dict()
        self.processes.on_main(lambda: self._write(state))
        self._saved_at = self.trainer.images_seen

    def _write(self, state: dict[str, Any]) -> None:
        trainer, kimg = self.trainer, self.trainer.images_seen / 1000
        path = self.run.path / f"snapshot-{int(kimg):06d}.safetensors"
        G_ema = plain_generator(trainer.G_ema, label_influence(self.config, trainer.images_seen))
        if not (self.interrupted and path.exists()):  # one of the same kimg was measured under this name
            write_snapshot(path, G_ema, trainer.D, self.metadata.model_copy(update={"kimg": kimg}))
        write_state(self.run.path / STATE, {**state, "metadata": self.metadata.as_json()})
        if not self.interrupted:
            assert self.watch is not None
            self.watch.snapshot(path)
        discard_old(self.run.path, self.config.logging.keep_snapshots)

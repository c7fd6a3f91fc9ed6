"""A whole training: run folder, progress, sample grids, snapshots, interruption and resume (spec 4, 7)."""

import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from morphoscope.cohort import TEST_FOLD, Cohort
from morphoscope.configs import UserError
from morphoscope.configs.generator import GeneratorTraining, ResolvedTraining
from morphoscope.generate.description import checked_metadata
from morphoscope.generate.generator import Generator
from morphoscope.generate.marks import write_synthetic_sheet
from morphoscope.generate.model import GeneratorModel, file_digest
from morphoscope.generate.sheets import write_sheet
from morphoscope.generate.snapshots import read_discriminator, read_generator, write_snapshot
from morphoscope.generate.training.trainer import GeneratorTrainer, discriminator_kwargs, generator_kwargs
from morphoscope.ops.runtime import (
    Interruption,
    RunFolder,
    keep_freed_memory,
    read_state,
    resolve_device,
    write_state,
)

_STATE = "training-state.pt"
_SHEET_COLUMNS = 10


def train_generator(
    config: GeneratorTraining,
    cohort: Cohort,
    run: RunFolder,
    *,
    exclude_folds: list[str] | None = None,
    start_from: Path | None = None,
    device: torch.device | str = "cpu",
    console: Console | None = None,
) -> Path:
    """Train in `run`, or go on there after an interruption; return the newest snapshot.

    Args:
        config: its None fields are resolved here.
        cohort: real rows with folds; the test fold is never trained on.
        exclude_folds: further folds to leave out, so that classifiers validated on them may use the images.
        start_from: a snapshot of the same conditions to start from, e.g. of half the resolution; may be left
            out when an interrupted run goes on.
        device: a device, or auto, cpu, cuda or cuda:N.

    Raises:
        UserError: rows without folds, no image left, an unusable snapshot, a run folder of another config.
    """
    console = console or Console(stderr=True)
    where = resolve_device(device)
    if where.type == "cpu":
        keep_freed_memory()
    part = training_part(cohort, exclude_folds or [])
    trainer, metadata = _prepare(config, cohort, part, run, start_from, where, console)
    return _Run(trainer, run, metadata, console).train()


def _prepare(
    config: GeneratorTraining,
    cohort: Cohort,
    part: Cohort,
    run: RunFolder,
    start_from: Path | None,
    device: torch.device,
    console: Console,
) -> tuple[GeneratorTrainer, dict[str, Any]]:
    """The trainer, anew, from a snapshot, or as an interrupted run left it; and its snapshots' metadata."""
    path = run.path / _STATE
    state = _read_state(path, device) if path.exists() else None
    ancestor = None if start_from is None else read_generator(start_from)
    ancestry = [] if ancestor is None else _ancestry(ancestor[2])
    if state is not None:
        ancestry = _resumed_ancestry(state, ancestry, path)
    resolved = config.resolved()
    if ancestry:  # the average starts from a trained network, and p may follow faster (spec 3)
        faster = {"ema_rampup": None, "ada_kimg": min(resolved.ada_kimg, 100)}
        resolved = resolved.model_copy(update=faster)
    metadata = _metadata(resolved, cohort, part, ancestry)
    checked_metadata(run.path, metadata)
    torch.manual_seed(resolved.seed)
    images = part.images(resolved.resolution, resolved.fit)
    trainer = GeneratorTrainer(resolved, images, part.labels, len(part.conditions), device)
    if state is not None:
        _resume(trainer, state, path, metadata)
        return trainer, metadata
    if start_from is not None and ancestor is not None:
        _start_from(trainer, start_from, ancestor, metadata, console)
    run.write_config(resolved, cohort=cohort.digest, trained_on_folds=metadata["trained_on_folds"])
    write_sheet(run.path / "reals.png", part.conditions, _reals_by_condition(images, part))
    return trainer, metadata


def training_part(cohort: Cohort, exclude_folds: list[str]) -> Cohort:
    """The real rows outside the test fold and `exclude_folds`; errors as for `train_generator`."""
    rows = cohort.rows
    real = rows["source"] == "real"
    if (rows["fold"][real] == "").any():
        raise UserError(
            f"{cohort.root}: some rows have no fold; run `morphoscope cohort split {cohort.root}` first, "
            "so that images kept for testing stay out of the generator."
        )
    unknown = set(exclude_folds) - set(rows["fold"])
    if unknown:
        raise UserError(f"--exclude-folds: {cohort.root} has no fold {', '.join(sorted(unknown))}.")
    part = cohort.select(real & ~rows["fold"].isin([TEST_FOLD, *exclude_folds]))
    missing = [name for k, name in enumerate(cohort.conditions) if k not in set(part.labels)]
    if missing:
        raise UserError(
            f"{cohort.root}: no training image of {', '.join(missing)} outside the excluded folds."
        )
    return part


class _Run:
    """The loop around `GeneratorTrainer.iterate`."""

    def __init__(
        self, trainer: GeneratorTrainer, run: RunFolder, metadata: dict[str, Any], console: Console
    ) -> None:
        self.trainer = trainer
        self.run = run
        self.metadata = metadata
        self.console = console
        self.config = trainer.config
        self.latest: Path | None = None
        self.saved_at = 0
        self.figures = ""  # of the last tick, to show

    def train(self) -> Path:
        total = round(self.config.kimg * 1000)
        earlier = sorted(self.run.path.glob("snapshot-*.safetensors"))
        if self.trainer.images_seen >= total and earlier:
            return earlier[-1]  # nothing to do; its digest is written beside images, so it stays as it is
        progress = Progress(
            TextColumn("[bold]generator"),
            BarColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
            console=self.console,
        )
        with Interruption() as interruption, progress:
            task = progress.add_task("", total=total, completed=self.trainer.images_seen, figures="")
            while self.trainer.images_seen < total and not interruption.requested:
                for seen in self._tick(total, interruption):
                    progress.update(task, completed=seen, figures=self.figures)
        if self.latest is None or self.saved_at != self.trainer.images_seen:
            self._save()
        assert self.latest is not None
        if interruption.requested:
            self.console.print(
                f"Stopped at {self.trainer.images_seen / 1000:.1f} kimg; train again to go on."
            )
            raise KeyboardInterrupt
        return self.latest

    def _tick(self, total: int, interruption: Interruption) -> Iterator[int]:
        """Train for one tick, yielding the images seen after each batch; log it, and save when it is time."""
        trainer, tick_images = self.trainer, self.config.tick_kimg * 1000
        started, first = time.perf_counter(), trainer.images_seen
        tick = int(first / tick_images)
        collected: dict[str, list[float]] = defaultdict(list)
        while trainer.images_seen < min((tick + 1) * tick_images, total) and not interruption.requested:
            for name, value in trainer.iterate().items():
                collected[name].append(value)
            yield trainer.images_seen
        kimg = trainer.images_seen / 1000
        seconds = (time.perf_counter() - started) / max(trainer.images_seen - first, 1) * 1000
        means = {name: float(np.mean(values)) for name, values in collected.items()}
        self.run.append_stats(kimg=kimg, seconds_per_kimg=seconds, **means)
        self._require_finite(means, kimg)
        if not interruption.requested and (tick + 1) % self.config.snapshot_ticks == 0:
            self._save()
        p = means.get("augment_p", 0.0)
        self.figures = f"{kimg:.1f} kimg  {seconds:.1f} s/kimg  p {p:.3f}"
        yield trainer.images_seen

    def _require_finite(self, means: dict[str, float], kimg: float) -> None:
        for name, value in means.items():
            if not np.isfinite(value):
                raise UserError(
                    f"{self.run.path}: training diverged at {kimg:.1f} kimg, {name} = {value}; "
                    f"the last good snapshot is {self.latest or 'none'}. Try a larger gamma or a smaller lr."
                )

    def _save(self) -> None:
        """A snapshot to use, a sheet to look at, and the state for an exact resume.

        Nothing here may draw from torch's global random numbers: the training goes on with them. The state
        comes last, so that a finished state has its snapshot beside it.
        """
        trainer, kimg = self.trainer, int(self.trainer.images_seen / 1000)
        path = self.run.path / f"snapshot-{kimg:06d}.safetensors"
        metadata = {**self.metadata, "kimg": trainer.images_seen / 1000}
        means = write_snapshot(path, trainer.G_ema, trainer.D, metadata)
        model = GeneratorModel(trainer.G_ema, means, metadata, file_digest(path))
        seeds = list(range(_SHEET_COLUMNS))
        sheet = {name: model.sample(name, seeds, psi=1.0) for name in model.conditions}
        write_synthetic_sheet(
            self.run.path / f"fakes{kimg:06d}.png", model, list(sheet), list(sheet.values())
        )
        write_state(self.run.path / _STATE, {**trainer.state_dict(), "metadata": self.metadata})
        self.latest, self.saved_at = path, trainer.images_seen


def _metadata(
    config: ResolvedTraining, cohort: Cohort, part: Cohort, ancestry: list[dict[str, Any]]
) -> dict[str, Any]:
    """What a snapshot says of itself, beside its weights; `part` is what is trained on.

    The folds that an ancestor has seen of the same cohort count as trained on here too.
    """
    folds = set(part.rows["fold"])
    for link in ancestry:
        if link["cohort_digest"] == cohort.digest:
            folds |= set(link["trained_on_folds"])
    return {
        "conditions": cohort.conditions,
        "cohort_digest": cohort.digest,
        "trained_on_folds": sorted(folds),
        "started_from": ancestry,
        "images": len(part),
        "phantom": cohort.phantom,
        "config": config.model_dump(mode="json"),
        "generator": generator_kwargs(config, len(cohort.conditions)),
        "discriminator": discriminator_kwargs(config, len(cohort.conditions)),
    }


def _ancestry(ancestor: dict[str, Any]) -> list[dict[str, Any]]:
    """The links of a training that starts from a snapshot with this metadata: it, then its own ancestors."""
    own = {key: ancestor[key] for key in ("cohort_digest", "trained_on_folds", "phantom")}
    return [own, *ancestor["started_from"]]


def _read_state(path: Path, device: torch.device) -> dict[str, Any]:
    """The state of an interrupted run, with checked metadata."""
    state = read_state(path, device)
    metadata = state.get("metadata")
    if not isinstance(metadata, dict):
        raise UserError(f"{path}: the training state is damaged (no metadata); delete it to start again.")
    return {**state, "metadata": checked_metadata(path, metadata)[1]}


def _resumed_ancestry(state: dict[str, Any], named: list[dict[str, Any]], path: Path) -> list[dict[str, Any]]:
    """What an interrupted run started from, as its state says; `named` follow from a snapshot given again."""
    saved: list[dict[str, Any]] = state["metadata"]["started_from"]
    if not named:
        return saved
    if named[: max(len(saved), 1)] != saved:  # states of earlier versions know the first link only
        raise UserError(
            f"{path.parent}: this run was not started from this snapshot; leave --start-from out to go on, "
            "or give another run folder."
        )
    return named


def _resume(trainer: GeneratorTrainer, state: dict[str, Any], path: Path, metadata: dict[str, Any]) -> None:
    """Go on from the state of an interrupted run, refusing one that was trained on something else."""
    for field in ("conditions", "cohort_digest", "trained_on_folds", "images", "config"):
        if not _same(field, state["metadata"].get(field), metadata[field]):
            raise UserError(
                f"{path.parent}: this run was started with another {field}; give the same settings to go on, "
                "or another run folder."
            )
    try:
        trainer.load_state_dict(state)
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise UserError(
            f"{path}: the training state is damaged ({reason}); delete it to start again."
        ) from error


def _same(field: str, before: Any, now: Any) -> bool:
    """Equal, except that a run may be made longer or logged differently."""
    if field != "config" or not isinstance(before, dict):
        return before == now
    free = {"kimg", "tick_kimg", "snapshot_ticks"}
    return {k: v for k, v in before.items() if k not in free} == {
        k: v for k, v in now.items() if k not in free
    }


def _start_from(
    trainer: GeneratorTrainer,
    path: Path,
    ancestor: tuple[Generator, torch.Tensor, dict[str, Any]],
    metadata: dict[str, Any],
    console: Console,
) -> None:
    """Begin with the weights of a snapshot of the same conditions.

    What matches by name and shape is copied, so that a snapshot of half the resolution serves too
    (progressive growing, Karras et al. 2018). What does not match starts anew and is listed.
    """
    network, _, described = ancestor
    if described["conditions"] != metadata["conditions"]:
        raise UserError(
            f"{path}: made for {', '.join(described['conditions'])}; "
            f"the cohort has {', '.join(metadata['conditions'])}."
        )
    anew = copy_matching(network.state_dict(), trainer.G, path)
    copy_matching(network.state_dict(), trainer.G_ema, path)
    anew += copy_matching(read_discriminator(path).state_dict(), trainer.D, path)
    if anew:
        console.print(f"Starting anew, since {path} has no match: {', '.join(anew)}", highlight=False)


def copy_matching(source: dict[str, torch.Tensor], network: torch.nn.Module, path: Path) -> list[str]:
    """Copy the tensors that match by name and shape; return the modules that have others.

    Raises:
        UserError: fewer than half of the network's tensors match: another architecture.
    """
    target = network.state_dict()
    matching = {
        name: tensor
        for name, tensor in source.items()
        if name in target and target[name].shape == tensor.shape
    }
    if 2 * len(matching) < len(target):
        raise UserError(
            f"{path}: only {len(matching)} of {len(target)} tensors of the {type(network).__name__.lower()} "
            "fit; train with the preset that made the snapshot."
        )
    network.load_state_dict({**target, **matching})
    return sorted({name.rpartition(".")[0] for name in target.keys() - matching.keys()})


def _reals_by_condition(images: np.ndarray, cohort: Cohort) -> list[np.ndarray]:
    return [images[cohort.labels == k][:_SHEET_COLUMNS] for k in range(len(cohort.conditions))]

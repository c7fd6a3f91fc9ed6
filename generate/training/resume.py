"""Resuming: the state of an unfinished training is read from its run folder and checked (spec 4)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from morphoscope.configs import UserError
from morphoscope.configs.generator import GeneratorTraining, ResolvedTraining
from morphoscope.configs.loading import validated
from morphoscope.configs.schema import Resume, fields_marked, fields_of
from morphoscope.generate.description import Ancestor, SnapshotMetadata
from morphoscope.generate.training.trainer import GeneratorTrainer
from morphoscope.runtime.torch_checkpoints import read_state

STATE = "training-state.pt"
_REMEDY = "Choose another run folder, and --start-from with the newest snapshot of this one."


@dataclass(frozen=True)
class Unfinished:
    """A training whose state is in its run folder.

    Attributes:
        metadata: of its snapshots.
        state: what `GeneratorTrainer.load_state_dict` takes, on the CPU.
    """

    metadata: SnapshotMetadata
    state: dict[str, Any]


def read_unfinished(run: Path) -> Unfinished | None:
    """The training that a run folder holds the state of; None where there is no state.

    Raises:
        UserError: it is damaged.
    """
    path = run / STATE
    if not path.exists():
        return None
    state = read_state(path)
    metadata = state.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("config"), dict):
        raise UserError(f"{path}: the training state is damaged (no metadata). {_REMEDY}")
    return Unfinished(SnapshotMetadata.from_json(metadata, path), state)


def resumed_ancestry(run: Path, unfinished: Unfinished, requested: list[Ancestor]) -> list[Ancestor]:
    """What an interrupted run started from.

    Args:
        requested: the lineage of the snapshot in --start-from; empty if the option is not given again.

    Raises:
        UserError: the run was started from another snapshot, or from none.
    """
    saved = unfinished.metadata.started_from
    if not requested:
        return saved
    if requested[: max(len(saved), 1)] != saved:  # states of earlier versions hold the first ancestor only
        raise UserError(
            f"{run}: this run was not started from this snapshot; leave --start-from out to resume it, "
            "or choose another run folder."
        )
    return requested


def resumed_config(config: GeneratorTraining, unfinished: Unfinished, processes: int) -> GeneratorTraining:
    """The config with the values that the interrupted run had derived, where `config` leaves them open.

    Fields that the `auto` rule fills depend on the number of processes. What a start from a snapshot decides
    (the shape of the networks, that no transition begins again) stays decided.
    """
    before = unfinished.metadata.config
    settings = config.model_dump()
    kept = {name for name in _fields(Resume.KEEPS_AUTOMATIC) if settings[name] is None}
    micro_batch = before.get("micro_batch")
    if not isinstance(micro_batch, int) or micro_batch < 1 or before["batch"] % (micro_batch * processes):
        kept.discard("micro_batch")  # this number of processes cannot share such a batch
        kept.discard("mbstd_group")
    if unfinished.metadata.started_from:
        kept |= _fields(Resume.KEEPS_SNAPSHOTS)
    return validated(GeneratorTraining, settings | {k: before[k] for k in kept & before.keys()})


def resume(trainer: GeneratorTrainer, run: Path, unfinished: Unfinished, metadata: SnapshotMetadata) -> None:
    """Load the state of an interrupted run into `trainer`.

    Args:
        metadata: of the training as it is requested now.

    Raises:
        UserError: the run was trained on other images or with other settings, or the state is damaged.
    """
    before = unfinished.metadata
    for field in ("conditions", "cohort_digest", "trained_on_folds", "images"):
        if getattr(before, field) != getattr(metadata, field):
            raise UserError(
                f"{run}: this run was started with another {field}; use the same settings to resume it, "
                "or another run folder."
            )
    changed = _changed_settings(before.config, trainer.config)
    if changed:
        raise UserError(
            f"{run}: this run was started with another config ({', '.join(changed)}); use the same settings "
            "to resume it, or another run folder."
        )
    try:
        trainer.load_state_dict(unfinished.state)
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise UserError(f"{run / STATE}: the training state is damaged ({reason}). {_REMEDY}") from error


def _changed_settings(before: dict[str, Any], now: ResolvedTraining) -> list[str]:
    """Names of the settings that differ; a setting unknown to an earlier version had its default then."""
    known = {name: value for name, value in before.items() if name in fields_of(GeneratorTraining)}
    earlier = validated(GeneratorTraining, known).resolved().model_dump(mode="json")
    settings = now.model_dump(mode="json")
    dropped = before.keys() - known.keys()
    changed = {name for name in settings if earlier[name] != settings[name]}
    return sorted(changed - _fields(Resume.MAY_CHANGE) | dropped)


def _fields(rule: Resume) -> frozenset[str]:
    return fields_marked(GeneratorTraining, rule)

"""Resuming: the state of an unfinished training is read from its run folder and checked (spec 4)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from morphoscope.configs import UserError
from morphoscope.configs.generator import GeneratorTraining
from morphoscope.configs.loading import validated
from morphoscope.configs.schema import Resume, fields_marked
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


def recorded(unfinished: Unfinished, record: dict[str, Any] | None) -> dict[str, Any]:
    """What an interrupted run was asked for, as `Request.as_json` gives it, by its state.

    Args:
        record: of the run folder, which knows the cohort's images; None if an earlier version began the run.
    """
    metadata = unfinished.metadata
    cohort: dict[str, Any] = {"digest": metadata.cohort_digest}
    if metadata.config.get("conditional", True):
        cohort["conditions"] = dict.fromkeys(metadata.conditions)
    noted = ((record or {}).get("inputs") or {}).get("cohort") or {}
    return {
        "command": GeneratorTraining.command,
        "settings": metadata.config,
        "inputs": {
            "cohort": noted if noted.get("digest") == metadata.cohort_digest else cohort,
            "trained_on_folds": metadata.trained_on_folds,
        },
    }


def resume(trainer: GeneratorTrainer, run: Path, unfinished: Unfinished) -> None:
    """Load the state of an interrupted run into `trainer`; UserError if the state is damaged."""
    try:
        trainer.load_state_dict(unfinished.state)
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise UserError(f"{run / STATE}: the training state is damaged ({reason}). {_REMEDY}") from error


def _fields(rule: Resume) -> frozenset[str]:
    return fields_marked(GeneratorTraining, rule)

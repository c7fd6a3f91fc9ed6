"""The state of an unfinished training in its run folder: written, found again, checked (spec 4)."""

from pathlib import Path
from typing import Any

from morphoscope.configs import UserError
from morphoscope.configs.generator import GeneratorTraining, ResolvedTraining
from morphoscope.configs.loading import validated
from morphoscope.generate.description import checked_metadata
from morphoscope.generate.training.architecture import DECIDED_BY_SNAPSHOT
from morphoscope.generate.training.trainer import GeneratorTrainer
from morphoscope.runtime.torch_checkpoints import read_state

STATE = "training-state.pt"
_BY_RULE = {
    "batch",
    "micro_batch",
    "mbstd_group",
    "channel_base",
    "lr",
    "gamma",
    "ema_kimg",
    "unconditional_output",
}
_REMEDY = "Give another run folder, with --start-from and this one's newest snapshot."
# A run may be made longer, watched differently, recorded or not, and shared among other numbers of processes.
_FREE = {
    "kimg",
    "tick_kimg",
    "snapshot_ticks",
    "keep_snapshots",
    "metric_network",
    "metric_images",
    "track",
    "cuda_graphs",
    "micro_batch",
    "mbstd_group",
}


def read_unfinished(run: Path) -> dict[str, Any] | None:
    """The state of an interrupted training in a run folder, on the CPU; None where there is none.

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
    return {**state, "metadata": checked_metadata(path, metadata)[1]}


def resumed_ancestry(run: Path, state: dict[str, Any], named: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What an interrupted run started from, as its state says; `named` follow from a snapshot given again."""
    saved: list[dict[str, Any]] = state["metadata"]["started_from"]
    if not named:
        return saved
    if named[: max(len(saved), 1)] != saved:  # states of earlier versions know the first link only
        raise UserError(
            f"{run}: this run was not started from this snapshot; leave --start-from out to go on, "
            "or give another run folder."
        )
    return named


def as_begun(config: GeneratorTraining, state: dict[str, Any], processes: int) -> GeneratorTraining:
    """The config with what the interrupted run had worked out for itself, and nobody asks to change.

    Fields that the `auto` rule fills depend on the number of processes; what starting from a snapshot decides
    (the networks' shape, that no transition begins again) stays decided.
    """
    before: dict[str, Any] = state["metadata"]["config"]
    kept = {name for name in _BY_RULE if getattr(config, name) is None}
    micro_batch = before.get("micro_batch")
    if not isinstance(micro_batch, int) or micro_batch < 1 or before["batch"] % (micro_batch * processes):
        kept.discard("micro_batch")  # these processes cannot share a batch like that
        kept.discard("mbstd_group")
    if state["metadata"]["started_from"]:
        kept |= DECIDED_BY_SNAPSHOT
    return validated(GeneratorTraining, config.model_dump() | {k: before[k] for k in kept & before.keys()})


def resume(trainer: GeneratorTrainer, run: Path, state: dict[str, Any], metadata: dict[str, Any]) -> None:
    """Go on from the state of an interrupted run.

    Raises:
        UserError: it was trained on something else or with other settings, or the state is damaged.
    """
    before = state["metadata"]
    for field in ("conditions", "cohort_digest", "trained_on_folds", "images"):
        if before.get(field) != metadata[field]:
            raise UserError(
                f"{run}: this run was started with another {field}; give the same settings to go on, "
                "or another run folder."
            )
    changed = _changed_settings(before["config"], trainer.config)
    if changed:
        raise UserError(
            f"{run}: this run was started with another config ({', '.join(changed)}); give the same settings "
            "to go on, or another run folder."
        )
    try:
        trainer.load_state_dict(state)
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise UserError(f"{run / STATE}: the training state is damaged ({reason}). {_REMEDY}") from error


def _changed_settings(before: dict[str, Any], now: ResolvedTraining) -> list[str]:
    """Names of the settings that differ; one that an earlier version did not know had its default then."""
    known = {name: value for name, value in before.items() if name in GeneratorTraining.model_fields}
    earlier = validated(GeneratorTraining, known).resolved().model_dump(mode="json")
    settings = now.model_dump(mode="json")
    dropped = before.keys() - known.keys()
    return sorted({name for name in settings if earlier[name] != settings[name]} - _FREE | dropped)

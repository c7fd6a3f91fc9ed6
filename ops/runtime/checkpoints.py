"""Weights that describe themselves: safetensors with JSON metadata, written atomically, never unpickled."""

import json
import pickle
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from morphoscope.configs import UserError
from morphoscope.ops.runtime.files import write_atomically

_KEY = "morphoscope"


def write_checkpoint(
    path: Path, kind: str, tensors: dict[str, torch.Tensor], metadata: dict[str, Any]
) -> None:
    """Write `tensors` and JSON-able `metadata` to one safetensors file.

    Args:
        kind: what the file holds ("generator", "ensemble"); checked again on reading.
        metadata: config, class names, cohort digest …; `kind`, `version` and `git_revision` are added.
    """
    described = {**metadata, "kind": kind, "version": _version(), "git_revision": _git_revision()}
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with write_atomically(path) as temporary:
        save_file(contiguous, temporary, metadata={_KEY: json.dumps(described)})


def read_checkpoint(path: Path, kind: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read a file written by `write_checkpoint`: (tensors on CPU, metadata).

    Raises:
        UserError: missing, cut short, not safetensors, not ours, or of another kind.
    """
    metadata = read_metadata(path, kind)
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118 (not a dict)
    except SafetensorError as error:
        raise UserError(f"{path}: damaged checkpoint ({error}).") from error


def read_metadata(path: Path, kind: str) -> dict[str, Any]:
    """Read only the metadata of a checkpoint; errors as for `read_checkpoint`."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint file.")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
    except SafetensorError as error:
        raise UserError(f"{path}: not a safetensors checkpoint, or cut short ({error}).") from error
    try:
        metadata = json.loads(header[_KEY])
    except (KeyError, ValueError) as error:
        raise UserError(f"{path}: safetensors, but not a Morphoscope checkpoint.") from error
    if metadata.get("kind") != kind:
        raise UserError(f"{path}: expected a checkpoint of kind '{kind}', this is '{metadata.get('kind')}'.")
    return metadata


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write the state of an unfinished training (tensors and plain values), atomically."""
    with write_atomically(path) as temporary:
        torch.save(state, temporary)


def read_state(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read what `write_state` wrote, without executing anything in it.

    Raises:
        UserError: the file cannot be read, is damaged, or holds more than tensors and plain values.
    """
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except (RuntimeError, OSError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise UserError(f"{path}: the training state is damaged; delete it to start again.") from error


def _version() -> str:
    try:
        return version("morphoscope")
    except PackageNotFoundError:
        return "not installed"


def _git_revision() -> str:
    """Revision of the source tree we run from, or "unknown" for an installed wheel."""
    try:
        result = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return result.stdout.strip() if result.returncode == 0 else "unknown"

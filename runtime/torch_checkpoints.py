"""Checkpoints: safetensors with JSON metadata, written atomically and never unpickled."""

import json
import pickle
import struct
import subprocess
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save, save_file

from morphoscope.configs import UserError
from morphoscope.configs.user_files import open_regular
from morphoscope.runtime.files import write_atomically
from morphoscope.runtime.version import version

_KEY = "morphoscope"
_MAX_HEADER = 64 << 20  # bytes; a million names of training images take 20 MB
_MAX_TENSORS = 200_000
_DTYPES = (
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
    torch.int64,
    torch.int32,
    torch.uint8,
    torch.bool,
)
# What torch's restricted unpickler raises for damaged or forbidden content; it checks few operands.
_DAMAGED = (
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    struct.error,
    pickle.UnpicklingError,
)


def write_checkpoint(
    path: Path, kind: str, tensors: dict[str, torch.Tensor], metadata: dict[str, Any]
) -> None:
    """Write `tensors` and JSON-able `metadata` to one safetensors file.

    Args:
        kind: of the content, e.g. "generator" or "ensemble"; checked when the file is read.
        metadata: config, class names, cohort digest …; `kind`, `version` and `git_revision` are added.

    Raises:
        UserError: the folder cannot be written or the disk is full.
    """
    with write_atomically(path) as temporary:
        try:
            save_file(_contiguous(tensors), temporary, metadata=_header(kind, metadata))
        except SafetensorError as error:  # how safetensors reports a full disk
            raise UserError(f"{path}: cannot be written; is the disk full? ({error})") from error


def checkpoint_bytes(kind: str, tensors: dict[str, torch.Tensor], metadata: dict[str, Any]) -> bytes:
    """The file that `write_checkpoint` would write, for `parse_checkpoint`."""
    return bytes(save(_contiguous(tensors), metadata=_header(kind, metadata)))


def _contiguous(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _header(kind: str, metadata: dict[str, Any]) -> dict[str, str]:
    described = {**metadata, "kind": kind, "version": version(), "git_revision": _git_revision()}
    return {_KEY: json.dumps(described)}


def read_checkpoint(path: Path, kind: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read a file written by `write_checkpoint`: (tensors on CPU, metadata).

    Raises:
        UserError: the file is missing, truncated, not in safetensors format, from another program, or of
            another kind; or a tensor has values that are not numbers.
    """
    metadata = read_metadata(path, kind)
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            if len(names) > _MAX_TENSORS:
                raise UserError(f"{path}: more than {_MAX_TENSORS} tensors; refused.")
            tensors = {name: file.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise UserError(f"{path}: damaged checkpoint ({error}).") from error
    _check_tensors(tensors, str(path))
    return tensors, metadata


def parse_checkpoint(data: bytes, name: str, kind: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """What `read_checkpoint` reads, from the bytes of a file; `name` stands for it in the same errors."""
    size = int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8 : 8 + min(size, _MAX_HEADER)])["__metadata__"]
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{name}: not a safetensors checkpoint, or truncated.") from error
    metadata = _checked_metadata(header, name, kind)
    try:
        tensors = load(data)
    except SafetensorError as error:
        raise UserError(f"{name}: damaged checkpoint ({error}).") from error
    _check_tensors(tensors, name)
    return tensors, metadata


def _check_tensors(tensors: dict[str, torch.Tensor], file: str) -> None:
    for name, tensor in tensors.items():
        if tensor.dtype not in _DTYPES:
            raise UserError(f"{file}: tensor {name[:80]!r} has type {tensor.dtype}, which no checkpoint has.")
        if not torch.isfinite(tensor).all():
            raise UserError(
                f"{file}: tensor {name[:80]!r} has values that are not numbers (NaN or infinite). The "
                "training diverged, or the file is damaged; use an earlier checkpoint."
            )


def read_metadata(path: Path, kind: str) -> dict[str, Any]:
    """Read only the metadata of a checkpoint; errors as for `read_checkpoint`."""
    path = Path(path)
    _require_small_header(path)
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
    except SafetensorError as error:
        raise UserError(f"{path}: not a safetensors checkpoint, or truncated ({error}).") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error}).") from error
    return _checked_metadata(header, str(path), kind)


def checkpoint_kind(path: Path) -> str | None:
    """The kind of a checkpoint, from its header alone; None for any other file.

    Raises:
        UserError: the file cannot be opened.
    """
    with open_regular(path) as file:
        size = int.from_bytes(file.read(8), "little")
        header = file.read(size) if size <= _MAX_HEADER else b""
    try:
        return str(json.loads(json.loads(header)["__metadata__"][_KEY])["kind"])
    except (KeyError, ValueError, TypeError, RecursionError):
        return None


def _checked_metadata(header: dict[str, str], file: str, kind: str) -> dict[str, Any]:
    try:
        metadata = dict(json.loads(header[_KEY]))
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{file}: a safetensors file, but not a Morphoscope checkpoint.") from error
    if metadata.get("kind") != kind:
        raise UserError(f"{file}: expected a checkpoint of kind '{kind}', found '{metadata.get('kind')}'.")
    return metadata


def _require_small_header(path: Path) -> None:
    """Raise UserError if the header, which is parsed as a whole, claims to be larger than any of ours."""
    with open_regular(path) as file:
        size = int.from_bytes(file.read(8), "little")
    if size > _MAX_HEADER:
        raise UserError(f"{path}: not a safetensors checkpoint, or its header is larger than 64 MiB.")


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write the state of an unfinished training (tensors and plain values), atomically.

    Raises:
        UserError: the folder cannot be written or the disk is full.
    """
    with write_atomically(path) as temporary:
        try:
            torch.save(state, temporary)
        except RuntimeError as error:  # how torch reports a full disk
            raise UserError(f"{path}: cannot be written; is the disk full? ({error})") from error


def read_state(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read what `write_state` wrote, without executing anything in it.

    Raises:
        UserError: the file cannot be read, is damaged, or contains more than tensors and plain values.
    """
    try:
        with open_regular(path) as file:
            state = torch.load(file, map_location=device, weights_only=True)
    except UserError:
        raise
    except OSError as error:
        # torch reports truncated files in this way, too (EINVAL).
        raise UserError(
            f"{path}: cannot be read ({error.strerror or error}); if it is damaged, delete it to start again."
        ) from error
    except _DAMAGED as error:
        kind = type(error).__name__
        raise UserError(
            f"{path}: the training state is damaged ({kind}); delete it to start again."
        ) from error
    if not isinstance(state, dict):
        raise UserError(f"{path}: not a training state; delete it to start again.")
    return state


def _git_revision() -> str:
    """Revision of the source tree that this code runs from, or "unknown" for an installed wheel.

    A wheel may be inside another repository, for example one that contains the user's virtual environment.
    """
    here = Path(__file__).resolve().parent
    command = ["git", "rev-parse", "--show-toplevel", "HEAD"]
    try:
        result = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    top, _, revision = result.stdout.strip().partition("\n")
    ours = result.returncode == 0 and Path(top).resolve() == here.parent
    return revision if ours else "unknown"

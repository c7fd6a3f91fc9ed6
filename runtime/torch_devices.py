"""Devices, and the precision of computations on them."""

import torch

from morphoscope.configs import UserError
from morphoscope.configs.arguments import refuse


def resolve_device(name: torch.device | str = "auto") -> torch.device:
    """Turn "auto" (a GPU if there is one), "cpu", "cuda" or "cuda:1" into a device; a device is returned.

    Raises:
        UserError: an unknown name, or a GPU that is not usable here.
    """
    if isinstance(name, torch.device):
        return name
    if not isinstance(name, str):
        refuse("device", "a torch.device, or auto, cpu, cuda or cuda:N", name)
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f"--device {name}: unknown device; use auto, cpu, cuda or cuda:N.") from error
    if device.type not in {"cpu", "cuda"}:
        raise UserError(f"--device {name}: only cpu and cuda are supported.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"--device {name}: torch sees {torch.cuda.device_count()} CUDA devices here; try --device cpu."
        )
    return device


def set_precision(device: torch.device, tf32: bool) -> None:
    """Allow or forbid TF32 rounding in float32 products and convolutions on a GPU, in the whole process."""
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        torch.backends.cudnn.allow_tf32 = tf32


def to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Copy a CPU tensor to `device` without waiting for pending work of a GPU."""
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)

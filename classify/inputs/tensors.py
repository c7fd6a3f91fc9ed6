"""Images as tensors, and how many of them per forward pass."""

import numpy as np
import torch
from torch import Tensor

from morphoscope.runtime.torch_devices import to_device


def images_at_a_time(resolution: int) -> int:
    """Batch size that limits memory: 64 images at 128 px, inversely proportional to the number of pixels."""
    return max(1, 64 * 128**2 // resolution**2)


def to_tensor(images: np.ndarray, device: torch.device) -> Tensor:
    """uint8 [N, H, W, 3] -> float32 [N, 3, H, W] in [0, 1], channels last in memory."""
    tensor = to_device(torch.from_numpy(np.ascontiguousarray(images)), device)
    return tensor.permute(0, 3, 1, 2).float().div_(255)

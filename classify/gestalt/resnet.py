"""dlib's ResNet for faces (King 2017, `dnn_face_recognition_ex`): 128 numbers per face, as a torch module."""

from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from morphoscope.classify.gestalt.bundled_networks import RESNET
from morphoscope.runtime.torch_checkpoints import read_checkpoint

# (name, channels, whether it halves the resolution), in the order of the network
_BLOCKS = [(f"conv32_{number}", 32, False) for number in (1, 2, 3)]
_BLOCKS += [("conv64_down", 64, True), *((f"conv64_{number}", 64, False) for number in (1, 2, 3))]
_BLOCKS += [("conv128_down", 128, True), ("conv128_1", 128, False), ("conv128_2", 128, False)]
_BLOCKS += [("conv256_down", 256, True), ("conv256_1", 256, False), ("conv256_2", 256, False)]
_BLOCKS += [("conv256_down_out", 256, True)]
_MEANS = (122.782, 117.001, 104.298)  # of red, green and blue
SIZE = 150


class FaceResNet(nn.Module):
    """dlib's network of 29 convolutions; here their weights include its per-channel scales."""

    def __init__(self) -> None:
        super().__init__()
        self.conv32_down = nn.Conv2d(3, 32, 7, stride=2)
        before = 32
        for name, channels, down in _BLOCKS:
            self.add_module(name, _Block(before, channels, down))
            before = channels
        self.fc = nn.Linear(before, 128, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings, float32 [N, 128], of which those of one person are less than about 0.6 apart.

        Args:
            images: float32 RGB [N, 3, 150, 150], 0 to 255.
        """
        normalised = (images - images.new_tensor(_MEANS)[:, None, None]) / 256
        x = functional.max_pool2d(functional.relu(self.conv32_down(normalised)), 3, stride=2)
        for name, _, _ in _BLOCKS:
            x = self.get_submodule(name)(x)
        found: Tensor = self.fc(x.mean(dim=(2, 3)))
        return found


class _Block(nn.Module):
    """Two 3x3 convolutions and a shortcut, both zero-padded where the other has more rows or channels."""

    def __init__(self, before: int, channels: int, down: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, channels, 3, stride=2 if down else 1, padding=0 if down else 1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self._down = down

    def forward(self, x: Tensor) -> Tensor:
        found = self.conv2(functional.relu(self.conv1(x)))
        if self._down:
            x = functional.avg_pool2d(x, 2)
            rows, columns = (x.shape[axis] - found.shape[axis] for axis in (2, 3))
            found = functional.pad(found, (0, columns, 0, rows))
            x = functional.pad(x, (0, 0, 0, 0, 0, found.shape[1] - x.shape[1]))
        return functional.relu(found + x)


@cache
def face_resnet() -> FaceResNet:
    """The network with its bundled weights, in evaluation mode on the CPU."""
    stored, _ = read_checkpoint(RESNET, "face encoder")
    values = {name: _dequantised(stored, name) for name in stored if not name.endswith("/range")}
    state = {"fc.weight": values.pop("fc")}
    for name in [key.removesuffix(".conv.filters") for key in values if key.endswith(".conv.filters")]:
        filters, bias, weights, shift = (
            values[f"{name}.{part}"]
            for part in ("conv.filters", "conv.bias", "scale.weights", "scale.biases")
        )
        state[f"{name}.weight"] = filters * weights[:, None, None, None]
        state[f"{name}.bias"] = bias * weights + shift
    network = FaceResNet()
    network.load_state_dict(state)
    return network.eval().to(memory_format=torch.channels_last).requires_grad_(False)


def _dequantised(stored: dict[str, Tensor], name: str) -> Tensor:
    if f"{name}/range" not in stored:
        return stored[name]
    scale, least = stored[f"{name}/range"]
    return stored[name] * scale + least

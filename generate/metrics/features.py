"""Networks whose features the metrics use to compare images."""

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from morphoscope.configs import UserError
from morphoscope.configs.generator import DEFAULT_NETWORK
from morphoscope.generate.model import file_digest
from morphoscope.runtime.progress import track
from morphoscope.runtime.torch_devices import resolve_device
from morphoscope.runtime.torch_offline_weights import (
    OFFLINE_BACKBONE,
    offline_file,
    offline_state,
    read_weights,
)

INCEPTION = "inception"  # the only network whose values may be called FID and KID
# First 16 hex digits of the SHA-256 of the weights of 2015-12-05 as torch tensors; pytorch-fid publishes them
# as pt_inception-2015-12-05-6726825d.pth (the name contains the first 8). The full digest is recorded at
# huggingface.co/RaphaelLiu/EvalCrafter-Models, commit 6040b4d:
# 6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2
PUBLISHED_INCEPTION = "6726825d0af5f729"


class FeatureNetwork:
    """A fixed network that computes features of images.

    Attributes:
        name: part of the name of every value that is computed with it.
        digest: first 16 hex digits of the SHA-256 of its weights file.
        dimensions: D, number of features.
    """

    def __init__(
        self,
        name: str,
        digest: str,
        module: nn.Module,
        *,
        dimensions: int,
        size: int,
        middle: float,
        device: torch.device,
    ) -> None:
        """For `load_feature_network`, and for tests with a small module.

        Args:
            module: float32 [N, 3, size, size] => [N, D].
            size: of its input, pixels.
            middle: pixel values from 0 to 255 are scaled to (value - middle) / middle.
        """
        self.name = name
        self.digest = digest
        self.dimensions = dimensions
        module = module.to(memory_format=torch.channels_last)
        self._module = module.eval().requires_grad_(False).to(device)
        self._size = size
        self._middle = middle
        self._device = device

    @torch.inference_mode()
    def features(
        self, images: np.ndarray, batch: int | None = None, description: str = "Computing features"
    ) -> np.ndarray:
        """uint8 [N, H, W, 3] RGB => float32 [N, D].

        Images are resized to the network's input size by antialiased bicubic resampling, as in PIL, but in
        float32 without rounding to 8 bits or clamping (Parmar et al. 2022, "On Aliased Resizing").

        Args:
            batch: number of images processed at once; by default 64 on a GPU, and 4 on a CPU because of its
                caches. It affects the result only by rounding.
            description: of the progress bar.
        """
        batch = batch or (64 if self._device.type == "cuda" else 4)
        found = [np.zeros((0, self.dimensions), np.float32)]
        for start in track(range(0, len(images), batch), description):
            part = torch.from_numpy(np.array(images[start : start + batch])).to(self._device)
            pixels = part.permute(0, 3, 1, 2).to(torch.float32)  # NHWC => NCHW, channels last in memory
            pixels = resized(pixels, self._size)
            found.append(self._module((pixels - self._middle) / self._middle).float().cpu().numpy())
        return np.concatenate(found)


def resized(images: torch.Tensor, size: int) -> torch.Tensor:
    """Float [N, 3, H, W] => [N, 3, size, size], bicubic and antialiased; the value range is arbitrary."""
    if images.shape[-2:] == (size, size):
        return images
    return functional.interpolate(images, (size, size), mode="bicubic", antialias=True)


def load_feature_network(source: str = DEFAULT_NETWORK, device: torch.device | str = "cpu") -> FeatureNetwork:
    """The feature network called `source`, or the one whose weights the file `source` holds.

    Args:
        source: "efficientnet_lite0" (timm's, with the weights of the `offline` extra; 1280 pooled features of
            224 px), or the path of a state dict of the FID variant of Inception-v3 (2048 pooled features of
            299 px). A TorchScript file is code and is not read. Only the published weights are named
            "inception"; others of that shape are named "inception_" and their digest.
        device: a device, or auto, cpu, cuda or cuda:N.

    Raises:
        UserError: the extra is not installed, or the file is missing, damaged or of another network.
    """
    where = resolve_device(device)
    if source == DEFAULT_NETWORK:
        return _efficientnet_lite0(where)
    if not Path(source).expanduser().is_file():
        raise UserError(
            f"--network {source}: neither '{DEFAULT_NETWORK}' nor a file of Inception weights "
            "(pt_inception-2015-12-05-6726825d.pth from pytorch-fid)."
        )
    return _inception(Path(source).expanduser(), where)


def efficientnet_lite0() -> nn.Module:
    """timm's EfficientNet-Lite0 with the weights of the `offline` extra and its head, on the CPU.

    Raises:
        UserError: the extra is not installed, or its file is damaged.
    """
    import timm  # here, because importing it takes seconds, which sampling does not need

    with torch.device("meta"):  # draws no random numbers, so that those of a training stay the same
        network: nn.Module = timm.create_model(OFFLINE_BACKBONE, pretrained=False)
    network.load_state_dict(offline_state(list(network.state_dict())), assign=True)
    return network


def _efficientnet_lite0(device: torch.device) -> FeatureNetwork:
    network = efficientnet_lite0()
    network.classifier = nn.Identity()
    return FeatureNetwork(
        DEFAULT_NETWORK,
        file_digest(offline_file()),
        network,
        dimensions=1280,
        size=224,
        middle=127.5,
        device=device,
    )


def _inception(path: Path, device: torch.device) -> FeatureNetwork:
    from morphoscope.generate.metrics.inception import FidInception  # torchvision takes seconds too

    state = read_weights(path)
    with torch.device("meta"):
        network = FidInception()
    try:
        network.load_state_dict({name: value.float() for name, value in state.items()}, assign=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{path}: not the weights of the FID variant of Inception-v3; use "
            f"pt_inception-2015-12-05-6726825d.pth from pytorch-fid ({reason} …)."
        ) from error
    network.fc = nn.Identity()
    digest = file_digest(path)
    return FeatureNetwork(
        INCEPTION if digest == PUBLISHED_INCEPTION else f"{INCEPTION}_{digest[:8]}",
        digest,
        network,
        dimensions=2048,
        size=299,
        middle=128.0,
        device=device,
    )

"""Networks whose features the metrics use to compare images."""

import re
from collections.abc import Callable, Sequence
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

TIMM = "timm:"  # before the name of one of its models
_TIMM_NAME = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)?")
INCEPTION = "inception"  # the only network whose values may be called FID and KID
# First 16 hex digits of the SHA-256 of the weights of 2015-12-05 as torch tensors; pytorch-fid publishes them
# as pt_inception-2015-12-05-6726825d.pth (the name contains the first 8). The full digest is recorded at
# huggingface.co/RaphaelLiu/EvalCrafter-Models, commit 6040b4d:
# 6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2
PUBLISHED_INCEPTION = "6726825d0af5f729"

_Colour = float | Sequence[float]


class FeatureNetwork:
    """A fixed network that computes features of images: a function with a name.

    Attributes:
        name: part of the name of every value that is computed with it.
        digest: first 16 hex digits of the SHA-256 of its weights file.
        dimensions: D, number of features.
    """

    def __init__(
        self,
        name: str,
        digest: str,
        compute: Callable[[np.ndarray], np.ndarray],
        *,
        dimensions: int,
        batch: int = 64,
    ) -> None:
        """Any function of images will do, e.g. a `NetworkFunction`, or one of a classifier.

        Args:
            compute: uint8 [n, H, W, 3] RGB => float32 [n, D], each image by itself.
            batch: number of images that `compute` takes at once.
        """
        self.name, self.digest, self.dimensions = name, digest, dimensions
        self._compute, self._batch = compute, batch

    def features(
        self, images: np.ndarray, batch: int | None = None, description: str = "Computing features"
    ) -> np.ndarray:
        """uint8 [N, H, W, 3] RGB => float32 [N, D].

        Args:
            batch: number of images processed at once; by default what suits the network. It affects the
                result only by rounding.
            description: of the progress bar.
        """
        batch = batch or self._batch
        found = [np.zeros((0, self.dimensions), np.float32)]
        for start in track(range(0, len(images), batch), description):
            found.append(self._compute(images[start : start + batch]))
        return np.concatenate(found)


class NetworkFunction:
    """The features that a torch module computes of images of any size.

    Images are resized to the module's input size by antialiased bicubic resampling, as in PIL, but in float32
    without rounding to 8 bits or clamping (Parmar et al. 2022, "On Aliased Resizing").

    Attributes:
        batch: number of images that suit the device: 64 on a GPU, and 4 on a CPU because of its caches.
    """

    def __init__(
        self, module: nn.Module, *, size: int, mean: _Colour, sd: _Colour, device: torch.device
    ) -> None:
        """
        Args:
            module: float32 [N, 3, size, size] => [N, D].
            size: of its input, pixels.
            mean, sd: pixel values from 0 to 255 become (value - mean) / sd; one number, or one per channel.
        """
        module = module.to(memory_format=torch.channels_last)
        self.module = module.eval().requires_grad_(False).to(device)
        self.batch = 64 if device.type == "cuda" else 4
        self._size, self._device = size, device
        self._mean, self._sd = (
            torch.as_tensor(colour, dtype=torch.float32, device=device).view(-1, 1, 1)
            for colour in (mean, sd)
        )

    @torch.inference_mode()
    def __call__(self, images: np.ndarray) -> np.ndarray:
        """uint8 [N, H, W, 3] RGB => float32 [N, D]."""
        pixels = torch.from_numpy(np.array(images)).to(self._device)
        pixels = pixels.permute(0, 3, 1, 2).to(torch.float32)  # NHWC => NCHW, channels last in memory
        found: torch.Tensor = self.module((resized(pixels, self._size) - self._mean) / self._sd)
        return found.float().cpu().numpy()


def resized(images: torch.Tensor, size: int) -> torch.Tensor:
    """Float [N, 3, H, W] => [N, 3, size, size], bicubic and antialiased; the value range is arbitrary."""
    if images.shape[-2:] == (size, size):
        return images
    return functional.interpolate(images, (size, size), mode="bicubic", antialias=True)


def load_feature_network(source: str = DEFAULT_NETWORK, device: torch.device | str = "cpu") -> FeatureNetwork:
    """The feature network called `source`, or the one whose weights the file `source` holds.

    Args:
        source: "efficientnet_lite0" (timm's, with the weights of the `offline` extra; 1280 pooled features of
            224 px); "timm:NAME", any model of timm with its published weights, which are downloaded once, or
            "timm:NAME=FILE" with those in a file; or the path of a state dict of the FID variant of
            Inception-v3 (2048 pooled features of 299 px). A TorchScript file is code and is not read. Only
            the published weights are named "inception"; others of that shape are named "inception_DIGEST".
            Weights in a file add their digest to the name of timm's model in the same way.
        device: a device, or auto, cpu, cuda or cuda:N.

    Raises:
        UserError: the extra is not installed, there is no connection, or the model is unknown, or the file is
            missing, damaged or of another network.
    """
    where = resolve_device(device)
    if source == DEFAULT_NETWORK:
        return _efficientnet_lite0(where)
    if source.startswith(TIMM):
        name, _, file = source.removeprefix(TIMM).partition("=")
        return _timm(name, Path(file).expanduser() if file else None, where)
    if not Path(source).expanduser().is_file():
        raise UserError(
            f"--network {source}: neither '{DEFAULT_NETWORK}' nor '{TIMM}NAME' nor a file of Inception "
            "weights (pt_inception-2015-12-05-6726825d.pth from pytorch-fid)."
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
    compute = NetworkFunction(network, size=224, mean=127.5, sd=127.5, device=device)
    return FeatureNetwork(
        DEFAULT_NETWORK, file_digest(offline_file()), compute, dimensions=1280, batch=compute.batch
    )


def _timm(name: str, file: Path | None, device: torch.device) -> FeatureNetwork:
    """The pooled features before the head of a model of timm, for the input that it was trained with."""
    import timm

    from morphoscope.runtime.torch_timm_weights import hub_file, load_without_head, pretrained_facts

    option = f"--network {TIMM}{name}"
    if not _TIMM_NAME.fullmatch(name):  # no "hf-hub:", no path: that would load what others have written
        raise UserError(f"{option}: not a name of a timm model, e.g. {TIMM}resnet50.a1_in1k.")
    try:
        with torch.random.fork_rng(devices=[]):  # timm draws weights, which are then replaced
            network: nn.Module = timm.create_model(name, pretrained=False, num_classes=0)
    except RuntimeError as error:
        raise UserError(f"{option}: timm {timm.__version__} cannot build it ({error}).") from error
    path = file or hub_file(name, f"Give a file of its weights: {option}=FILE.")
    hint = "Name the model that the file was saved from."
    load_without_head(network, read_weights(path), str(path), name, hint)
    facts, digest = pretrained_facts(network), file_digest(path)
    compute = NetworkFunction(
        network,
        size=facts["input_size"][-1],
        mean=[255 * value for value in facts["mean"]],
        sd=[255 * value for value in facts["std"]],
        device=device,
    )
    dimensions = compute(np.zeros((1, 8, 8, 3), np.uint8)).shape[1]
    shown = f"{name}_{digest[:8]}" if file else name
    return FeatureNetwork(shown, digest, compute, dimensions=dimensions, batch=compute.batch)


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
    compute = NetworkFunction(network, size=299, mean=128.0, sd=128.0, device=device)
    name = INCEPTION if digest == PUBLISHED_INCEPTION else f"{INCEPTION}_{digest[:8]}"
    return FeatureNetwork(name, digest, compute, dimensions=2048, batch=compute.batch)

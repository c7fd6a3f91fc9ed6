"""Perceptual distances between images: differentiable, for projection, paths and their even spacing."""

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn

from morphoscope.configs import UserError
from morphoscope.configs.generator import DEFAULT_NETWORK
from morphoscope.generate.metrics.features import efficientnet_lite0, resized
from morphoscope.generate.model import file_digest
from morphoscope.generate.rendering import to_float
from morphoscope.runtime.torch_devices import resolve_device
from morphoscope.runtime.torch_offline_weights import offline_file, read_weights

LPIPS = "lpips"  # the name for the published weights of AlexNet; VGG-16's are "lpips_vgg"
_SMALLEST, _LARGEST = 64, 256  # pixels; larger images are reduced first (StyleGAN2, appendix D)
_EPSILON = 1e-10  # of the unit vectors, as in the package lpips

Backbone = Literal["alex", "vgg"]
# Beginning of the SHA-256 of torchvision's weights, as in their file names: alexnet-owt-7be5be79.pth and
# vgg16-397923af.pth.
_PUBLISHED: dict[Backbone, str] = {"alex": "7be5be79", "vgg": "397923af"}
_CONVOLUTIONS: dict[Backbone, int] = {"alex": 5, "vgg": 13}


class PerceptualNetwork:
    """A fixed network in whose feature maps images are compared.

    The distance of two images is the squared Euclidean distance of their features: maps whose channels are
    unit vectors, weighted by channel, averaged over places and summed over layers (Zhang et al. 2018, "The
    Unreasonable Effectiveness of Deep Features as a Perceptual Metric", eq. 1).

    Attributes:
        name: part of the name of every value that is computed with it.
        digest: first 16 hex digits of the SHA-256 of its weights file.
    """

    def __init__(self, name: str, digest: str, module: nn.Module, device: torch.device) -> None:
        """For `load_perceptual_network`, and for tests with a small module.

        Args:
            module: float32 [N, 3, H, W] in [-1, 1] => list of weighted maps [N, C, h, w].
        """
        self.name, self.digest, self.device = name, digest, device
        self._module = module.eval().requires_grad_(False).to(device)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """The features [N, D] of images float32 [N, 3, R, R] in [-1, 1]; differentiable.

        Images of less than 64 or more than 256 pixels are resized to these, antialiased.
        """
        size = min(max(images.shape[-1], _SMALLEST), _LARGEST)
        maps = self._module(resized(images, size))
        return torch.cat([map_.flatten(1) / map_[0, 0].numel() ** 0.5 for map_ in maps], dim=1)

    def distance(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """The distances [N] of features [N, D] from others [N, D] or [1, D]; at least 0."""
        return (a - b).square().sum(dim=1)


def as_tensor(images: np.ndarray, device: torch.device) -> torch.Tensor:
    """uint8 [N, R, R, 3] => float32 [N, 3, R, R] in [-1, 1]."""
    return to_float(torch.from_numpy(np.array(images)).to(device))


def load_perceptual_network(
    source: str = DEFAULT_NETWORK, device: torch.device | str = "cpu"
) -> PerceptualNetwork:
    """The network called `source`, or LPIPS with the backbone whose weights the file `source` holds.

    Args:
        source: "efficientnet_lite0" (weights of the `offline` extra), "lpips" (AlexNet, whose weights
            torchvision downloads once), or the path of torchvision's weights of AlexNet or VGG-16. Weights
            other than the published ones are named by their digest.
        device: a device, or auto, cpu, cuda or cuda:N.

    Raises:
        UserError: a package is not installed, there is no connection, or the file is missing, damaged or of
            another network.
    """
    where = resolve_device(device)
    if source == DEFAULT_NETWORK:
        return PerceptualNetwork(
            DEFAULT_NETWORK, file_digest(offline_file()), _Lite0Maps(efficientnet_lite0()), where
        )
    if source == LPIPS:
        return _lpips(_downloaded_alexnet(), where)
    path = Path(source).expanduser()
    if not path.is_file():
        raise UserError(
            f"--network {source}: neither '{DEFAULT_NETWORK}' nor '{LPIPS}' nor a file of weights "
            "(torchvision's alexnet-owt-7be5be79.pth or vgg16-397923af.pth)."
        )
    return _lpips(path, where)


class _Lite0Maps(nn.Module):
    """The outputs of EfficientNet-Lite0's stages at strides 2, 4, 8 and 16, all with the same weight."""

    _STAGES = 4

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        maps = self.network.forward_intermediates(  # type: ignore[operator]
            images, indices=list(range(self._STAGES)), stop_early=True, intermediates_only=True
        )
        return [_unit_channels(map_) / self._STAGES**0.5 for map_ in maps]


class _LpipsMaps(nn.Module):
    """The maps of the package lpips, times the square roots of its learned channel weights."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        weights = [linear.model[-1].weight for linear in network.lins]  # type: ignore[union-attr]
        self.roots = [weight.detach().clamp_min(0).sqrt() for weight in weights]  # [1, C, 1, 1]

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        maps = self.network.net(self.network.scaling_layer(images))  # type: ignore[operator]
        return [
            _unit_channels(map_) * root.to(map_.device) for map_, root in zip(maps, self.roots, strict=True)
        ]


def _unit_channels(map_: torch.Tensor) -> torch.Tensor:
    return map_ / (map_.square().sum(dim=1, keepdim=True).sqrt() + _EPSILON)


def _lpips(path: Path, device: torch.device) -> PerceptualNetwork:
    """LPIPS with the backbone that a file holds: AlexNet or VGG-16, recognised by its convolutions."""
    try:
        import lpips
    except ImportError as error:
        raise UserError("LPIPS needs the package lpips: pip install 'morphoscope[lpips]'.") from error

    state = read_weights(path)
    convolutions = sorted(
        (int(name.split(".")[1]), name.removesuffix(".weight"))
        for name in state
        if name.startswith("features.") and name.endswith(".weight") and name.split(".")[1].isdigit()
    )
    backbone = next((name for name, count in _CONVOLUTIONS.items() if count == len(convolutions)), None)
    if backbone is None:
        raise UserError(f"{path}: not torchvision's weights of AlexNet or VGG-16.")
    with torch.random.fork_rng(devices=[]):  # the package draws weights, which are then replaced
        network = lpips.LPIPS(net=backbone, pnet_rand=True, verbose=False)
    own = {name.partition(".")[2]: name for name in network.net.state_dict()}  # "slice2.3.weight"
    try:
        network.net.load_state_dict(
            {name: state[f"features.{layer}"].float() for layer, name in own.items()}, strict=True
        )
    except (KeyError, RuntimeError) as error:
        raise UserError(f"{path}: not torchvision's weights of AlexNet or VGG-16.") from error
    digest = file_digest(path)
    name = LPIPS if backbone == "alex" else f"{LPIPS}_{backbone}"
    published = digest.startswith(_PUBLISHED[backbone])
    return PerceptualNetwork(
        name if published else f"{name}_{digest[:8]}", digest, _LpipsMaps(network), device
    )


def _downloaded_alexnet() -> Path:
    """torchvision's weights of AlexNet in torch's cache, downloaded there if they are not."""
    from torchvision.models import AlexNet_Weights  # type: ignore[import-untyped]

    url = AlexNet_Weights.IMAGENET1K_V1.url
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name
    if not path.is_file():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), hash_prefix=_PUBLISHED["alex"])
        except (OSError, RuntimeError) as error:  # RuntimeError: another digest
            raise UserError(
                f"--network {LPIPS}: the weights cannot be downloaded from {url} ({error}). Give the path of "
                f"that file, or use {DEFAULT_NETWORK}, which needs no connection."
            ) from error
    return path

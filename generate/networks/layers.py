"""Layers with an equalised learning rate: weights stored at unit scale, multiplied at run time (spec 2)."""

from collections.abc import Callable
from inspect import Parameter, signature
from math import sqrt
from typing import Any, NamedTuple

import torch

from morphoscope.configs import UserError, arguments
from morphoscope.ops import bias_act, conv2d_resample, setup_filter
from morphoscope.ops.activations import ACTIVATIONS
from morphoscope.ops.row_products import linear, row_products

RESAMPLE_TAPS = (1, 3, 3, 1)
HALF_DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16}
ARCHITECTURES = ("orig", "skip", "resnet")


class BlockOptions(NamedTuple):
    """What all blocks of a network have in common.

    Attributes:
        img_channels: channels of the images.
        architecture: one of `ARCHITECTURES`.
        conv_clamp: largest magnitude after a convolution; None is unlimited.
    """

    img_channels: int
    architecture: str
    conv_clamp: float | None


def normalize_2nd_moment(x: torch.Tensor, epsilon: float = 1e-8) -> torch.Tensor:
    """Scale each vector of x [N, C] to a mean square of 1."""
    return x * (x.square().mean(dim=1, keepdim=True) + epsilon).rsqrt()


class FullyConnected(torch.nn.Module):
    """Linear layer and activation: [N, in_features] -> [N, out_features]."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        activation: str = "linear",
        lr_multiplier: float = 1.0,
        bias_init: float = 0.0,
    ) -> None:
        super().__init__()
        self.activation = activation
        self.weight = torch.nn.Parameter(torch.randn(out_features, in_features) / lr_multiplier)
        self.bias = torch.nn.Parameter(torch.full([out_features], bias_init))
        self.weight_gain = lr_multiplier / sqrt(in_features)
        self.bias_gain = lr_multiplier

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = self.weight.to(x.dtype)
        bias = self.bias.to(x.dtype)
        if self.bias_gain != 1:
            bias = bias * self.bias_gain
        if self.activation == "linear":
            return linear(x, weight, bias, self.weight_gain)
        return bias_act(row_products(x, weight) * self.weight_gain, bias, act=self.activation)


class ConvLayer(torch.nn.Module):
    """Convolution, resampling, bias, activation: [N, I, H, W] -> [N, O, H·up//down, W·up//down]."""

    resample_filter: torch.Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        bias: bool = True,
        activation: str = "linear",
        up: int = 1,
        down: int = 1,
        conv_clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.activation = activation
        self.up = up
        self.down = down
        self.conv_clamp = conv_clamp
        self.padding = kernel_size // 2
        self.weight = torch.nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.weight_gain = 1 / sqrt(in_channels * kernel_size**2)
        self.bias = torch.nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.register_buffer("resample_filter", setup_filter(RESAMPLE_TAPS))

    def forward(self, x: torch.Tensor, gain: float = 1.0) -> torch.Tensor:
        """Apply to x [N, I, H, W]; `gain` multiplies both the gain of the activation and the clamp."""
        x = conv2d_resample(
            x,
            self.weight.to(x.dtype) * self.weight_gain,
            self.resample_filter,
            up=self.up,
            down=self.down,
            padding=self.padding,
            weight_is_correlated=self.up == 1,
        )
        return bias_act(
            x,
            self.bias,
            act=self.activation,
            gain=ACTIVATIONS[self.activation].gain * gain,
            clamp=None if self.conv_clamp is None else self.conv_clamp * gain,
        )


def check_sizes(**sizes: int) -> None:
    """Raise UserError for a width or a number of channels that is not a whole number of at least 1."""
    for name, size in sizes.items():
        arguments.whole_number(name, size, 1)


def check_resolution(resolution: int, lowest: int) -> None:
    """Raise UserError unless this is a power of two from `lowest` to 4096."""
    size = arguments.whole_number("img_resolution", resolution)
    if not lowest <= size <= 4096 or size & (size - 1):
        arguments.refuse("img_resolution", f"a power of two from {lowest} to 4096", resolution)


def check_keywords(name: str, given: Any, network: Callable[..., Any]) -> dict[str, Any]:
    """The further keywords for a part of a network, {} for None; UserError if it has no such option."""
    keywords = {} if given is None else arguments.instance(name, given, dict, "a dict of options, or None")
    options = signature(network).parameters.items()
    known = [key for key, option in options if option.default is not Parameter.empty]
    unknown = [key for key in keywords if key not in known]
    if unknown:
        raise UserError(f"{name}: no option {unknown[0]!r}; choose from {', '.join(known)}.")
    return keywords


def check_options(architecture: str, conv_clamp: float | None, num_fp16_res: int, half_dtype: str) -> None:
    """Raise UserError for an option of a network that is unknown or out of range."""
    arguments.one_of("architecture", architecture, ARCHITECTURES)
    arguments.one_of("half_dtype", half_dtype, HALF_DTYPES)
    arguments.whole_number("num_fp16_res", num_fp16_res, 0)
    if conv_clamp is not None:
        arguments.real_number("conv_clamp", conv_clamp, 0)


def block_channels(resolution: int, channel_base: int, channel_max: int) -> int:
    """Number of feature maps at a resolution, in both networks."""
    return min(channel_base // resolution, channel_max)


def block_dtype(
    resolution: int, img_resolution: int, num_fp16_res: int, half_dtype: torch.dtype, device: torch.device
) -> torch.dtype:
    """half_dtype on a GPU at the num_fp16_res highest resolutions, if these are at least 8; else float32."""
    lowest = max(2 * img_resolution >> num_fp16_res, 8)
    half = num_fp16_res > 0 and resolution >= lowest and device.type == "cuda"
    return half_dtype if half else torch.float32

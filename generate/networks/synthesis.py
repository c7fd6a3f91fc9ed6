"""From intermediate latents to an image (StyleGAN2, sections 2 and 4; spec 2)."""

from math import log2, sqrt

import torch

from morphoscope.configs import arguments
from morphoscope.generate.networks.layers import (
    HALF_DTYPES,
    RESAMPLE_TAPS,
    BlockOptions,
    ConvLayer,
    FullyConnected,
    block_channels,
    block_dtype,
    check_options,
    check_resolution,
    check_sizes,
)
from morphoscope.ops import bias_act, modulated_conv2d, modulated_layer, setup_filter, upsample2d
from morphoscope.ops.activations import ACTIVATIONS
from morphoscope.ops.precision import autocast_of_convolutions

NOISE_MODES = ("random", "const", "none")


class SynthesisLayer(torch.nn.Module):
    """Modulated 3x3 convolution, noise, bias, leaky ReLU: x [N, I, H, W] and w [N, w_dim] -> [N, O, R, R]."""

    noise_const: torch.Tensor
    resample_filter: torch.Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        w_dim: int,
        resolution: int,
        up: int = 1,
        conv_clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.resolution = resolution
        self.up = up
        self.conv_clamp = conv_clamp
        self.affine = FullyConnected(w_dim, in_channels, bias_init=1.0)
        self.weight = torch.nn.Parameter(torch.randn(out_channels, in_channels, 3, 3))
        self.bias = torch.nn.Parameter(torch.zeros(out_channels))
        self.noise_strength = torch.nn.Parameter(torch.zeros([]))
        self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.register_buffer("resample_filter", setup_filter(RESAMPLE_TAPS))

    def forward(
        self, x: torch.Tensor, w: torch.Tensor, noise_mode: str = "random", gain: float = 1.0
    ) -> torch.Tensor:
        # No weight gain here: demodulation cancels any scale of the weights.
        return modulated_layer(
            x,
            self.weight,
            self.affine(w),
            self.resample_filter,
            up=self.up,
            noise=self._noise(x, noise_mode),
            b=self.bias,
            gain=ACTIVATIONS["lrelu"].gain * gain,
            clamp=None if self.conv_clamp is None else self.conv_clamp * gain,
        )

    def _noise(self, x: torch.Tensor, noise_mode: str) -> torch.Tensor | None:
        if noise_mode == "random":
            shape = [x.shape[0], 1, self.resolution, self.resolution]
            return torch.randn(shape, device=x.device) * self.noise_strength
        if noise_mode == "const":
            return self.noise_const * self.noise_strength
        if noise_mode == "none":
            return None
        raise AssertionError(f"noise_mode {noise_mode!r} was checked")


class ToRGBLayer(torch.nn.Module):
    """Modulated 1x1 convolution without demodulation: x [N, I, R, R], w [N, w_dim] -> image [N, O, R, R]."""

    def __init__(
        self, in_channels: int, out_channels: int, w_dim: int, conv_clamp: float | None = None
    ) -> None:
        super().__init__()
        self.conv_clamp = conv_clamp
        self.affine = FullyConnected(w_dim, in_channels, bias_init=1.0)
        self.weight = torch.nn.Parameter(torch.randn(out_channels, in_channels, 1, 1))
        self.bias = torch.nn.Parameter(torch.zeros(out_channels))
        self.weight_gain = 1 / sqrt(in_channels)

    def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        styles = self.affine(w) * self.weight_gain
        x = modulated_conv2d(x, self.weight, styles, demodulate=False)
        return bias_act(x, self.bias, clamp=self.conv_clamp)


class SynthesisBlock(torch.nn.Module):
    """All layers of one resolution; uses `num_conv` latents for the convolutions and one more for torgb."""

    resample_filter: torch.Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        w_dim: int,
        resolution: int,
        is_last: bool,
        options: BlockOptions,
    ) -> None:
        super().__init__()
        architecture, conv_clamp = options.architecture, options.conv_clamp
        self.architecture = architecture
        self.num_conv = 1 if in_channels == 0 else 2
        self.register_buffer("resample_filter", setup_filter(RESAMPLE_TAPS))
        if in_channels == 0:
            self.const = torch.nn.Parameter(torch.randn(out_channels, resolution, resolution))
        else:
            self.conv0 = SynthesisLayer(
                in_channels, out_channels, w_dim, resolution, up=2, conv_clamp=conv_clamp
            )
        self.conv1 = SynthesisLayer(out_channels, out_channels, w_dim, resolution, conv_clamp=conv_clamp)
        self.has_torgb = is_last or architecture == "skip"
        if self.has_torgb:
            self.torgb = ToRGBLayer(out_channels, options.img_channels, w_dim, conv_clamp=conv_clamp)
        if in_channels != 0 and architecture == "resnet":
            self.skip = ConvLayer(in_channels, out_channels, 1, bias=False, up=2)

    def forward(
        self,
        x: torch.Tensor | None,
        img: torch.Tensor | None,
        ws: torch.Tensor,
        dtype: torch.dtype,
        noise_mode: str,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """x [N, in_channels, R/2, R/2] and the image at R/2 -> x [N, out_channels, R, R] and the image at R.

        Args:
            x: None in the first block, which starts from a learned constant.
            img: None where there is no image yet.
            ws: [N, num_conv + 1, w_dim].
            dtype: of the convolutions; images are float32.
            noise_mode: one of `NOISE_MODES`.
        """
        if x is None:
            x = self.const.to(dtype)[None].expand(ws.shape[0], -1, -1, -1)
            x = x.contiguous(memory_format=torch.channels_last)
            x = self.conv1(x, ws[:, 0], noise_mode)
        else:
            x = x.to(dtype)
            if self.architecture == "resnet":
                y = self.skip(x, gain=sqrt(0.5))
                x = self.conv0(x, ws[:, 0], noise_mode)
                x = y + self.conv1(x, ws[:, 1], noise_mode, gain=sqrt(0.5))
            else:
                x = self.conv0(x, ws[:, 0], noise_mode)
                x = self.conv1(x, ws[:, 1], noise_mode)
        if img is not None:
            img = upsample2d(img, self.resample_filter)
        if self.has_torgb:
            rgb = self.torgb(x, ws[:, self.num_conv]).float()
            img = rgb if img is None else img + rgb
        return x, img


class SynthesisNetwork(torch.nn.Module):
    """ws [N, num_ws, w_dim] -> image [N, img_channels, R, R], about [-1, 1].

    Args:
        w_dim: width of the intermediate latent.
        img_resolution: R, a power of two from 4.
        img_channels: channels of the image.
        channel_base, channel_max: feature maps at resolution r are channel_base / r, at most channel_max.
        architecture: one of `ARCHITECTURES`.
        num_fp16_res: number of the highest resolutions that run in half_dtype on a GPU.
        conv_clamp: largest magnitude after a convolution; None is unlimited.
        half_dtype: float16 or bfloat16.

    Raises:
        UserError: an argument of another type or out of range, or ws of another shape.
    """

    def __init__(
        self,
        w_dim: int,
        img_resolution: int,
        img_channels: int,
        channel_base: int = 32768,
        channel_max: int = 512,
        architecture: str = "skip",
        num_fp16_res: int = 0,
        conv_clamp: float | None = None,
        half_dtype: str = "float16",
    ) -> None:
        super().__init__()
        check_sizes(
            w_dim=w_dim, img_channels=img_channels, channel_base=channel_base, channel_max=channel_max
        )
        check_resolution(img_resolution, 4)
        check_sizes(channel_base_per_resolution=channel_base // img_resolution)
        check_options(architecture, conv_clamp, num_fp16_res, half_dtype)
        self.w_dim = w_dim
        self.img_resolution = img_resolution
        self.num_fp16_res = num_fp16_res
        self.half_dtype = HALF_DTYPES[half_dtype]
        self.block_resolutions = [2**power for power in range(2, int(log2(img_resolution)) + 1)]
        self.num_ws = 2 * len(self.block_resolutions)
        options = BlockOptions(img_channels, architecture, conv_clamp)
        in_channels = 0
        for resolution in self.block_resolutions:
            out_channels = block_channels(resolution, channel_base, channel_max)
            is_last = resolution == img_resolution
            block = SynthesisBlock(in_channels, out_channels, w_dim, resolution, is_last, options)
            setattr(self, f"b{resolution}", block)
            in_channels = out_channels

    def noise_strengths(self, *, below: int) -> list[torch.nn.Parameter]:
        """Strengths, scalars, of the noise of the layers whose resolution is lower than `below`."""
        return [
            parameter
            for resolution in self.block_resolutions
            if resolution < below
            for name, parameter in getattr(self, f"b{resolution}").named_parameters()
            if name.endswith("noise_strength")
        ]

    def forward(self, ws: torch.Tensor, noise_mode: str = "random") -> torch.Tensor:
        if not isinstance(ws, torch.Tensor) or ws.shape[1:] != (self.num_ws, self.w_dim):
            arguments.refuse("ws", f"a tensor [N, {self.num_ws}, {self.w_dim}]", ws)
        arguments.one_of("noise_mode", noise_mode, NOISE_MODES)
        with autocast_of_convolutions(ws.device.type):
            return self._synthesise(ws, noise_mode)

    def _synthesise(self, ws: torch.Tensor, noise_mode: str) -> torch.Tensor:
        x = img = None
        used = 0
        for resolution in self.block_resolutions:
            block = getattr(self, f"b{resolution}")
            dtype = block_dtype(
                resolution, self.img_resolution, self.num_fp16_res, self.half_dtype, ws.device
            )
            # torgb shares its latent with the next block's conv0, so it does not advance the count.
            block_ws = ws[:, used : used + block.num_conv + 1]
            x, img = block(x, img, block_ws, dtype, noise_mode)
            used += block.num_conv
        assert img is not None
        return img

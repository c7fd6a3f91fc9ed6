"""The discriminator (StyleGAN2, section 4; conditional by projection; spec 2)."""

from math import log2, sqrt
from typing import Any

import torch

from morphoscope.configs import UserError, arguments
from morphoscope.generate.networks.layers import (
    HALF_DTYPES,
    RESAMPLE_TAPS,
    BlockOptions,
    ConvLayer,
    FullyConnected,
    block_channels,
    block_dtype,
    check_keywords,
    check_options,
    check_resolution,
    check_sizes,
)
from morphoscope.generate.networks.mapping import MappingNetwork
from morphoscope.ops import downsample2d, setup_filter


class MinibatchStd(torch.nn.Module):
    """Append one feature map: the mean standard deviation over a group of samples (ProGAN, section 3)."""

    def __init__(self, group_size: int) -> None:
        super().__init__()
        self.group_size = group_size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] -> [N, C + 1, H, W]; sample i is in group i mod (N / group size).

        Raises:
            UserError: N is not divisible by the group size.
        """
        n, c, h, w = x.shape
        group_size = min(self.group_size, n)
        if n % group_size:
            raise UserError(
                f"A batch of {n} is not divisible into groups of {group_size} (mbstd_group_size)."
            )
        grouped = x.reshape(group_size, -1, c, h, w)
        sd = grouped.var(dim=0, unbiased=False).add(1e-8).sqrt().mean(dim=[1, 2, 3])
        feature = sd.reshape(-1, 1, 1, 1).repeat(group_size, 1, h, w)
        return torch.cat([x, feature.to(x.dtype)], dim=1)


class DiscriminatorBlock(torch.nn.Module):
    """Features at R, and in some architectures the image, -> features at R/2."""

    resample_filter: torch.Tensor

    def __init__(
        self,
        in_channels: int,
        tmp_channels: int,
        out_channels: int,
        options: BlockOptions,
    ) -> None:
        super().__init__()
        img_channels, architecture, conv_clamp = options
        self.architecture = architecture
        self.register_buffer("resample_filter", setup_filter(RESAMPLE_TAPS))
        self.has_fromrgb = in_channels == 0 or architecture == "skip"
        if self.has_fromrgb:
            self.fromrgb = ConvLayer(img_channels, tmp_channels, 1, activation="lrelu", conv_clamp=conv_clamp)
        self.conv0 = ConvLayer(tmp_channels, tmp_channels, 3, activation="lrelu", conv_clamp=conv_clamp)
        self.conv1 = ConvLayer(
            tmp_channels, out_channels, 3, activation="lrelu", down=2, conv_clamp=conv_clamp
        )
        if architecture == "resnet":
            self.skip = ConvLayer(tmp_channels, out_channels, 1, bias=False, down=2)

    def forward(
        self, x: torch.Tensor | None, img: torch.Tensor | None, dtype: torch.dtype
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """x [N, in_channels, R, R] and the image at R -> x [N, out_channels, R/2, R/2] and the image at R/2.

        Args:
            x: None in the first block, which has the image alone.
            img: None where no later block uses the image.
            dtype: of the convolutions.
        """
        x = None if x is None else x.to(dtype)
        if self.has_fromrgb:
            assert img is not None
            y = self.fromrgb(img.to(dtype))
            x = y if x is None else x + y
            img = downsample2d(img, self.resample_filter) if self.architecture == "skip" else None
        if self.architecture == "resnet":
            y = self.skip(x, gain=sqrt(0.5))
            return y + self.conv1(self.conv0(x), gain=sqrt(0.5)), img
        return self.conv1(self.conv0(x)), img


class DiscriminatorEpilogue(torch.nn.Module):
    """Features at 4x4 -> logits [N, 1]; with labels, the projection on the mapped label cmap [N, cmap_dim].

    With `unconditional_output` the logits are [N, 2]: first those of a second head that does not see the
    label, then the projection (Shahbazi et al. 2022, arXiv 2201.06578).
    """

    def __init__(
        self,
        in_channels: int,
        cmap_dim: int,
        options: BlockOptions,
        mbstd_group_size: int = 4,
        unconditional_output: bool = False,
    ) -> None:
        super().__init__()
        if unconditional_output and cmap_dim == 0:
            raise ValueError("unconditional_output: without labels the only output is already unconditional.")
        self.unconditional_output = unconditional_output
        self.cmap_dim = cmap_dim
        self.has_fromrgb = options.architecture == "skip"
        if self.has_fromrgb:
            self.fromrgb = ConvLayer(options.img_channels, in_channels, 1, activation="lrelu")
        self.mbstd = MinibatchStd(mbstd_group_size)
        self.conv = ConvLayer(
            in_channels + 1, in_channels, 3, activation="lrelu", conv_clamp=options.conv_clamp
        )
        self.fc = FullyConnected(in_channels * 4**2, in_channels, activation="lrelu")
        self.out = FullyConnected(in_channels, cmap_dim or 1)
        if unconditional_output:
            self.out_unconditional = FullyConnected(in_channels, 1)

    def forward(self, x: torch.Tensor, img: torch.Tensor | None, cmap: torch.Tensor | None) -> torch.Tensor:
        x = x.float()
        if self.has_fromrgb:
            assert img is not None
            x = x + self.fromrgb(img.float())
        x = self.conv(self.mbstd(x))
        features = self.fc(x.flatten(1))
        logits = self.out(features)
        if cmap is None:
            return logits
        logits = (logits * cmap).sum(dim=1, keepdim=True) / sqrt(self.cmap_dim)
        if self.unconditional_output:
            return torch.cat([self.out_unconditional(features), logits], dim=1)
        return logits


class Discriminator(torch.nn.Module):
    """Image [N, img_channels, R, R] and label c [N, c_dim] -> logits [N, 1]; higher means "real".

    With unconditional_output (in epilogue_kwargs) the logits are [N, 2]: first without the label, then with
    it. `outputs` is their number.

    Args:
        c_dim: width of the label; 0 is unconditional.
        img_resolution: R, a power of two from 8.
        img_channels: channels of the image.
        architecture: one of `ARCHITECTURES`.
        channel_base, channel_max: feature maps at resolution r are channel_base / r, at most channel_max.
        num_fp16_res: number of the highest resolutions that run in half_dtype on a GPU.
        conv_clamp: largest magnitude after a convolution; None is unlimited.
        cmap_dim: width of the mapped label; None is the number of channels at 4x4.
        mapping_kwargs: num_layers, lr_multiplier, stages.
        epilogue_kwargs: mbstd_group_size, unconditional_output.
        half_dtype: float16 or bfloat16.

    Raises:
        UserError: an argument of another type or out of range, or images of another shape.
    """

    def __init__(
        self,
        c_dim: int,
        img_resolution: int,
        img_channels: int,
        architecture: str = "resnet",
        channel_base: int = 32768,
        channel_max: int = 512,
        num_fp16_res: int = 0,
        conv_clamp: float | None = None,
        cmap_dim: int | None = None,
        mapping_kwargs: dict[str, Any] | None = None,
        epilogue_kwargs: dict[str, Any] | None = None,
        half_dtype: str = "float16",
    ) -> None:
        super().__init__()
        arguments.whole_number("c_dim", c_dim, 0)
        check_sizes(img_channels=img_channels, channel_base=channel_base, channel_max=channel_max)
        check_resolution(img_resolution, 8)
        check_sizes(channel_base_per_resolution=channel_base // img_resolution)
        check_options(architecture, conv_clamp, num_fp16_res, half_dtype)
        if cmap_dim is not None:
            check_sizes(cmap_dim=cmap_dim)
        mapping = check_keywords("mapping_kwargs", mapping_kwargs, MappingNetwork)
        epilogue = check_keywords("epilogue_kwargs", epilogue_kwargs, DiscriminatorEpilogue)
        self.c_dim = c_dim
        self.img_resolution = img_resolution
        self.img_channels = img_channels
        self.num_fp16_res = num_fp16_res
        self.half_dtype = HALF_DTYPES[half_dtype]
        self.block_resolutions = [2**power for power in range(int(log2(img_resolution)), 2, -1)]
        options = BlockOptions(img_channels, architecture, conv_clamp)
        in_channels = 0
        for resolution in self.block_resolutions:
            tmp_channels = block_channels(resolution, channel_base, channel_max)
            out_channels = block_channels(resolution // 2, channel_base, channel_max)
            block = DiscriminatorBlock(in_channels, tmp_channels, out_channels, options)
            setattr(self, f"b{resolution}", block)
            in_channels = out_channels
        if c_dim == 0:
            cmap_dim = 0
        elif cmap_dim is None:
            cmap_dim = in_channels
        if c_dim > 0:
            self.mapping = MappingNetwork(0, c_dim, cmap_dim, None, **mapping)
        self.b4 = DiscriminatorEpilogue(in_channels, cmap_dim, options, **epilogue)

    @property
    def outputs(self) -> int:
        """Number of columns of the logits, 1 or 2."""
        return 2 if self.b4.unconditional_output else 1

    def forward(self, img: torch.Tensor, c: torch.Tensor | None) -> torch.Tensor:
        expected = (self.img_channels, self.img_resolution, self.img_resolution)
        if not isinstance(img, torch.Tensor) or img.shape[1:] != expected or not img.is_floating_point():
            arguments.refuse("img", f"a floating-point tensor [N, {', '.join(map(str, expected))}]", img)
        x: torch.Tensor | None = None
        image: torch.Tensor | None = img.contiguous(memory_format=torch.channels_last)
        for resolution in self.block_resolutions:
            dtype = block_dtype(
                resolution, self.img_resolution, self.num_fp16_res, self.half_dtype, img.device
            )
            x, image = getattr(self, f"b{resolution}")(x, image, dtype)
        cmap = self.mapping(None, c) if self.c_dim > 0 else None
        return self.b4(x, image, cmap)

    def layers_from_input(self) -> list[torch.nn.Module]:
        """Convolutions in the order in which Freeze-D freezes them: fromrgb, conv0, conv1, skip per block."""
        layers = []
        for resolution in self.block_resolutions:
            block = getattr(self, f"b{resolution}")
            layers += [
                getattr(block, name) for name in ("fromrgb", "conv0", "conv1", "skip") if hasattr(block, name)
            ]
        return layers

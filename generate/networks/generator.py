"""The generator: mapping and synthesis (spec 2)."""

from typing import Any

import torch

from morphoscope.configs import arguments
from morphoscope.generate.networks.layers import check_keywords, check_sizes
from morphoscope.generate.networks.mapping import MappingNetwork
from morphoscope.generate.networks.synthesis import SynthesisNetwork


class Generator(torch.nn.Module):
    """Latent z [N, z_dim] and label c [N, c_dim] -> image [N, img_channels, R, R], about [-1, 1].

    Args:
        z_dim, c_dim, w_dim: widths of the latent, the label (0: unconditional) and the intermediate latent.
        img_resolution: R, a power of two from 4.
        img_channels: 3 (RGB) or 1 (grey).
        mapping_kwargs: num_layers, lr_multiplier, w_avg_beta, stages.
        synthesis_kwargs: channel_base, channel_max, architecture, num_fp16_res, conv_clamp, half_dtype.

    Raises:
        UserError: an argument of another type or out of range, or z or c of another shape.
    """

    def __init__(
        self,
        z_dim: int,
        c_dim: int,
        w_dim: int,
        img_resolution: int,
        img_channels: int,
        mapping_kwargs: dict[str, Any] | None = None,
        synthesis_kwargs: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        check_sizes(z_dim=z_dim)
        arguments.whole_number("c_dim", c_dim, 0)
        self.z_dim = z_dim
        self.c_dim = c_dim
        self.w_dim = w_dim
        self.img_resolution = img_resolution
        self.img_channels = img_channels
        mapping = check_keywords("mapping_kwargs", mapping_kwargs, MappingNetwork)
        synthesis = check_keywords("synthesis_kwargs", synthesis_kwargs, SynthesisNetwork)
        self.synthesis = SynthesisNetwork(w_dim, img_resolution, img_channels, **synthesis)
        self.num_ws = self.synthesis.num_ws
        self.mapping = MappingNetwork(z_dim, c_dim, w_dim, self.num_ws, **mapping)

    def forward(
        self,
        z: torch.Tensor,
        c: torch.Tensor | None,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
        noise_mode: str = "random",
    ) -> torch.Tensor:
        """Map z [N, z_dim] and c [N, c_dim], and synthesise images [N, img_channels, R, R].

        Args:
            truncation_psi, truncation_cutoff: as in `MappingNetwork.forward`.
            noise_mode: random, const or none.
        """
        ws = self.mapping(z, c, truncation_psi, truncation_cutoff)
        return self.synthesis(ws, noise_mode)

"""The generator: mapping and synthesis (spec 2)."""

from typing import Any

import torch

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
        ValueError: an argument out of range, or z or c of another shape.
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
        self.z_dim = z_dim
        self.c_dim = c_dim
        self.w_dim = w_dim
        self.img_resolution = img_resolution
        self.img_channels = img_channels
        self.synthesis = SynthesisNetwork(w_dim, img_resolution, img_channels, **(synthesis_kwargs or {}))
        self.num_ws = self.synthesis.num_ws
        self.mapping = MappingNetwork(z_dim, c_dim, w_dim, self.num_ws, **(mapping_kwargs or {}))

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

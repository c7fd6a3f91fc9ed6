"""From intermediate latents to pixels."""

import numpy as np
import torch

from morphoscope.configs import UserError, arguments
from morphoscope.generate.networks.synthesis import SynthesisNetwork

BATCH = 16


@torch.no_grad()
def render(synthesis: SynthesisNetwork, codes: torch.Tensor, noise_mode: str = "const") -> np.ndarray:
    """Images uint8 [N, R, R, 3] RGB, also of grey ones, of intermediate latents [N, num_ws, w_dim].

    Raises:
        UserError: codes of another shape, an unknown noise mode, or values that are not numbers.
    """
    arguments.instance("codes", codes, torch.Tensor, "a tensor [N, num_ws, w_dim]")
    images = [np.zeros((0, synthesis.img_resolution, synthesis.img_resolution, 3), np.uint8)]
    for start in range(0, len(codes), BATCH):
        batch = synthesis(codes[start : start + BATCH], noise_mode)
        if not torch.isfinite(batch).all():  # they would become black pixels
            raise UserError(
                "The generator's images have values that are not numbers (NaN or infinite): its weights "
                "are unusable. Use an earlier snapshot, or one of another training."
            )
        images.append(to_uint8(batch))
    return np.concatenate(images)


def to_uint8(images: torch.Tensor) -> np.ndarray:
    """NCHW float [-1, 1] => NHWC uint8 RGB; a single channel becomes three equal ones."""
    pixels = (images * 127.5 + 128).clamp(0, 255).to(torch.uint8).cpu().expand(-1, 3, -1, -1)
    return pixels.permute(0, 2, 3, 1).numpy()

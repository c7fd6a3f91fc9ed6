"""From intermediate latents to pixels, and from pixels to the range of the networks."""

import numpy as np
import torch

from morphoscope.configs import UserError, arguments
from morphoscope.generate.execution import in_batches
from morphoscope.generate.networks.synthesis import SynthesisNetwork


@torch.no_grad()
def render(synthesis: SynthesisNetwork, codes: torch.Tensor, noise_mode: str = "const") -> np.ndarray:
    """Images uint8 [N, R, R, 3] RGB, also of grey ones, of intermediate latents [N, num_ws, w_dim].

    An image is the same to the bit whatever other codes are rendered with it (`generate.execution`).

    Raises:
        UserError: codes of another shape, an unknown noise mode, or values that are not numbers.
    """
    arguments.instance("codes", codes, torch.Tensor, "a tensor [N, num_ws, w_dim]")
    if len(codes) == 0:
        return np.zeros((0, synthesis.img_resolution, synthesis.img_resolution, 3), np.uint8)

    def pixels(part: torch.Tensor) -> torch.Tensor:
        images = synthesis(part, noise_mode)
        if not torch.isfinite(images).all():  # they would become black pixels
            raise UserError(
                "The generator's images have values that are not numbers (NaN or infinite): its weights "
                "are unusable. Use an earlier snapshot, or one of another training."
            )
        return torch.from_numpy(to_uint8(images))

    return in_batches(synthesis, pixels, codes).numpy()


def to_float(images: torch.Tensor) -> torch.Tensor:
    """NHWC uint8 => NCHW float32 in [-1, 1], whose memory stays channels_last."""
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1


def to_uint8(images: torch.Tensor) -> np.ndarray:
    """NCHW float [-1, 1] => NHWC uint8 RGB; a single channel becomes three equal ones."""
    pixels = (images * 127.5 + 128).clamp(0, 255).to(torch.uint8).cpu().expand(-1, 3, -1, -1)
    return pixels.permute(0, 2, 3, 1).numpy()

"""Demodulation of modulated weights, and their scaling to the range of float16 (StyleGAN2, section 2.2)."""

import torch

_EPSILON = 1e-8


def weight_energy(w: torch.Tensor) -> torch.Tensor:
    """Sum of squares over the taps: w [O, I, k, k] -> [O, I]."""
    return w.square().sum(dim=[2, 3])


def inverse_norms(squares: torch.Tensor) -> torch.Tensor:
    """1 / ‖·‖ of vectors, given the sums of their squares; finite for vectors of zeros too."""
    return (squares + _EPSILON).rsqrt()


def prescaled(x: torch.Tensor, w: torch.Tensor, s: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Scale weights and styles so that a convolution of float16 images cannot overflow.

    Demodulation cancels the scale, so that only the range of the intermediate values changes.

    Args:
        x: images; only their dtype matters.
        w: weights [O, I, k, k].
        s: styles [N, I].

    Returns:
        (w, s), unchanged unless x is float16.
    """
    if x.dtype != torch.float16:
        return w, s
    fan_in = w[0].numel()
    w = w / (w.abs().amax(dim=[1, 2, 3], keepdim=True).clamp_min(_EPSILON) * fan_in**0.5)
    return w, s / s.abs().amax(dim=1, keepdim=True).clamp_min(_EPSILON)

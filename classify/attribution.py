"""Which pixels speak for a condition: integrated gradients over the ensemble."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from captum.attr import IntegratedGradients
from PIL import Image
from torch import Tensor, nn

from morphoscope.cohort.resizing import Fit
from morphoscope.configs import UserError

Method = Literal["integrated_gradients"]
Baseline = Literal["black", "white", "mean"]


@dataclass(frozen=True)
class Attribution:
    """A map of evidence: positive pixels raise the probability of `target`, negative ones lower it.

    Attributes:
        map: float32 [H, W] on the pixels of the image, summed over colours, averaged over the folds' maps.
        difference: mean probability of `target` for the image minus that for the baseline; the map sums
            to it, up to `convergence_delta` and the spreading over the image's own pixels.
        convergence_delta: sum of the map at the models' resolution minus `difference`: the integral's error.
        target, method, baseline: what was asked.
    """

    map: np.ndarray
    difference: float
    convergence_delta: float
    target: str
    method: Method
    baseline: Baseline


def integrated_gradients(
    models: Sequence[nn.Module], pixels: Tensor, target: int, baseline: Baseline, steps: int, batch: int
) -> tuple[np.ndarray, float, float]:
    """Integrated gradients (Sundararajan et al. 2017, eq. 1) of the folds' probability of `target`, averaged.

    The mean of the folds' maps is the map of the folds' mean probability, since the method is linear in the
    function.

    Args:
        models: image [1, 3, R, R] in [0, 1] -> logits.
        pixels: the image, [1, 3, R, R] in [0, 1].
        steps: points of the Gauss-Legendre quadrature along the path from the baseline.
        batch: points computed at a time; bounds memory.

    Returns:
        (map float32 [R, R], difference, convergence delta), as in `Attribution`.
    """
    start = _baseline(pixels, baseline)
    maps, differences, deltas = [], [], []
    for model in models:

        def probability(images: Tensor, model: nn.Module = model) -> Tensor:
            return model(images).float().softmax(dim=1)[:, target]

        found, delta = IntegratedGradients(probability).attribute(
            pixels,
            baselines=start,
            n_steps=steps,
            internal_batch_size=min(batch, steps),
            return_convergence_delta=True,
        )
        with torch.no_grad():
            differences.append(float(probability(pixels) - probability(start)))
        maps.append(found.detach().sum(dim=1)[0].float().cpu().numpy())
        deltas.append(float(delta))
    return np.stack(maps).mean(axis=0), float(np.mean(differences)), float(np.mean(deltas))


def _baseline(pixels: Tensor, baseline: Baseline) -> Tensor:
    if baseline == "mean":
        return pixels.mean(dim=(2, 3), keepdim=True).expand_as(pixels).contiguous()
    return torch.full_like(pixels, 0.0 if baseline == "black" else 1.0)


def check_request(method: str, baseline: str, steps: int) -> None:
    """Raise UserError for an unknown method or baseline, or a number of steps out of range."""
    for name, value, choices in (
        ("method", method, get_args(Method)),
        ("baseline", baseline, get_args(Baseline)),
    ):
        if value not in choices:
            raise UserError(f"Attribution {name} '{value}': choose one of {', '.join(choices)}.")
    if not 1 <= steps <= 1000:
        raise UserError(f"Attribution steps {steps}: a number from 1 to 1000 is expected.")


def onto_image(square_map: np.ndarray, shape: tuple[int, int], fit: Fit) -> np.ndarray:
    """Spread a map of the square that the model saw over the image it was cut from, keeping its sum
    up to the edges' interpolation.

    Args:
        square_map: float32 [R, R].
        shape: (H, W) of the image.
        fit: how the image became square; "crop" leaves zeros outside the central square, "letterbox" drops
            what fell on the black margin.

    Returns:
        float32 [H, W].
    """
    height, width = shape
    side = min(height, width) if fit == "crop" else max(height, width)
    if side == len(square_map):
        spread = square_map
    else:
        spread = np.asarray(Image.fromarray(square_map).resize((side, side), Image.Resampling.BILINEAR))
        spread = spread * np.float32((len(square_map) / side) ** 2)
    result = np.zeros(shape, np.float32)
    top, left = (height - side) // 2, (width - side) // 2
    if fit == "crop":
        result[top : top + side, left : left + side] = spread
    else:
        result[:] = spread[-top : -top + height, -left : -left + width]
    return result

"""Does the classifier need what a map marks? Deletion and insertion curves (Petsiuk et al. 2018)."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from morphoscope.classify.attribution.methods import baselines
from morphoscope.configs.attribution import Baseline


class Curves(NamedTuple):
    """Probability, [points + 1], while the most important pixels go first: none, 1/points, …, all of them."""

    deletion: np.ndarray
    insertion: np.ndarray

    @property
    def deleted(self) -> float:
        """Area under the deletion curve, 0 … 1; the smaller, the more the classifier needed those pixels."""
        return area(self.deletion)

    @property
    def inserted(self) -> float:
        """Area under the insertion curve, 0 … 1; the larger, the sooner those pixels were enough."""
        return area(self.insertion)


def area(curve: np.ndarray) -> float:
    """Area under equidistant values from 0 to 1, by trapezia."""
    return float(np.trapezoid(curve, dx=1 / (len(curve) - 1)))


def curves(
    probability: Callable[[np.ndarray], np.ndarray],
    image: np.ndarray,
    attribution: np.ndarray,
    replacement: np.ndarray,
    points: int,
    seed: int = 0,
) -> Curves:
    """Take the pixels of an image away, or put them back, in the order of their attribution.

    Args:
        probability: uint8 [N, H, W, 3] -> the target's probability [N].
        image: uint8 [H, W, 3].
        attribution: [H, W].
        replacement: uint8 [H, W, 3], what is there without them.
        points: steps of the curves.
        seed: of the order among pixels of equal attribution, as the zeros of Grad-CAM.
    """
    ties = np.random.default_rng(seed).permutation(attribution.size)
    order = np.lexsort((ties, -attribution.ravel()))
    rank = np.empty(attribution.size, np.int64)
    rank[order] = np.arange(attribution.size)
    taken = np.linspace(0, attribution.size, points + 1).round()
    gone = (rank.reshape(1, *attribution.shape) < taken[:, None, None])[..., None]  # [points + 1, H, W, 1]
    deletion = probability(np.where(gone, replacement, image))
    return Curves(deletion, probability(np.where(gone, image, replacement)))


def replaced(image: np.ndarray, replacement: Baseline) -> np.ndarray:
    """What stands for "nothing there" in uint8 [H, W, 3]: the image blurred, or a plain picture."""
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
    (start,) = baselines(pixels, replacement)
    return (start[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)

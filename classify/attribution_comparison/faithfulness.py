"""Does the classifier use the pixels that a map marks? Deletion and insertion (Petsiuk et al. 2018)."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from morphoscope.classify.attribution.baselines import baseline_image
from morphoscope.configs.attribution import SingleBaseline


class Curves(NamedTuple):
    """Probability of the target as pixels are deleted or inserted, the most important ones first.

    Attributes:
        deletion, insertion: [points + 1] in [0, 1], after 0, 1/points, …, all of the pixels.
    """

    deletion: np.ndarray
    insertion: np.ndarray

    @property
    def deleted(self) -> float:
        """Area under the deletion curve, in [0, 1]; lower if the classifier depends on those pixels."""
        return area(self.deletion)

    @property
    def inserted(self) -> float:
        """Area under the insertion curve, in [0, 1]; higher if those pixels suffice for the classifier."""
        return area(self.insertion)


def area(curve: np.ndarray) -> float:
    """Area under a curve [n], n >= 2, whose values are equidistant from 0 to 1, by the trapezoidal rule."""
    return float(np.trapezoid(curve, dx=1 / (len(curve) - 1)))


def curves(
    probability: Callable[[np.ndarray], np.ndarray],
    image: np.ndarray,
    attribution: np.ndarray,
    replacement: np.ndarray,
    points: int,
    seed: int = 0,
) -> Curves:
    """Delete the pixels of an image, or insert them, in the order of their attribution.

    Args:
        probability: images uint8 [N, H, W, 3] -> the target's probability [N].
        image: uint8 [H, W, 3].
        attribution: [H, W], larger for more important pixels.
        replacement: uint8 [H, W, 3], which replaces pixels that are deleted or not yet inserted.
        points: number of steps of the curves.
        seed: of the random order among pixels of equal attribution, for example the zeros of Grad-CAM.
    """
    ties = np.random.default_rng(seed).permutation(attribution.size)
    order = np.lexsort((ties, -attribution.ravel()))
    rank = np.empty(attribution.size, np.int64)
    rank[order] = np.arange(attribution.size)
    taken = np.linspace(0, attribution.size, points + 1).round()
    gone = (rank.reshape(1, *attribution.shape) < taken[:, None, None])[..., None]  # [points + 1, H, W, 1]
    deletion = probability(np.where(gone, replacement, image))
    return Curves(deletion, probability(np.where(gone, image, replacement)))


def replacement_image(image: np.ndarray, baseline: SingleBaseline) -> np.ndarray:
    """The baseline of an image, uint8 [H, W, 3] -> uint8 [H, W, 3]: the image blurred, or a uniform one."""
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
    found = baseline_image(pixels, baseline)
    return (found[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)

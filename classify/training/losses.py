"""The classification loss: cross entropy against soft targets, weighted so that rare conditions count."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

Balance = Literal["inverse", "effective"]


def class_weights(counts: np.ndarray, balance: Balance, power: float, beta: float) -> Tensor:
    """Loss weight of each class: size^-power, scaled to a mean of 1 over all images.

    The size of a class is the number of its images, or, for "effective", the number of images that do not
    repeat one another if a further image is new with probability `beta`^(images before it):
    (1 - beta^n) / (1 - beta) (Cui et al. 2019, arXiv 1901.05555, equation 2). At power 1 the weights are
    that paper's, from even ones (beta 0) to inverse frequency (beta towards 1).

    Args:
        counts: positive, float or int [K]: images of each class; a soft target adds its shares.
        power: 0 weighs all classes alike, 1 balances fully.
        beta: in [0, 1), for "effective" only.

    Returns:
        float32 [K].
    """
    size = counts.astype(np.float64)
    if balance == "effective":
        size = (1 - beta**size) / (1 - beta)
    weights = size**-power
    return torch.tensor(weights * counts.sum() / (weights * counts).sum(), dtype=torch.float32)


class SoftTargetLoss:
    """Cross entropy against distributions over classes; with one-hot targets that of `nn.CrossEntropyLoss`.

    A batch's loss is the sum of its images' losses over the sum of their weights, so that one batch may be
    judged in parts: add the parts' losses, each over the weight of the whole batch.
    """

    def __init__(self, weights: Tensor, smoothing: float) -> None:
        """`weights` float32 [K] of the classes; `smoothing` in [0, 1): share spread evenly over all."""
        self.weights, self.smoothing = weights, smoothing

    def weight(self, targets: Tensor) -> Tensor:
        """Sum of the images' weights, scalar: each weighs as much as the classes in its target do."""
        return (targets @ self.weights).sum()

    def __call__(self, logits: Tensor, targets: Tensor, weight: Tensor | None = None) -> Tensor:
        """Logits [N, K] and targets float32 [N, K], rows adding up to 1 -> scalar float32.

        `weight` is that of the whole batch, if this is a part of one.
        """
        total = F.cross_entropy(
            logits.float(), targets, self.weights, reduction="sum", label_smoothing=self.smoothing
        )
        return total / (self.weight(targets) if weight is None else weight)

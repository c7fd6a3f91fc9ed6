"""The classification loss: cross entropy with soft targets, weighted by image."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

Balance = Literal["inverse", "effective"]


def class_weights(counts: np.ndarray, balance: Balance, power: float, beta: float) -> Tensor:
    """Loss weight of each class: size^-power, scaled to a mean of 1 over all images.

    The size of a class is its number of images or, for "effective", the number of images that do not repeat
    one another if a further image is new with probability `beta`^(images before it), which is
    (1 - beta^n) / (1 - beta) (Cui et al. 2019, arXiv 1901.05555, equation 2). At power 1 the weights are
    those of that paper, from equal ones (beta 0) to inverse frequency (beta near 1).

    Args:
        counts: number of images of each class, positive, float or int [K]; a soft target adds its shares.
        balance: which size.
        power: 0 weights all classes equally, 1 balances them fully.
        beta: in [0, 1), for "effective" only.

    Returns:
        float32 [K], positive.
    """
    size = counts.astype(np.float64)
    if balance == "effective":
        size = (1 - beta**size) / (1 - beta)
    weights = size**-power
    return torch.tensor(weights * counts.sum() / (weights * counts).sum(), dtype=torch.float32)


class SoftTargetLoss:
    """Cross entropy with distributions as targets; without smoothing that of `nn.CrossEntropyLoss`.

    Smoothing spreads a share of each target evenly over all classes, and only then the image is weighted, by
    the weight of its own class. `nn.CrossEntropyLoss` multiplies the spread share with the weights of the
    classes that it is spread to: the lowest loss for a certain image of a frequent class then names a rare
    one. With seven classes, weights from 0.2 to 14 and a smoothing of 0.1, it did so for naevi.

    The loss of a batch is the sum of its images' losses divided by the sum of their weights. It can therefore
    be computed in parts: add the parts' losses, each divided by the weight of the whole batch.
    """

    def __init__(self, weights: Tensor, smoothing: float) -> None:
        """Set the parameters.

        Args:
            weights: of the classes, float32 [K], positive.
            smoothing: share of each target that is spread evenly over all classes, in [0, 1).
        """
        self.weights, self.smoothing = weights, smoothing

    def weight(self, targets: Tensor) -> Tensor:
        """Sum of the images' weights, a scalar, for targets float32 [N, K].

        An image's weight is the mean of the classes' weights, weighted by its target.
        """
        return (targets @ self.weights).sum()

    def __call__(self, logits: Tensor, targets: Tensor, weight: Tensor | None = None) -> Tensor:
        """The loss, a float32 scalar.

        Args:
            logits: [N, K].
            targets: float32 [N, K]; each row sums to 1.
            weight: of the whole batch, if this is a part of one.
        """
        weighted = targets * self.weights
        spread = self.smoothing / targets.shape[1] * weighted.sum(dim=1, keepdim=True)
        total = F.cross_entropy(logits.float(), (1 - self.smoothing) * weighted + spread, reduction="sum")
        return total / (self.weight(targets) if weight is None else weight)

"""The classification loss: cross entropy with soft targets, weighted by image."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from morphoscope.classify.certainty.prior import Balance, loss_weights


def class_weights(counts: np.ndarray, balance: Balance, power: float, beta: float) -> Tensor:
    """`loss_weights` as float32 [K]."""
    return torch.tensor(loss_weights(counts, balance, power, beta), dtype=torch.float32)


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

"""Forward pass of one model over images, averaged over orientations of each image."""

from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from morphoscope.classify.inputs.pairs import photographs
from morphoscope.classify.network.classifier import ConditionClassifier


class ForwardOutput(NamedTuple):
    """Output of one model for N images.

    Attributes:
        probabilities: of the conditions, float32 [N, K] at temperature 1; each row sums to 1.
        features: float32 [N, D], the input of the linear head.
        joint: float32 [N, K+M], of the conditions and the auxiliary classes; each row sums to 1.
    """

    probabilities: np.ndarray
    features: np.ndarray
    joint: np.ndarray


def orientations(pixels: Tensor, count: Literal[1, 8]) -> list[Tensor]:
    """The images in each orientation of test-time augmentation.

    Args:
        pixels: float32 [N, 3, R, R] in [0, 1]; or pairs [N, 3, R, 2R], whose photographs are turned in place.
        count: 1 returns the images as they are; 8 also their horizontal, vertical and double flips, and the
            transpose of these four.

    Returns:
        `count` tensors of the shape of `pixels`.
    """
    if count == 1:
        return [pixels]
    turned = [[half, half.transpose(2, 3)] for half in photographs(pixels)]
    return [
        torch.cat([half.flip(axes) if axes else half for half in halves], dim=3)
        for halves in zip(*turned, strict=True)
        for axes in ((), (3,), (2,), (2, 3))
    ]


@torch.inference_mode()
def forward(model: ConditionClassifier, pixels: Tensor, count: Literal[1, 8]) -> ForwardOutput:
    """Probabilities and features of images, averaged over `count` orientations.

    Args:
        pixels: float32 [N, 3, R, R], or pairs [N, 3, R, 2R], in [0, 1], on the model's device.
    """
    sums: list[Tensor] = []
    for oriented in orientations(pixels, count):
        logits, features = model.logits_and_features(oriented)
        logits = logits.float()
        found = [logits[:, : model.classes].softmax(dim=1), features.float(), logits.softmax(dim=1)]
        sums = [a + b for a, b in zip(sums, found, strict=True)] if sums else found
    return ForwardOutput(*((total / count).cpu().numpy() for total in sums))

"""What one model makes of images, in one view of each or in eight."""

from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from morphoscope.classify.inputs.pairs import photographs
from morphoscope.classify.network.classifier import ConditionClassifier


class Judged(NamedTuple):
    """What one model makes of N images.

    Attributes:
        probabilities: of the conditions, float32 [N, K] at temperature 1, adding up to 1.
        features: float32 [N, D] that its linear head reads.
        joint: float32 [N, K+M], of the conditions and the auxiliary classes.
    """

    probabilities: np.ndarray
    features: np.ndarray
    joint: np.ndarray


def test_time_views(pixels: Tensor, count: Literal[1, 8]) -> list[Tensor]:
    """Images [n, 3, R, R] as they are; for 8 also mirrored either way and both, and all four transposed.

    Of pairs [n, 3, R, 2R] each photograph in its place.
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
def judge(model: ConditionClassifier, pixels: Tensor, views: Literal[1, 8]) -> Judged:
    """One model's judgement, the mean over the views."""
    sums: list[Tensor] = []
    for view in test_time_views(pixels, views):
        logits, features = model.judge(view)
        logits = logits.float()
        found = [logits[:, : model.classes].softmax(dim=1), features.float(), logits.softmax(dim=1)]
        sums = [a + b for a, b in zip(sums, found, strict=True)] if sums else found
    return Judged(*((total / views).cpu().numpy() for total in sums))

"""Mixup and cutmix of training batches."""

from collections.abc import Callable

from torch import Tensor
from torchvision.transforms import v2  # type: ignore[import-untyped]

Mixing = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def batch_mixing(mixup: float, cutmix: float) -> Mixing:
    """A function that mixes each image of a batch, and its target, with another image of the batch.

    Each batch has one share s ~ Beta(alpha, alpha). mixup (Zhang et al. 2018, arXiv 1710.09412) adds s of one
    image to 1 - s of the other; cutmix (Yun et al. 2019, arXiv 1905.04899) pastes a rectangle of the other
    that covers 1 - s of the area. If both are on, each batch is mixed by one of them, with equal probability.

    Args:
        mixup: alpha of mixup; 0 turns it off.
        cutmix: alpha of cutmix; 0 turns it off.

    Returns:
        (images [N, 3, R, R], targets float32 [N, K]) -> the same shapes. It draws from torch's global CPU
        generator and mixes neighbours, so batches must be shuffled.
    """
    kinds: list[v2.Transform] = []
    if mixup > 0:
        kinds.append(v2.MixUp(alpha=mixup))
    if cutmix > 0:
        kinds.append(v2.CutMix(alpha=cutmix))
    return v2.RandomChoice(kinds) if kinds else lambda images, targets: (images, targets)

"""The Inception-v3 that defines the Fréchet and kernel Inception distances."""

import torch
from torch import nn
from torch.nn import functional
from torchvision.models import Inception3  # type: ignore[import-untyped]
from torchvision.models.inception import (  # type: ignore[import-untyped]
    BasicConv2d,
    InceptionA,
    InceptionAux,
    InceptionB,
    InceptionC,
    InceptionD,
    InceptionE,
)


class _PoolBranch(nn.Module):
    """Replaces the input of the pooling branch, whose channels are the last ones of a block."""

    branch_pool: nn.Module

    def pool(self, x: torch.Tensor) -> torch.Tensor:
        return functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pooled = self.branch_pool(self.pool(x))
        return torch.cat([super().forward(x)[:, : -pooled.shape[1]], pooled], dim=1)


class _BlockA(_PoolBranch, InceptionA):
    pass


class _BlockC(_PoolBranch, InceptionC):
    pass


class _BlockE(_PoolBranch, InceptionE):
    pass


class _LastBlock(_BlockE):
    def pool(self, x: torch.Tensor) -> torch.Tensor:
        return functional.max_pool2d(x, 3, stride=1, padding=1)


class FidInception(Inception3):
    """Inception-v3 with the pooling of the TensorFlow graph of 2015-12-05 (Heusel et al. 2017).

    Images [N, 3, 299, 299] in [-1, 1] -> logits [N, 1008]. It differs from torchvision's in two respects,
    which pytorch-fid found: the average pooling inside the blocks does not count the padding, and the last
    block uses maximum pooling instead.
    """

    def __init__(self) -> None:
        blocks = [BasicConv2d, _BlockA, InceptionB, _BlockC, InceptionD, _BlockE, InceptionAux]
        super().__init__(
            num_classes=1008,
            aux_logits=False,
            inception_blocks=blocks,
            init_weights=False,
        )
        self.Mixed_7c = _LastBlock(2048)

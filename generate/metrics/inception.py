"""The Inception-v3 that the Fréchet and kernel Inception distances are defined by."""

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
    """Replaces what goes into the pooling branch, whose channels are the last ones of a block."""

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

    It differs from torchvision's in two respects, which pytorch-fid found: averages inside the blocks leave
    the padding out of the count, and the last block takes the maximum instead. 1008 outputs.
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

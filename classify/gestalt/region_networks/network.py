"""The network of one region of the face: that of DeepGestalt (Gurovich et al. 2019, Nat Med 25:60)."""

from typing import cast

import torch
from torch import Tensor, nn

_PAIRS = ((32, 64), (64, 128), (96, 192), (128, 256), (160, 320))
_FEWEST = 8  # channels of a layer


class RegionNetwork(nn.Module):
    """Grey crops [N, 1, S, S] in [0, 1] -> logits [N, K].

    Ten 3x3 convolutions in five pairs, each followed by batch normalisation and ReLU, with max-pooling
    between pairs, then the average over what remains (7x7 at 100 px), dropout and a linear head.
    """

    def __init__(self, classes: int, width: float = 1.0, dropout: float = 0.5) -> None:
        """Random weights (He et al. 2015).

        Args:
            classes: K.
            width: factor of the number of channels.
            dropout: probability before the head, in training.
        """
        super().__init__()
        layers: list[nn.Module] = []
        before = 1
        for number, pair in enumerate(_PAIRS):
            if number:
                layers.append(nn.MaxPool2d(2, ceil_mode=True))
            for channels in pair:
                after = max(_FEWEST, round(channels * width))
                convolution = nn.Conv2d(before, after, 3, padding=1, bias=False)
                nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
                layers += [convolution, nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
                before = after
        self.body = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(before, classes)

    def forward(self, crops: Tensor) -> Tensor:
        maps = self.body(crops * 2 - 1)
        return cast(Tensor, self.head(self.dropout(maps.mean(dim=(2, 3)))))

    def start_from(self, weights: dict[str, Tensor]) -> None:
        """Take all weights but the head's from another network of this width."""
        own = self.state_dict()
        own |= {name: value for name, value in weights.items() if not name.startswith("head.")}
        self.load_state_dict(own)


def probabilities(network: RegionNetwork, crops: Tensor) -> Tensor:
    """Softmax [N, K] in evaluation mode, float32, of crops [N, 1, S, S] in [0, 1]."""
    with torch.inference_mode():
        return network.eval()(crops).float().softmax(dim=1)

"""Where projections start: generated images of every condition, compared with the photograph."""

from typing import NamedTuple

import torch

from morphoscope.generate.metrics.features import resized
from morphoscope.generate.metrics.perceptual import PerceptualNetwork
from morphoscope.generate.model import GeneratorModel
from morphoscope.generate.projection.stages import rendered
from morphoscope.runtime.progress import track

_BATCH = 16
_SIZE = 64  # pixels at which candidates are compared: their features stay small at every resolution


class Starts(NamedTuple):
    """The candidates nearest to a photograph, the nearest first.

    Attributes:
        z, w: [S, z_dim] and [S, w_dim].
        labels: [S, K], one-hot.
    """

    z: torch.Tensor
    w: torch.Tensor
    labels: torch.Tensor


class Candidates:
    """Generated images of all conditions with their codes; drawn once, for any number of photographs."""

    @torch.no_grad()
    def __init__(self, model: GeneratorModel, network: PerceptualNetwork, each: int, seed: int) -> None:
        """Draw `each` images per condition, with the same z in each condition."""
        device, K = model.class_means.device, len(model.conditions)
        z = torch.randn([each, model.G.z_dim], generator=torch.Generator().manual_seed(seed)).to(device)
        self._network = network
        self._z = z.repeat(K, 1)
        self._labels = torch.eye(K, device=device).repeat_interleave(each, dim=0)
        self._w = model.G.mapping(self._z, self._labels)[:, 0]
        images, features = [], []
        for start in track(range(0, len(self._w), _BATCH), "Drawing candidates"):
            codes = self._w[start : start + _BATCH, None].expand(-1, model.G.num_ws, -1)
            small = _small(rendered(model.G.synthesis, codes, {}))
            images.append(small)
            features.append(network.features(small))
        self._images, self._features = torch.cat(images), torch.cat(features)

    @torch.no_grad()
    def nearest(self, photograph: torch.Tensor, number: int, condition: int | None) -> Starts:
        """The nearest candidates to float32 [1, 3, R, R] in [-1, 1].

        Args:
            number: S; fewer if there are not as many candidates.
            condition: index of the condition to take them from. If None, the nearest candidate of each
                condition comes first, so that all conditions are searched where S allows it, and the rest
                are the next nearest of any condition.
        """
        small = _small(photograph)
        distances = self._network.distance(self._features, self._network.features(small))
        distances = distances + (self._images - small).square().mean(dim=(1, 2, 3))
        order = distances.argsort()
        conditions = self._labels.argmax(dim=1)
        if condition is not None:
            order = order[conditions[order] == condition]
        else:
            firsts = _first_of_each(conditions[order])
            rest = torch.ones(len(order), dtype=torch.bool, device=order.device)
            rest[firsts] = False
            order = torch.cat([order[firsts], order[rest]])
        chosen = order[:number]
        return Starts(self._z[chosen], self._w[chosen], self._labels[chosen])


def _first_of_each(values: torch.Tensor) -> torch.Tensor:
    """The positions, sorted, at which each distinct value first occurs."""
    return torch.stack([(values == value).nonzero()[0, 0] for value in values.unique()]).sort().values


def _small(images: torch.Tensor) -> torch.Tensor:
    return resized(images, min(images.shape[-1], _SIZE))

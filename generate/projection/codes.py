"""The codes w that the mapping makes: their distribution, and codes as variables of an optimisation."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from morphoscope.generate.model import GeneratorModel
from morphoscope.generate.networks.mapping import MappingNetwork

_SAMPLES = 2048  # of each condition for the moments, and as many others to compare a distance with
_SMALLEST_VARIANCE = 1e-4  # of the largest: directions that vary less count as varying this much


@dataclass(frozen=True)
class CodeDistribution:
    """A normal distribution of w for each condition, with one covariance for all conditions.

    StyleGAN2's w is far from isotropic. In whitened coordinates v, where w = mean + U v, all directions vary
    alike, so that a step of one size suits them all, and |v| tells how unusual a code is.

    Attributes:
        means: of each condition, [K, w_dim].
        root: U, symmetric, [w_dim, w_dim]; U U is the covariance.
        inverse: of U.
        known: the distances of other codes that the mapping made, sorted, by condition [K, samples].
    """

    means: torch.Tensor
    root: torch.Tensor
    inverse: torch.Tensor
    known: torch.Tensor

    @classmethod
    @torch.no_grad()
    def of(cls, model: GeneratorModel) -> "CodeDistribution":
        """The distribution of a model's codes, from 2048 random z (with a fixed seed) for each condition."""
        mapping, device = model.G.mapping, model.class_means.device
        randomness = torch.Generator().manual_seed(0)
        means, covariance, others = [], torch.zeros([], device=device), []
        labels = torch.eye(len(model.conditions), device=device)
        for label in labels:
            z = torch.randn([2 * _SAMPLES, mapping.z_dim], generator=randomness).to(device)
            codes = mapping(z, label.expand(len(z), -1))[:, 0]
            first, second = codes.split(_SAMPLES)
            means.append(first.mean(dim=0))
            covariance = covariance + torch.cov(first.T) / len(labels)
            others.append(second)
        variances, directions = torch.linalg.eigh(covariance.double())
        variances = variances.clamp_min(_SMALLEST_VARIANCE * variances.max())
        root = (directions * variances.sqrt()) @ directions.T
        inverse = (directions / variances.sqrt()) @ directions.T
        centres = torch.stack(means)
        fitted = cls(centres, root.float(), inverse.float(), torch.zeros(0))
        known = [fitted.distance(codes, label) for codes, label in zip(others, labels, strict=True)]
        return cls(centres, fitted.root, fitted.inverse, torch.stack(known).sort(dim=1).values)

    def mean(self, label: torch.Tensor) -> torch.Tensor:
        """The mean w of a mixture [..., K] of conditions, [..., w_dim]."""
        return label @ self.means

    def colour(self, v: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Whitened coordinates [N, w_dim] => codes w [N, w_dim]."""
        return self.mean(label) + v @ self.root

    def whiten(self, w: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Codes w [N, w_dim] => whitened coordinates."""
        return (w - self.mean(label)) @ self.inverse

    def distance(self, w: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Mahalanobis distance of codes [N, w_dim] from a mixture's mean, per root of the dimension, [N].

        Codes that the mapping makes have distances near 1.
        """
        return self.whiten(w, label).square().mean(dim=1).sqrt()

    def percentile(self, w: torch.Tensor, label: torch.Tensor) -> float:
        """Percentage, 0 to 100, of the codes of a condition that are nearer to its mean than w [1, w_dim].

        For a mixture, the codes of its largest condition.
        """
        known = self.known[int(label.argmax())]
        return 100 * float((known < self.distance(w, label)).float().mean())


class WhitenedCodes:
    """Codes w of fixed labels, free in all directions.

    Attributes:
        labels: [S, K].
        variables: what is optimised.
    """

    def __init__(self, distribution: CodeDistribution, labels: torch.Tensor, w: torch.Tensor) -> None:
        """Start from codes w [S, w_dim]."""
        self.distribution, self.labels = distribution, labels
        self._v = distribution.whiten(w, labels).detach().clone().requires_grad_()
        self.variables = [self._v]

    def codes(self, noise: torch.Tensor | float = 0.0) -> torch.Tensor:
        """The codes [S, w_dim], with `noise` [S, w_dim] added in units of their standard deviations."""
        return self.distribution.colour(self._v + noise, self.labels)

    def unlikeliness(self) -> torch.Tensor:
        """Mean square of the whitened coordinates, [S]; near 1 for codes of the mapping."""
        return self._v.square().mean(dim=1)


class MappedCodes:
    """Codes that the mapping itself makes, of free z and of free mixtures of the conditions.

    A mixture is a softmax, so that it always lies on the simplex.

    Attributes:
        variables: what is optimised: z and the logits.
    """

    _SHARE = 0.8  # of the start's own condition

    def __init__(self, mapping: MappingNetwork, labels: torch.Tensor, z: torch.Tensor) -> None:
        """Start from z [S, z_dim] and labels [S, K], near to pure conditions."""
        self._mapping = mapping
        even = torch.full_like(labels, 1 / labels.shape[1])
        self._logits = even.lerp(labels, self._SHARE).log().clone().requires_grad_()
        self._z = z.clone().requires_grad_()
        self.variables = [self._z, self._logits]

    @property
    def labels(self) -> torch.Tensor:
        """The mixtures, [S, K]."""
        return self._logits.softmax(dim=1)

    def codes(self, noise: torch.Tensor | float = 0.0) -> torch.Tensor:
        """The codes [S, w_dim], without the noise: with it, the mapping would not make them."""
        del noise
        return self._mapping(self._z, self.labels)[:, 0]

    def unlikeliness(self) -> torch.Tensor:
        """Zero for each start, [S]: the mapping normalises z, so that every code is a likely one."""
        return torch.zeros(len(self._z), device=self._z.device)


def named_mixture(shares: np.ndarray, conditions: list[str]) -> Mapping[str, float]:
    """{condition: share} of a label [K], without shares below a thousandth; they add up to 1."""
    kept = {name: float(share) for name, share in zip(conditions, shares, strict=True) if share >= 1e-3}
    total = sum(kept.values())
    return {name: share / total for name, share in kept.items()}

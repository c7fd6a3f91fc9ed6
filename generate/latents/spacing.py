"""Even spacing: frames placed along a path so that neighbours are equally far apart in perceptual distance.

A path that mixes labels evenly stands still and then jumps, since images do not change evenly with the label.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from morphoscope.configs import UserError
from morphoscope.generate.metrics.perceptual import PerceptualNetwork, as_tensor
from morphoscope.runtime.progress import track

_ROUNDS = 12
_EVEN_ENOUGH = 1.1  # ratio of the largest to the smallest step
_BATCH = 16

Frames = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Spacing:
    """Where the frames of a path lie, and how far they are apart.

    Attributes:
        network: the perceptual distance is of its features.
        ratios: along the path, [N] from 0 to 1.
        before, after: the N - 1 distances between neighbours with evenly spaced ratios, and with these.
    """

    network: str
    ratios: np.ndarray
    before: np.ndarray
    after: np.ndarray

    @property
    def unevenness(self) -> tuple[float, float]:
        """The ratio of the largest to the smallest step, before and after; 1 is even."""
        return unevenness(self.before), unevenness(self.after)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Spacing":
        """What `as_json` gave; KeyError, TypeError or ValueError for anything else."""
        names = ("ratios", "steps_before", "steps_after")
        ratios, before, after = (np.array(values[name], np.float64) for name in names)
        if not len(ratios) == len(before) + 1 == len(after) + 1:
            raise ValueError("one step fewer than ratios is expected")
        return cls(str(values["network"]), ratios, before, after)

    def as_json(self) -> dict[str, object]:
        """All of it, as plain values."""
        before, after = self.unevenness
        return {
            "network": self.network,
            "ratios": self.ratios.tolist(),
            "steps_before": self.before.tolist(),
            "steps_after": self.after.tolist(),
            "largest_to_smallest_before": round(before, 3),
            "largest_to_smallest_after": round(after, 3),
        }


def space_evenly(frames: Frames, count: int, network: PerceptualNetwork) -> Spacing:
    """Place `count` frames so that neighbours are equally far apart.

    The steps of one round tell how fast the images change between its ratios; the next round's ratios divide
    the sum of the steps evenly (equidistribution, de Boor 1973, "Good approximation by splines with variable
    knots"). It ends when the largest step is at most 1.1 times the smallest, or after 12 rounds with the
    most even one.

    Args:
        frames: ratios [N] => images uint8 [N, R, R, 3].

    Raises:
        UserError: the path's images are all the same.
    """

    def steps(ratios: np.ndarray) -> np.ndarray:
        return distances(frames(ratios), network)

    ratios = np.linspace(0, 1, count)
    before = found = steps(ratios)
    if not before.any():
        raise UserError("All frames of this path are the same image, so they cannot be spaced evenly.")
    best = ratios, before
    for _ in track(range(_ROUNDS), "Spacing the frames evenly"):
        if unevenness(best[1]) <= _EVEN_ENOUGH:
            break
        travelled = np.concatenate([[0], np.cumsum(found)])
        ratios = np.interp(np.linspace(0, travelled[-1], count), travelled, ratios)
        ratios[0], ratios[-1] = 0, 1
        found = steps(ratios)
        if unevenness(found) < unevenness(best[1]):
            best = ratios, found
    return Spacing(network.name, best[0], before, best[1])


@torch.no_grad()
def distances(images: np.ndarray, network: PerceptualNetwork) -> np.ndarray:
    """The distance of each image from the one before: uint8 [N, R, R, 3] => float64 [N - 1].

    Euclidean, so that the distances along a path add up; LPIPS and the like are its square.
    """
    found, last = [], None
    for start in range(0, len(images), _BATCH):
        features = network.features(as_tensor(images[start : start + _BATCH], network.device))
        joined = features if last is None else torch.cat([last, features])
        found.append(network.distance(joined[1:], joined[:-1]).sqrt().double().cpu().numpy())
        last = features[-1:]
    return np.concatenate(found)


def unevenness(steps: np.ndarray) -> float:
    """The ratio of the largest to the smallest step; infinite if there is a step of no length."""
    return float(steps.max() / steps.min()) if steps.min() > 0 else float("inf")

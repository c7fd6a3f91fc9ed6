"""Which images of a large set are compared."""

from collections.abc import Mapping

import numpy as np

FEWEST_IMAGES = 4  # of a set; with fewer the kernel distance could not draw different subsets
_LARGEST = 2000  # images: two million pairs


def sample_of(features: np.ndarray, most: int = _LARGEST) -> np.ndarray:
    """The features [N, D] themselves; of more than `most`, a random sample with a fixed seed."""
    if len(features) <= most:
        return features
    return features[np.random.default_rng(0).choice(len(features), most, replace=False)]


def in_proportion(generated: Mapping[str, np.ndarray], counts: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Generated images in the proportions of `counts`, {condition: number of real images}.

    All of the most frequent condition, and the first ones (at least one) of each other condition.
    """
    most = max(counts.values())
    return {
        name: generated[name][: max(1, round(len(generated[name]) * count / most))]
        for name, count in counts.items()
    }

"""Whether images of one set lie among those of another, by balls around each image that reach its neighbours.

Precision and recall: Kynkäänniemi et al. 2019, "Improved Precision and Recall Metric for Assessing Generative
Models", equations 1 and 2. Density and coverage: Naeem et al. 2020, "Reliable Fidelity and Diversity Metrics
for Generative Models", equations 3 and 5.
"""

import numpy as np

PRECISION_NEIGHBOURS = 3  # k, as published
DENSITY_NEIGHBOURS = 5


def ball_radii(distances: np.ndarray, k: int) -> np.ndarray:
    """The distance of each image to its k-th nearest other one: float64 [N].

    Args:
        distances: between the images, [N, N]; infinite for an image itself, and for another one of the same
            patient, since the near-identical images of one patient would make the balls too small.
        k: at least 1.
    """
    if k > len(distances):
        return np.full(len(distances), np.inf)
    return np.asarray(np.partition(distances, k - 1, axis=1)[:, k - 1])


def precision(between: np.ndarray, real_radii: np.ndarray) -> float:
    """Proportion of the generated images that lie in the ball of any real one.

    Args:
        between: distances of generated from real images, [M, N].
        real_radii: of the balls around the real images, [N].
    """
    return float((between <= real_radii).any(axis=1).mean())


def recall(between: np.ndarray, generated_radii: np.ndarray) -> float:
    """Proportion of the real images that lie in the ball of any generated one; radii [M]."""
    return float((between <= generated_radii[:, None]).any(axis=0).mean())


def density(between: np.ndarray, real_radii: np.ndarray, k: int) -> float:
    """Mean number of real images' balls that a generated image lies in, divided by k."""
    return float((between <= real_radii).sum(axis=1).mean() / k)


def coverage(between: np.ndarray, real_radii: np.ndarray) -> float:
    """Proportion of the real images whose balls contain a generated one."""
    return float((between <= real_radii).any(axis=0).mean())

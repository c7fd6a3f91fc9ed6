"""How many different images a generator makes (after Arora and Zhang 2017, "Do GANs Actually Learn the
Distribution?", who count coincidences as in the birthday problem)."""

import numpy as np
from scipy.spatial.distance import pdist

from morphoscope.generate.metrics.diversity import diversity
from morphoscope.generate.metrics.neighbours import nearest
from morphoscope.generate.metrics.selection import sample_of

_REPEATED = 0.5  # of the usual distance between nearest real images
_LEAST_SCALE = 0.5  # a single image that varies a little has no other spread to compare with


def repeated_pairs(generated: np.ndarray, real: np.ndarray) -> float:
    """Proportion of the pairs of generated images that show the same image twice, 0 to 1.

    A pair counts if its distance is below half of the median distance from a real image to its nearest other
    one, in a set of real images not larger than that of the generated ones. Where generated images differ
    less than real ones (down to half as much), distances are compared relative to the mean over all pairs:
    images that are all a little too alike are no repetitions. If k images are shown equally often, the
    proportion is near 1 / k.

    Args:
        generated, real: features [M, D] and [N, D], at least 2 rows each. Of more than 2000 images, a random
            sample is used.
    """
    generated = sample_of(generated)
    real = sample_of(real, len(generated))
    to_nearest = nearest(real, real, 2)[0][:, 1]
    spread = diversity(real)
    scale = np.clip(diversity(generated) / spread, _LEAST_SCALE, 1) if spread else 1.0
    distances = pdist(generated.astype(np.float64))
    return float((distances <= _REPEATED * scale * np.median(to_nearest)).mean())

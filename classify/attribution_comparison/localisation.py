"""Does a map point at the lesion? Chance level is the fraction of the image that the lesion mask covers."""

import numpy as np


def points_at(attribution: np.ndarray, mask: np.ndarray) -> bool:
    """The pointing game (Zhang et al. 2016), without tolerance: is the map's maximum inside the mask?

    A map without positive attribution does not point at anything.

    Args:
        attribution: [H, W].
        mask: bool [H, W], true on the lesion.
    """
    return bool(attribution.max() > 0 and mask.flat[attribution.argmax()])


def proportion_inside(attribution: np.ndarray, mask: np.ndarray) -> float:
    """Proportion of the positive attribution inside the lesion mask, in [0, 1]; 0 if nothing is positive.

    Args:
        attribution: [H, W].
        mask: bool [H, W], true on the lesion.
    """
    positive = np.clip(attribution, 0, None)
    total = float(positive.sum())
    return float(positive[mask].sum()) / total if total > 0 else 0.0

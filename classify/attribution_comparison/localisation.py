"""Does a map point at the lesion? Answers need a mask of it; the lesion's share of the picture is chance."""

import numpy as np


def points_at(attribution: np.ndarray, mask: np.ndarray) -> bool:
    """The pointing game (Zhang et al. 2016), without tolerance: the map's maximum lies in the mask.

    A map that nowhere exceeds 0 points nowhere.

    Args:
        attribution: [H, W].
        mask: bool [H, W], true on the lesion.
    """
    return bool(attribution.max() > 0 and mask.flat[attribution.argmax()])


def share_inside(attribution: np.ndarray, mask: np.ndarray) -> float:
    """Share of the positive attribution that lies in the mask, 0 … 1; 0 for a map without any."""
    positive = np.clip(attribution, 0, None)
    total = float(positive.sum())
    return float(positive[mask].sum()) / total if total > 0 else 0.0

"""An attribution map of an ensemble, and what can be said of it without looking."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image
from scipy.stats import rankdata

from morphoscope.cohort.resizing import Fit
from morphoscope.configs.attribution import Baseline, Method

COARSE = 0.05  # a convergence delta beyond this share of the difference deserves a warning
_NEGLIGIBLE = 1e-3  # of probability: a delta below it is no matter, however small the difference
_SIGNED = ("integrated_gradients", "occlusion")


@dataclass(frozen=True)
class Attribution:
    """A map of what moves the probability of `target`, the mean over the folds' maps.

    Attributes:
        map: float32 [H, W] on the pixels of the image. Of a signed method positive pixels raise the
            probability and negative ones lower it; of an unsigned one a pixel matters the more, the larger
            its value, which is 0 or above.
        per_fold: float32 [F, R, R], each fold's map at the models' resolution.
        difference: integrated gradients: mean probability of `target` for the image minus that for the
            baseline; the map sums to it, up to an error of at most `convergence_delta` and the spreading
            over the image's own pixels. None for the other methods.
        deltas: float64 [F], each fold's convergence delta: sum of its map minus its difference, the
            integral's error; of several baselines that of the worst. None for the other methods.
        target, method, baseline: what was asked; baseline None: the method has none.
    """

    map: np.ndarray
    per_fold: np.ndarray
    difference: float | None
    deltas: np.ndarray | None
    target: str
    method: Method
    baseline: Baseline | None

    @property
    def signed(self) -> bool:
        """Whether negative values mean evidence against `target`."""
        return is_signed(self.method)

    @property
    def convergence_delta(self) -> float | None:
        """The one of `deltas` that is furthest from 0: in a mean the folds' errors would cancel."""
        return None if self.deltas is None else float(max(self.deltas, key=abs))

    @property
    def agreement(self) -> float | None:
        """Mean rank correlation (Spearman) between the maps of any two folds, -1 … 1; None for one fold."""
        folds = len(self.per_fold)
        if folds < 2:
            return None
        pairs = [(i, j) for i in range(folds) for j in range(i)]
        return float(np.mean([rank_correlation(self.per_fold[i], self.per_fold[j]) for i, j in pairs]))

    @property
    def warning(self) -> str | None:
        """A sentence if the integral is coarse: its largest error exceeds 5% of the difference."""
        if self.difference is None or self.convergence_delta is None:
            return None
        error = abs(self.convergence_delta)
        if error <= max(COARSE * abs(self.difference), _NEGLIGIBLE):
            return None
        return (
            f"The integral misses a model's difference by up to {self.convergence_delta:+.4f}, more than "
            f"{COARSE:.0%} of their mean of {self.difference:+.4f}: take more steps."
        )


def averaged(parts: Sequence[Attribution]) -> Attribution:
    """The map of baseline "average" from those of its four baselines, as `Ensemble.attribute` makes it."""
    deltas = [one.deltas for one in parts if one.deltas is not None]
    differences = [one.difference for one in parts if one.difference is not None]
    return replace(
        parts[0],
        map=np.mean([one.map for one in parts], axis=0),
        per_fold=np.mean([one.per_fold for one in parts], axis=0),
        difference=float(np.mean(differences)) if differences else None,
        # As everywhere the one furthest from 0, of each fold: in a mean errors would cancel.
        deltas=np.array([max(of_fold, key=abs) for of_fold in zip(*deltas, strict=True)]) if deltas else None,
        baseline="average",
    )


def is_signed(method: Method) -> bool:
    """Whether a method's maps tell evidence against from evidence for."""
    return method in _SIGNED


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rank correlation of two maps of one shape, -1 … 1; 0 where one of them is constant."""
    ranks = np.stack([rankdata(a.ravel()), rankdata(b.ravel())])
    if (np.ptp(ranks, axis=1) == 0).any():
        return 0.0
    return float(np.corrcoef(ranks)[0, 1])


def onto_image(square_map: np.ndarray, shape: tuple[int, int], fit: Fit) -> np.ndarray:
    """Spread a map of the square that the model saw over the image it was cut from, keeping its sum
    up to the edges' interpolation.

    Args:
        square_map: float32 [R, R].
        shape: (H, W) of the image.
        fit: how the image became square; "crop" leaves zeros outside the central square, "letterbox" drops
            what fell on the black margin.

    Returns:
        float32 [H, W].
    """
    height, width = shape
    side = min(height, width) if fit == "crop" else max(height, width)
    if side == len(square_map):
        spread = square_map
    else:
        spread = np.asarray(Image.fromarray(square_map).resize((side, side), Image.Resampling.BILINEAR))
        spread = spread * np.float32((len(square_map) / side) ** 2)
    result = np.zeros(shape, np.float32)
    top, left = (height - side) // 2, (width - side) // 2
    if fit == "crop":
        result[top : top + side, left : left + side] = spread
    else:
        result[:] = spread[-top : -top + height, -left : -left + width]
    return result

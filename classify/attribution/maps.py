"""An ensemble's attribution map, and how reliable it is: agreement of the folds, error of the integral."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from PIL import Image
from scipy.stats import rankdata

from morphoscope.cohort.resizing import Fit
from morphoscope.configs.attribution import Baseline, Method

COARSE = 0.05  # a convergence delta above this fraction of the difference leads to a warning
_NEGLIGIBLE = 1e-3  # a convergence delta below this probability never leads to a warning
_SIGNED = ("integrated_gradients", "occlusion")


@dataclass(frozen=True)
class Attribution:
    """How much each pixel contributes to the probability of `target`: the mean of the folds' maps.

    Attributes:
        map: float32 [H, W] on the pixels of the image. With a signed method, positive pixels raise the
            probability and negative ones lower it. With an unsigned method, values are 0 or above, and a
            larger value means a more important pixel.
        per_fold: float32 [F, R, R], each fold's map at the models' resolution; [F, R, 2R] of a pair.
        difference: integrated gradients: mean probability of `target` for the image minus that for the
            baseline. The map sums to it, up to an error of at most `convergence_delta` and the resampling to
            the image's own pixels. None for the other methods.
        deltas: float64 [F], integrated gradients: each fold's convergence delta, the sum of its map minus its
            difference, which is the error of the integral; of several baselines the one furthest from 0.
            None for the other methods.
        target: name of the condition.
        method: the attribution method.
        baseline: its baseline; None if the method has none.
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
        """Whether negative values are evidence against `target`."""
        return is_signed(self.method)

    @property
    def convergence_delta(self) -> float | None:
        """The delta furthest from 0, since the folds' errors would cancel in a mean; None without deltas."""
        return None if self.deltas is None else float(max(self.deltas, key=abs))

    @cached_property
    def agreements(self) -> np.ndarray | None:
        """Each fold's mean Spearman rank correlation with the other folds' maps, float64 [F] in [-1, 1].

        None for one fold.
        """
        folds = len(self.per_fold)
        if folds < 2:
            return None
        found = np.zeros((folds, folds))
        for i in range(folds):
            for j in range(i):
                found[i, j] = found[j, i] = rank_correlation(self.per_fold[i], self.per_fold[j])
        return found.sum(axis=1) / (folds - 1)

    @property
    def agreement(self) -> float | None:
        """Mean Spearman rank correlation over all pairs of folds' maps, in [-1, 1]; None for one fold."""
        return None if self.agreements is None else float(self.agreements.mean())

    @property
    def warning(self) -> str | None:
        """A warning if the largest error of the integral exceeds 5% of the difference, else None."""
        if self.difference is None or self.convergence_delta is None:
            return None
        error = abs(self.convergence_delta)
        if error <= max(COARSE * abs(self.difference), _NEGLIGIBLE):
            return None
        return (
            f"The integral has an error of up to {self.convergence_delta:+.4f} for a model, more than "
            f"{COARSE:.0%} of the mean difference of {self.difference:+.4f}: use more steps."
        )


def averaged(parts: Sequence[Attribution]) -> Attribution:
    """Combine the maps of the four single baselines into that of "average", as `Ensemble.attribute` does.

    Args:
        parts: maps of one image, target and method, one per baseline.
    """
    deltas = [one.deltas for one in parts if one.deltas is not None]
    differences = [one.difference for one in parts if one.difference is not None]
    return replace(
        parts[0],
        map=np.mean([one.map for one in parts], axis=0),
        per_fold=np.mean([one.per_fold for one in parts], axis=0),
        difference=float(np.mean(differences)) if differences else None,
        # Of each fold the delta furthest from 0: errors of opposite sign would cancel in a mean.
        deltas=np.array([max(of_fold, key=abs) for of_fold in zip(*deltas, strict=True)]) if deltas else None,
        baseline="average",
    )


def is_signed(method: Method) -> bool:
    """Whether a method's maps distinguish evidence for from evidence against."""
    return method in _SIGNED


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rank correlation of two maps of one shape, in [-1, 1]; 0 if one of them is constant."""
    ranks = np.stack([rankdata(a.ravel()), rankdata(b.ravel())])
    if (np.ptp(ranks, axis=1) == 0).any():
        return 0.0
    return float(np.corrcoef(ranks)[0, 1])


def onto_image(square_map: np.ndarray, shape: tuple[int, int], fit: Fit) -> np.ndarray:
    """Resample a map from the model's square input to the pixels of the original image.

    The sum of the map is kept, up to interpolation at the edges.

    Args:
        square_map: float32 [R, R].
        shape: (H, W) of the image.
        fit: how the image was made square; "crop" leaves zeros outside the central square, "letterbox" drops
            the attribution of the black margin.

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

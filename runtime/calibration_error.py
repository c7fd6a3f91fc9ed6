"""How far probabilities are from the accuracy at each confidence, and how far chance alone takes them."""

from typing import Any, NamedTuple

import numpy as np

from morphoscope.runtime.statistics import Estimate, draw_groups, proportion_by_group

_MOST_BINS, _IMAGES_PER_BIN = 15, 20
_REPLICATES = 1000


class Reliability(NamedTuple):
    """B bins of images by confidence (the highest probability), from low to high.

    Attributes:
        confidence: mean of the bin, float64 [B] in (0, 1].
        accuracy: proportion of correct predictions with its interval by patient, B estimates.
        images: number of images, int64 [B].
    """

    confidence: np.ndarray
    accuracy: list[Estimate]
    images: np.ndarray


class CalibrationError(NamedTuple):
    """The expected calibration error of some images, and what chance contributes to it; all in [0, 1].

    Attributes:
        value, low, high: the error as measured, and the 95% interval of the error without chance. The
            interval begins at 0 unless the value exceeds `chance_limit`.
        chance, chance_limit: mean and 95th percentile of the error that a perfectly calibrated model with
            the same confidences would show with as many images of these patients.
        debiased: the value without the part that chance explains.
    """

    value: float
    low: float
    high: float
    chance: float
    chance_limit: float
    debiased: float

    @property
    def estimate(self) -> Estimate:
        """The value with its interval."""
        return Estimate(self.value, self.low, self.high)

    def as_json(self) -> dict[str, Any]:
        """As metrics.json has it."""
        return dict(self._asdict())


def reliability(probabilities: np.ndarray, truth: np.ndarray, groups: np.ndarray) -> Reliability:
    """Sort images into at most 15 bins of about equal size, of about 20 images unless there are fewer in all.

    Bins of equal width would be nearly empty for the most part, since confidences gather near 1. Images with
    the same confidence are in the same bin, so that their order has no influence.

    Args:
        probabilities: float32 [N, K].
        truth: true class, int64 [N].
        groups: patient of each image, [N].
    """
    confidence, correct, owner = _binned(probabilities, truth)
    images = np.bincount(owner)
    return Reliability(
        np.bincount(owner, weights=confidence) / images,
        [proportion_by_group(correct[owner == bin_], groups[owner == bin_]) for bin_ in range(len(images))],
        images,
    )


def calibration_error(
    probabilities: np.ndarray, truth: np.ndarray, groups: np.ndarray, seed: int = 0
) -> CalibrationError:
    """Expected calibration error over the bins of `reliability`.

    ECE = sum over bins of (images / N) |accuracy - mean confidence| (Naeini et al. 2015; Guo et al. 2017,
    equation 5). Chance alone makes it positive: the fewer images, the larger. So it is compared with what a
    perfectly calibrated model would show (consistency resampling, Bröcker and Smith 2007): outcomes are drawn
    1000 times from the confidences themselves, with the correlation between images of one patient that is
    measured here. The debiased error is the ECE scaled by the square root of the proportion of the mean
    squared difference that these draws do not explain. The interval is as wide as 1000 bootstrap draws of
    patients vary, down from the debiased error and up from the ECE itself, and begins at 0 if the ECE is
    within the calibrated draws' 95th percentile. It reaches at least to the largest difference between the
    mean confidence and an end of the accuracy's interval, since bootstrap draws of images that are all
    correct do not vary. Simulated with 60 to 600 patients, it contains the error
    that remains with unlimited images in 92 to 99% of samples, and 0 in 93 to 96% of calibrated ones.

    Args:
        probabilities: float32 [N, K].
        truth: true class, int64 [N].
        groups: patient of each image, [N].
        seed: of the draws.
    """
    random = np.random.default_rng(seed)
    confidence, correct, owner = _binned(probabilities, truth)
    names, patient = np.unique(groups, return_inverse=True)
    images = np.bincount(owner)
    gaps = _gaps(patient, owner, correct - confidence)
    value, square = (float(one) for one in _error(gaps.sum(axis=0), images))
    correlation = _correlation(confidence, correct, patient)
    errors, squares = _errors_by_chance(confidence, owner, patient, correlation, random)
    limit = float(np.quantile(errors, 0.95))
    unexplained = max(0.0, 1 - float(squares.mean()) / square) if square > 0 else 0.0
    drawn = draw_groups(len(names), _REPLICATES, random)
    replicates = np.abs(drawn @ gaps).sum(axis=1) / (drawn @ np.bincount(patient))
    debiased = value * unexplained**0.5
    below, above = np.quantile(replicates, [0.025, 0.975]) - replicates.mean()
    low = debiased + below if value > limit else 0.0
    accuracy = proportion_by_group(correct, groups)
    overall = max(confidence.mean() - accuracy.low, accuracy.high - confidence.mean())
    high = min(max(value + above, overall), 1.0)
    return CalibrationError(value, float(max(low, 0)), float(high), float(errors.mean()), limit, debiased)


def error_difference(
    before: np.ndarray, after: np.ndarray, truth: np.ndarray, groups: np.ndarray, seed: int = 0
) -> Estimate:
    """The change of the expected calibration error, after minus before, on the same images.

    Its interval is the basic bootstrap's with 1000 draws of patients, the same ones for both. The accuracy is
    common to both, so that this interval is much narrower than the difference of two independent errors.

    Args:
        before, after: probabilities, float32 [N, K].
        truth, groups, seed: as for `calibration_error`.

    Returns:
        In [-1, 1]; below 0 if the error became smaller.
    """
    names, patient = np.unique(groups, return_inverse=True)
    drawn = draw_groups(len(names), _REPLICATES, np.random.default_rng(seed))
    values, replicates = [], []
    for probabilities in (before, after):
        confidence, correct, owner = _binned(probabilities, truth)
        gaps = _gaps(patient, owner, correct - confidence)
        values.append(np.abs(gaps.sum(axis=0)).sum() / len(truth))
        replicates.append(np.abs(drawn @ gaps).sum(axis=1) / (drawn @ np.bincount(patient)))
    value = float(values[1] - values[0])
    high, low = 2 * value - np.quantile(replicates[1] - replicates[0], [0.025, 0.975])
    return Estimate(value, float(min(low, value)), float(max(high, value)))


def errors_by_chance(
    confidence: np.ndarray, groups: np.ndarray, correlation: float, seed: int = 0
) -> np.ndarray:
    """The calibration errors that a perfectly calibrated model would show: 1000 draws, float64 [1000].

    Args:
        confidence: highest probability of each image, [N] in (0, 1].
        groups: patient of each image, [N].
        correlation: between the correctness of two images of one patient, in [0, 1].
        seed: of the draws.
    """
    patient = np.unique(groups, return_inverse=True)[1]
    random = np.random.default_rng(seed)
    return _errors_by_chance(confidence, _bins(confidence), patient, correlation, random)[0]


def _binned(probabilities: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(confidence float64, whether the prediction is correct, number of the bin), each [N]."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    return confidence, probabilities.argmax(axis=1) == truth, _bins(confidence)


def _bins(confidence: np.ndarray) -> np.ndarray:
    """The number of each image's bin, int64 [N]."""
    bins = int(np.clip(len(confidence) // _IMAGES_PER_BIN, 1, _MOST_BINS))
    first_rank = np.searchsorted(np.sort(confidence), confidence)  # ties share the rank of their first
    owner: np.ndarray = np.unique(first_rank * bins // len(confidence), return_inverse=True)[1]
    return owner


def _gaps(patient: np.ndarray, owner: np.ndarray, difference: np.ndarray) -> np.ndarray:
    """Sum of the differences of each patient's images in each bin, [P, B]."""
    gaps = np.zeros((patient.max() + 1, owner.max() + 1))
    np.add.at(gaps, (patient, owner), difference)
    return gaps


def _error(gaps: np.ndarray, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean absolute and mean squared difference, both [...], of sums [..., B] and images per bin [B]."""
    total = images.sum()
    return np.abs(gaps).sum(axis=-1) / total, (gaps**2 / images).sum(axis=-1) / total


def _correlation(confidence: np.ndarray, correct: np.ndarray, patient: np.ndarray) -> float:
    """Correlation in [0, 1] between the correctness of two images of one patient, given their confidences."""
    difference, scale = correct - confidence, np.sqrt(confidence * (1 - confidence))
    together, possible = (
        (np.bincount(patient, weights=one) ** 2).sum() - (one**2).sum() for one in (difference, scale)
    )
    return float(np.clip(together / possible, 0, 1)) if possible > 1e-9 else 0.0


def _errors_by_chance(
    confidence: np.ndarray,
    owner: np.ndarray,
    patient: np.ndarray,
    correlation: float,
    random: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Both errors of `_error` for each draw of a perfectly calibrated model, [R] and [R].

    Each image is correct if a uniform number is below its confidence. It shares this number with its
    patient's other images with a probability whose square is the correlation between them.
    """
    shared, patients, images = correlation**0.5, patient.max() + 1, np.bincount(owner)
    gaps = np.empty((_REPLICATES, len(images)))
    for replicate in range(_REPLICATES):
        own = random.random(len(confidence))
        if shared > 0:
            common = random.random(patients)[patient]
            own = np.where(random.random(len(own)) < shared, common, own)
        gaps[replicate] = np.bincount(owner, weights=(own < confidence) - confidence)
    return _error(gaps, images)

"""The frequencies of the conditions that probabilities assume, and how others change them (Bayes' rule)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Balance = Literal["inverse", "effective"]
EQUAL, COHORT = "equally frequent conditions", "the training cohort's frequencies"

_LEAST = 1e-30


@dataclass(frozen=True)
class Prior:
    """Frequencies of K conditions among the patients that a probability is for.

    Attributes:
        frequencies: each above 0; they sum to 1.
        name: what they are, to be read after "assumes".
    """

    frequencies: tuple[float, ...]
    name: str

    def as_json(self, conditions: Sequence[str]) -> dict[str, Any]:
        """As JSON files have it; `conditions` are the K names in the order of the frequencies."""
        return {"name": self.name, "frequencies": dict(zip(conditions, self.frequencies, strict=True))}

    def reordered(self, order: Sequence[int]) -> "Prior":
        """The same frequencies with the conditions in another order: the old position of each, [K]."""
        return Prior(tuple(self.frequencies[k] for k in order), self.name)

    @classmethod
    def of(cls, sizes: np.ndarray, name: str) -> "Prior":
        """Frequencies in proportion to `sizes`, float or int [K], each above 0."""
        total = sizes.sum(dtype=np.float64)
        return cls(tuple(float(size / total) for size in sizes), name)

    @classmethod
    def uniform(cls, classes: int) -> "Prior":
        """Equally frequent conditions."""
        return cls.of(np.ones(classes), EQUAL)

    @classmethod
    def named(cls, frequencies: tuple[float, ...], cohort: tuple[float, ...] | None) -> "Prior":
        """`frequencies` with the name that they deserve beside those of the training cohort, if known."""
        if np.allclose(frequencies, 1 / len(frequencies), atol=1e-6):
            return cls(frequencies, EQUAL)
        if cohort is not None and np.allclose(frequencies, cohort, atol=1e-6):
            return cls(frequencies, COHORT)
        return cls(frequencies, "the frequencies that the training's loss weights leave")


def shift(old: Prior, new: Prior) -> np.ndarray:
    """What is added to logits under `old` to have those under `new`: log ratio, float64 [K]."""
    return np.log(np.array(new.frequencies) / np.array(old.frequencies))


def shift_to_images(prior: Prior | None, truth: np.ndarray, classes: int) -> np.ndarray:
    """`shift` from a prior to the frequencies of labelled images: float64 [K]; 0 if the prior is unknown.

    Half an image is added to each condition, so that none has the frequency 0.

    Args:
        truth: true class of each image, int64 [N].
        classes: K.
    """
    if prior is None:
        return np.zeros(classes)
    return shift(prior, Prior.of(np.bincount(truth, minlength=classes) + 0.5, "these images"))


def reweighted(probabilities: np.ndarray, old: Prior, new: Prior) -> np.ndarray:
    """Bayes' rule: the probabilities under other frequencies of the same conditions.

    It holds as far as the images of each condition look the same in both populations.

    Args:
        probabilities: float32 [..., K] in [0, 1], under `old`.

    Returns:
        float32 [..., K]; each row sums to 1.
    """
    weighted = np.maximum(probabilities, _LEAST) * np.exp(shift(old, new))
    return (weighted / weighted.sum(axis=-1, keepdims=True)).astype(np.float32)


def loss_weights(counts: np.ndarray, balance: Balance, power: float, beta: float) -> np.ndarray:
    """Loss weight of each class: size^-power, scaled to a mean of 1 over all images.

    The size of a class is its number of images or, for "effective", the number of images that do not repeat
    one another if a further image is new with probability `beta`^(images before it), which is
    (1 - beta^n) / (1 - beta) (Cui et al. 2019, arXiv 1901.05555, equation 2). At power 1 the weights are
    those of that paper, from equal ones (beta 0) to inverse frequency (beta near 1).

    Args:
        counts: number of images of each class, positive, float or int [K]; a soft target adds its shares.
        balance: which size.
        power: 0 weights all classes equally, 1 balances them fully.
        beta: in [0, 1), for "effective" only.

    Returns:
        float64 [K], positive.
    """
    size = counts.astype(np.float64)
    if balance == "effective":
        size = (1 - beta**size) / (1 - beta)
    weights = size**-power
    return weights * counts.sum() / (weights * counts).sum()

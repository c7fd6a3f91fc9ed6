"""A linear head over an encoder: a map of embeddings that brings patients of one syndrome together."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Head:
    """A linear map of embeddings.

    Attributes:
        weights: float32 [D, D].
        trained_on: digests of the aligned faces that it was trained on, as galleries record them.
    """

    weights: NDArray[np.float32]
    trained_on: frozenset[str]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the weights."""
        return hashlib.sha256(np.ascontiguousarray(self.weights).tobytes()).hexdigest()

    def __call__(self, embeddings: np.ndarray) -> NDArray[np.float32]:
        """Embeddings [..., D] after the map, of length 1."""
        return unit(embeddings @ self.weights.T)


def unit(vectors: np.ndarray) -> NDArray[np.float32]:
    """The vectors [..., D] with length 1."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)


def joint_name(encoder: str) -> str:
    """The name of an encoder with a head."""
    return f"{encoder}, with a head"


def joint_digest(encoder: str, head: Head | None) -> str:
    """What stands for an encoder with its head: the digest of the encoder's file if there is no head."""
    return encoder if head is None else hashlib.sha256(f"{encoder} {head.digest}".encode()).hexdigest()

"""Distances of faces to syndromes: to the nearest image of each, as in GestaltMatcher (Hsieh et al. 2022)."""

import numpy as np
from numpy.typing import NDArray

from morphoscope.classify.gestalt.gallery import Gallery

_ROWS = 2048  # faces at a time, which limits memory


def image_distances(embeddings: np.ndarray, gallery: Gallery) -> NDArray[np.float32]:
    """Cosine distances, 0 to 2, of faces [M, D] to each image of the gallery: float32 [M, N]."""
    return np.asarray(1 - embeddings @ gallery.embeddings.T, np.float32)


def syndrome_distances(distances: np.ndarray, labels: np.ndarray, syndromes: int) -> NDArray[np.float32]:
    """Distance of each face to the nearest image of each syndrome, infinite where none is finite: [M, K].

    Args:
        distances: to images, [M, N]; infinite for images that are not to be used.
        labels: of the images, 0 to K - 1, [N].
        syndromes: K.
    """
    order = np.argsort(labels, kind="stable")
    present, starts = np.unique(labels[order], return_index=True)
    found = np.full((len(distances), syndromes), np.inf, np.float32)
    found[:, present] = np.minimum.reduceat(distances[:, order], starts, axis=1)
    return found


def left_out_distances(gallery: Gallery) -> NDArray[np.float32]:
    """`syndrome_distances` of the gallery's images, each without those of its patient and family: [N, K]."""
    _, kin = np.unique(gallery.kin, return_inverse=True)
    _, patient = np.unique(gallery.patients, return_inverse=True)
    labels, found = gallery.labels, []
    for start in range(0, len(gallery), _ROWS):
        rows = slice(start, start + _ROWS)
        distances = image_distances(gallery.embeddings[rows], gallery)
        related = (kin[rows, None] == kin[None]) | (patient[rows, None] == patient[None])
        distances[related] = np.inf
        found.append(syndrome_distances(distances, labels, len(gallery.syndromes)))
    return np.concatenate(found)

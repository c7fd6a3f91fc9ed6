"""Whether patients look more alike than chance, as geneticists ask of a new syndrome; and a map of faces."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from morphoscope.classify.gestalt.gallery import Gallery
from morphoscope.configs import UserError, first_names

_PERMUTATIONS = 9999


@dataclass(frozen=True, eq=False)
class Likeness:
    """Pairwise distances between patients, and how unusual they are.

    Attributes:
        patients: names, n.
        distances: cosine distance between two patients, mean over their images; float64 [n, n], 0 on the
            diagonal.
        mean: of the distances between two patients.
        chance: mean of the same for groups of n patients drawn at random from the gallery.
        p: fraction of such groups that are at least as alike, (1 + hits) / (1 + 9999).
    """

    patients: tuple[str, ...]
    distances: NDArray[np.float64]
    mean: float
    chance: float
    p: float

    def to_frame(self) -> pd.DataFrame:
        """The matrix as a table, with patients as rows and columns."""
        return pd.DataFrame(self.distances, index=list(self.patients), columns=list(self.patients))


def measure_likeness(gallery: Gallery, patients: Sequence[str], seed: int = 0) -> Likeness:
    """Compare patients with random groups of as many patients of the gallery.

    Relatives look alike for other reasons: of a family only one patient should be among them.

    Args:
        patients: names of two or more patients in the gallery.
        seed: of the random groups.

    Raises:
        UserError: a patient is not in the gallery, two are of one family, fewer than two are given, or the
            gallery has no other patients.
    """
    names = sorted(set(patients))
    everybody, owner = np.unique(gallery.patients, return_inverse=True)
    unknown = [name for name in names if name not in set(everybody)]
    if unknown:
        raise UserError(f"Not in the gallery: {first_names(unknown)}.")
    if len(names) < 2 or len(everybody) <= len(names):
        raise UserError(
            f"{len(names)} of {len(everybody)} patients: likeness needs at least two, and others to compare "
            f"with."
        )
    chosen = np.searchsorted(everybody, names)
    families = [gallery.kin[owner == index][0] for index in chosen]
    if len(set(families)) < len(families):
        raise UserError(
            "Two of the patients are of one family; choose one of them, since relatives look alike."
        )
    matrix = _between_patients(gallery.embeddings, owner)
    mean = _mean_pair(matrix, chosen[None])[0]
    random = np.random.default_rng(seed)
    groups = np.stack(
        [random.choice(len(everybody), len(names), replace=False) for _ in range(_PERMUTATIONS)]
    )
    drawn = _mean_pair(matrix, groups)
    return Likeness(
        patients=tuple(names),
        distances=matrix[np.ix_(chosen, chosen)],
        mean=float(mean),
        chance=float(drawn.mean()),
        p=float((1 + (drawn <= mean).sum()) / (1 + _PERMUTATIONS)),
    )


def _between_patients(embeddings: np.ndarray, owner: np.ndarray) -> NDArray[np.float64]:
    """Mean cosine distance between the images of two patients, [P, P]; 0 on the diagonal."""
    counts = np.bincount(owner)
    means = np.zeros((len(counts), embeddings.shape[1]))
    np.add.at(means, owner, embeddings)
    means /= counts[:, None]
    matrix = 1 - means @ means.T  # the mean of the products is the product of the means
    np.fill_diagonal(matrix, 0)
    return matrix


def _mean_pair(matrix: np.ndarray, groups: np.ndarray) -> NDArray[np.float64]:
    """Mean distance between two members of each group [B, n]: [B]."""
    size = groups.shape[1]
    sums = np.array([matrix[np.ix_(group, group)].sum() for group in groups])
    return sums / (size * (size - 1))


def face_map(
    gallery: Gallery, embedding: np.ndarray | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Places of the gallery's images, and of another face, on the plane of their principal components.

    Args:
        embedding: of another face, float32 [D].

    Returns:
        ([N, 2], [2] or None)

    Raises:
        UserError: fewer than three images.
    """
    plane = FacePlane.of(gallery)
    return plane.places(gallery.embeddings), None if embedding is None else plane.places(embedding)


@dataclass(frozen=True, eq=False)
class FacePlane:
    """The plane of the first two principal components of a gallery's embeddings.

    Attributes:
        centre: mean embedding, [D].
        axes: unit vectors, [2, D].
        share: fraction of the variance between the gallery's images that the plane holds, 0 to 1.
    """

    centre: NDArray[np.float32]
    axes: NDArray[np.float32]
    share: float

    @classmethod
    def of(cls, gallery: Gallery) -> "FacePlane":
        """That of a gallery.

        Raises:
            UserError: fewer than three images.
        """
        if len(gallery) < 3:
            raise UserError(f"{len(gallery)} images: a map needs at least three.")
        centre = gallery.embeddings.mean(axis=0)
        _, strengths, axes = np.linalg.svd(gallery.embeddings - centre, full_matrices=False)
        variances = strengths.astype(np.float64) ** 2
        return cls(centre, axes[:2], float(variances[:2].sum() / max(variances.sum(), 1e-12)))

    def places(self, embeddings: np.ndarray) -> NDArray[np.float64]:
        """Where embeddings [..., D] lie: [..., 2]."""
        return np.asarray((embeddings - self.centre) @ self.axes.T, np.float64)

"""The images that a fold is trained or validated on, and their targets."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from morphoscope.cohort import Cohort
from morphoscope.cohort.provenance import read_mixture
from morphoscope.configs import UserError

PoolPart = tuple[np.ndarray | Sequence[np.ndarray], np.ndarray, np.ndarray]
"""(images uint8 [N, S, S, 3] or N pairs, targets float32 [N, K], numbers of the chosen ones int64 [n])."""


@dataclass(frozen=True)
class ImagePool:
    """M images from several arrays, numbered consecutively, with targets.

    Attributes:
        arrays: each uint8 [N_i, S, S, 3], possibly memory-mapped; or pairs, [N_i, S, 2S, 3].
        rows: (number of the array, row in it) of each image, int64 [M, 2].
        targets: share of each class, float32 [M, K]; one 1 in each row unless the image is a mixture.
    """

    arrays: list[np.ndarray | Sequence[np.ndarray]]
    rows: np.ndarray
    targets: np.ndarray

    @classmethod
    def of(cls, parts: Sequence[PoolPart]) -> "ImagePool":
        """Join the chosen images of all parts, in their order."""
        rows = [np.stack([np.full(len(chosen), i), chosen], axis=1) for i, (_, _, chosen) in enumerate(parts)]
        targets = [targets[chosen] for _, targets, chosen in parts]
        return cls([array for array, _, _ in parts], np.concatenate(rows), np.concatenate(targets))

    def __len__(self) -> int:
        return len(self.rows)

    def balanced(self) -> "ImagePool":
        """The same images, with those of smaller classes repeated in turn until all have the largest size.

        A mixture counts for the class with its largest share.
        """
        of_class = [np.flatnonzero(self.labels == label) for label in np.unique(self.labels)]
        largest = max(map(len, of_class))
        index = np.concatenate([np.resize(rows, largest) for rows in of_class])
        return ImagePool(self.arrays, self.rows[index], self.targets[index])

    @property
    def labels(self) -> np.ndarray:
        """The class with the largest share, int64 [M]."""
        return self.targets.argmax(axis=1)

    def image(self, index: int) -> np.ndarray:
        """Image number `index`: uint8 [S, S, 3], or a pair [S, 2S, 3]."""
        array, row = self.rows[index]
        return np.asarray(self.arrays[array][row])


def class_targets(cohort: Cohort, conditions: Sequence[str]) -> np.ndarray:
    """Targets of a cohort's images.

    The target of an image is its condition alone. A synthetic image may be a mixture: the manifest's column
    `label` then has a JSON object {condition: share}. If it is empty or missing, the condition counts.

    Args:
        cohort: N images.
        conditions: K names, among them every condition of the cohort.

    Returns:
        float32 [N, K]; each row sums to 1.

    Raises:
        UserError: a `label` that is not such a mixture, has an unknown condition, or lacks the row's own.
    """
    index = {name: number for number, name in enumerate(conditions)}
    rows = cohort.rows
    targets = np.zeros((len(rows), len(conditions)), np.float32)
    targets[np.arange(len(rows)), [index[name] for name in rows["condition"]]] = 1
    if "label" not in rows.columns:
        return targets
    for row in np.flatnonzero((rows["source"] == "synthetic") & ~rows["label"].isin(["", "{}"])):
        shares = read_mixture(rows["label"].iloc[row])
        name, own = f"{cohort.root}: label of {rows['file'].iloc[row]}", rows["condition"].iloc[row]
        if shares is None:
            raise UserError(
                f'{name} is no mixture: {rows["label"].iloc[row]!r} is not JSON like {{"{own}": 1.0}}, with '
                "shares from 0 to 1 that sum to 1."
            )
        unknown = sorted(set(shares) - set(index))
        if unknown or not shares.get(own):
            problem = f"names {', '.join(unknown)}" if unknown else f"gives its condition, {own}, no share"
            raise UserError(f"{name} {problem}; its conditions may be {', '.join(conditions)}.")
        targets[row] = 0
        targets[row, [index[key] for key in shares]] = list(shares.values())
    return targets / targets.sum(axis=1, keepdims=True)

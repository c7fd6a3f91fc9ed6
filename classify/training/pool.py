"""The images that a fold trains on or is judged by, and what each should be taken for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from morphoscope.cohort import Cohort
from morphoscope.cohort.provenance import read_mixture
from morphoscope.configs import UserError

PoolPart = tuple[np.ndarray | Sequence[np.ndarray], np.ndarray, np.ndarray]
"""Images uint8 [N, S, S, 3] or N pairs, targets of all of them, chosen ones."""


@dataclass(frozen=True)
class ImagePool:
    """Images of several arrays under one numbering, with targets.

    Attributes:
        arrays: uint8 [N_i, S, S, 3] each, possibly memory-mapped; or pairs, [N_i, S, 2S, 3].
        rows: int64 [M, 2]: (array, row in it) of each image.
        targets: float32 [M, K]: share of each class; one 1 in each row unless the image is a mixture.
    """

    arrays: list[np.ndarray | Sequence[np.ndarray]]
    rows: np.ndarray
    targets: np.ndarray

    @classmethod
    def of(cls, parts: Sequence[PoolPart]) -> "ImagePool":
        """Join parts."""
        rows = [np.stack([np.full(len(chosen), i), chosen], axis=1) for i, (_, _, chosen) in enumerate(parts)]
        targets = [targets[chosen] for _, targets, chosen in parts]
        return cls([array for array, _, _ in parts], np.concatenate(rows), np.concatenate(targets))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def labels(self) -> np.ndarray:
        """int64 [M]: the class with the greatest share."""
        return self.targets.argmax(axis=1)

    def image(self, index: int) -> np.ndarray:
        """uint8 [S, S, 3], or a pair [S, 2S, 3]."""
        array, row = self.rows[index]
        return np.asarray(self.arrays[array][row])


def class_targets(cohort: Cohort, conditions: Sequence[str]) -> np.ndarray:
    """What a cohort's images should be taken for: float32 [N, K] over `conditions`, rows adding up to 1.

    A real image is wholly of its condition. So is a synthetic one unless its manifest's `label` says
    otherwise: a JSON object {condition: share}; an empty one or none means the condition.

    Args:
        conditions: K names, among them every condition of the cohort.

    Raises:
        UserError: a `label` that is no such mixture, names another condition, or leaves its own row's out.
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
                "shares from 0 to 1 that add up to 1."
            )
        strange = sorted(set(shares) - set(index))
        if strange or not shares.get(own):
            problem = f"names {', '.join(strange)}" if strange else f"gives its condition, {own}, no share"
            raise UserError(f"{name} {problem}; its conditions may be {', '.join(conditions)}.")
        targets[row] = 0
        targets[row, [index[key] for key in shares]] = list(shares.values())
    return targets / targets.sum(axis=1, keepdims=True)

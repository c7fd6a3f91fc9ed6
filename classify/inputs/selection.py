"""Chosen images of an array on disk."""

from collections.abc import Sequence
from typing import Any

import numpy as np


class Selection(Sequence[np.ndarray]):
    """Some of the images of an array, read as they are asked for: a cohort need not fit into memory."""

    def __init__(self, images: np.ndarray | Sequence[np.ndarray], rows: np.ndarray) -> None:
        """`images` is [N, ...], maybe memory-mapped; `rows` are numbers of rows, or bool [N]."""
        self.images = images
        self.rows = np.flatnonzero(rows) if rows.dtype == bool else rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        """One image; for a slice or an array of numbers an array [n, ...] of them."""
        return self.images[self.rows[index]]

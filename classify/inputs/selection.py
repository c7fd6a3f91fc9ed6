"""Selected images of an array on disk."""

from collections.abc import Sequence
from typing import Any

import numpy as np


class Selection(Sequence[np.ndarray]):
    """Some images of an array, read only when they are needed: a cohort need not fit into memory."""

    def __init__(self, images: np.ndarray | Sequence[np.ndarray], rows: np.ndarray) -> None:
        """`images` is [N, ...], possibly memory-mapped; `rows` are row numbers, or bool [N]."""
        self.images = images
        self.rows = np.flatnonzero(rows) if rows.dtype == bool else rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        """One image; for a slice or an array of numbers n images, [n, ...]."""
        return self.images[self.rows[index]]

"""How strips of images share a sheet: the arrangement whose sheet is nearest to 4:3."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

ASPECT = 4 / 3
"""Width by height that sheets aim at: that of a slide, and near that of a page."""
TOLERANCE = 1.75
"""Factor by which a sheet with one row per strip may differ from 4:3: such rows are easy to compare."""
_BLANKS = 1.5  # how much blank places count, beside the distance from 4:3 on a logarithmic scale


class Grid(NamedTuple):
    """An arrangement of strips.

    Attributes:
        across: strips side by side; with 1, every strip starts a row of its own.
        columns: images side by side in a strip; its other images follow in further rows.
    """

    across: int
    columns: int

    def rows(self, counts: Sequence[int]) -> list[int]:
        """Rows of images in each row of strips, at least 1; arguments as in `nearest_grid`."""
        rows = [max(1, math.ceil(count / self.columns)) for count in counts]
        return [max(rows[start : start + self.across]) for start in range(0, len(rows), self.across)]


def nearest_grid(
    counts: Sequence[int], size: Callable[[Grid], tuple[int, int]], aspect: float = ASPECT
) -> Grid:
    """One row per strip if that is near to an aspect, else the arrangement nearest to it, with few blanks.

    Args:
        counts: number of images of each strip; not all 0.
        size: width and height of the sheet in an arrangement.
        aspect: width by height.
    """

    def distance(grid: Grid) -> float:
        width, height = size(grid)
        return abs(math.log(width / height / aspect))

    def cost(grid: Grid) -> float:
        places = grid.across * grid.columns * sum(grid.rows(counts))
        return distance(grid) + _BLANKS * (1 - sum(counts) / places)

    plain = Grid(1, max(counts))
    if distance(plain) <= math.log(TOLERANCE):
        return plain
    widths = sorted({math.ceil(len(counts) / rows) for rows in range(1, len(counts) + 1)})
    grids = [Grid(across, columns) for across in widths for columns in range(1, max(counts) + 1)]
    return min(grids, key=cost)

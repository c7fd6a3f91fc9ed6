"""Nearest neighbours among features."""

import numpy as np

_ROWS = 1024  # queries at once, so that the distances of large sets fit in memory


def nearest(queries: np.ndarray, images: np.ndarray, count: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """The `count` nearest of `images` for each query, nearest first, by Euclidean distance in float64.

    Args:
        queries, images: features [M, D] and [N, D].
        count: at most N are found.

    Returns:
        distances float64 [M, k] and indices into `images` int64 [M, k], where k = min(count, N).
    """
    count = min(count, len(images))
    references = images.astype(np.float64)
    lengths = (references**2).sum(axis=1)
    distances, indices = [np.zeros((0, count))], [np.zeros((0, count), np.int64)]
    for start in range(0, len(queries), _ROWS):
        part = queries[start : start + _ROWS].astype(np.float64)
        squares = (part**2).sum(axis=1)[:, None] + lengths - 2 * part @ references.T
        found = np.argpartition(squares, count - 1, axis=1)[:, :count]
        # The expanded square loses the last digits of small distances: a copy would not be at 0.
        exact = np.stack(
            [((references[i] - query) ** 2).sum(axis=1) for i, query in zip(found, part, strict=True)]
        )
        order = np.argsort(exact, axis=1, kind="stable")
        indices.append(np.take_along_axis(found, order, axis=1))
        distances.append(np.sqrt(np.take_along_axis(exact, order, axis=1)))
    return np.concatenate(distances), np.concatenate(indices)

"""Sets of tiles as sorted, merged, half-open ranges of order-29 nested pixels."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["merge"]


def merge(start: NDArray[np.int64], stop: NDArray[np.int64]) -> NDArray[np.int64]:
    """Join ranges that touch.

    Parameters
    ----------
    start, stop
        Half-open ranges, sorted, not overlapping, shape (n,).

    Returns
    -------
    NDArray
        Shape (m, 2), m <= n.
    """
    if not len(start):
        return np.empty((0, 2), dtype=np.int64)
    gap = np.flatnonzero(start[1:] != stop[:-1])
    first, last = np.append(0, gap + 1), np.append(gap, len(stop) - 1)
    return np.column_stack([start[first], stop[last]])

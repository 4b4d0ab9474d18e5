"""The part of the sky where an event may lie, as ranges of HEALPix pixels."""

from bisect import bisect_right
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["CELL_BITS", "Region"]

CELL_BITS = 34
"""An index cell is a pixel of order 12 (52 arcsec): 2 x (29 - 12) bits below order 29. Small enough
to keep a search to what lies inside, large enough that an object's positions share one or two."""


class Region:
    """A union of half-open ranges of order-29 nested pixels.

    Parameters
    ----------
    ranges
        Shape (n, 2), sorted, not overlapping.
    """

    __slots__ = ("_starts", "_stops")

    def __init__(self, ranges: NDArray[np.int64]) -> None:
        # plain lists: bisect on them takes a third of numpy's time for one position
        self._starts: list[int] = ranges[:, 0].tolist()
        self._stops: list[int] = ranges[:, 1].tolist()

    def __contains__(self, pixel: int) -> bool:
        at = bisect_right(self._starts, pixel) - 1
        return at >= 0 and pixel < self._stops[at]

    def cells(self) -> Iterator[tuple[int, int]]:
        """Give half-open ranges of index cells that cover the region, sorted and merged."""
        first = last = -1
        for start, stop in zip(self._starts, self._stops, strict=True):
            lo, hi = start >> CELL_BITS, ((stop - 1) >> CELL_BITS) + 1
            if lo <= last:
                last = max(last, hi)
                continue
            if last > first:
                yield first, last
            first, last = lo, hi
        if last > first:
            yield first, last

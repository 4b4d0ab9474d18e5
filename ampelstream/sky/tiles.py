"""The sky cut into HEALPix pixels of mixed orders: tiles, each with a probability density.

In the nested scheme a pixel of any order is a contiguous range of order-29 pixels, so that tiles
are sorted intervals: the tile of a position is found by bisection, and a set of tiles is a list of
ranges.
"""

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ampelstream.sky.healpix import ORDER, pixel29, pixels29

__all__ = ["SQUARE_DEGREES", "Distances", "Lookup", "Tiles", "falling", "merge"]

SQUARE_DEGREES = (180 / np.pi) ** 2
"""Square degrees per steradian."""

_BASE_PIXELS = 12


@dataclass(frozen=True, slots=True, eq=False)
class Distances:
    """Distance ansatz of each tile: p(r) = norm r^2 N(r; mu, sigma), Singer et al. 2016.

    The reference is ApJL 829, L15. A tile without a distance has mu = inf, sigma = 1, norm = 0.

    Attributes
    ----------
    mu, sigma
        Location and scale [Mpc], shape (n,).
    norm
        Normalisation [1/Mpc^2], shape (n,).
    """

    mu: NDArray[np.float64]
    sigma: NDArray[np.float64]
    norm: NDArray[np.float64]

    @classmethod
    def of(
        cls, mu: NDArray[np.float64], sigma: NDArray[np.float64], norm: NDArray[np.float64]
    ) -> "Distances":
        """Spell tiles without a distance one way; files have infinities, nan or zeros there."""
        good = np.isfinite(mu) & np.isfinite(sigma) & np.isfinite(norm) & (sigma > 0) & (norm > 0)
        return cls(
            _frozen(np.where(good, mu, np.inf)),
            _frozen(np.where(good, sigma, 1.0)),
            _frozen(np.where(good, norm, 0.0)),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Tiles:
    """Tiles in the order of their position in the nested scheme; they do not overlap.

    Attributes
    ----------
    start29
        First order-29 nested pixel, shape (n,).
    order
        HEALPix order, shape (n,).
    density
        Probability density [1/sr], shape (n,).
    distances
        None for a map without distances.
    """

    start29: NDArray[np.int64]
    order: NDArray[np.int8]
    density: NDArray[np.float64]
    distances: Distances | None = None

    def __post_init__(self) -> None:
        for array in (self.start29, self.order, self.density):
            array.flags.writeable = False

    def stop29(self) -> NDArray[np.int64]:
        """One past the last order-29 nested pixel, shape (n,)."""
        stop: NDArray[np.int64] = self.start29 + (
            np.int64(1) << 2 * (ORDER - self.order.astype(np.int64))
        )
        return stop

    def area(self) -> NDArray[np.float64]:
        """Area [sr], shape (n,)."""
        area: NDArray[np.float64] = 4 * np.pi / _BASE_PIXELS / np.exp2(2.0 * self.order)
        return area


class Lookup:
    """Finds tiles by position.

    Parameters
    ----------
    tiles
        The sky.
    """

    __slots__ = ("_start", "_starts", "_stop", "_stops")

    def __init__(self, tiles: Tiles) -> None:
        self._start, self._stop = tiles.start29, tiles.stop29()
        # bisect on a memoryview makes plain integers, without the 40 bytes per tile of a list
        self._starts, self._stops = self._start.data, self._stop.data

    def tile(self, ra: float, dec: float) -> int:
        """Index of the tile at a position [deg]; -1 where no tile is.

        Raises
        ------
        SkyMapError
            It is no position.
        """
        pixel = pixel29(ra, dec)
        tile = bisect_right(self._starts, pixel) - 1
        return tile if tile >= 0 and pixel < self._stops[tile] else -1

    def tiles(self, ra: ArrayLike, dec: ArrayLike) -> NDArray[np.int64]:
        """Indices of the tiles at positions [deg], shapes that broadcast; -1 where no tile is.

        Raises
        ------
        SkyMapError
            One of them is no position.
        """
        pixel = pixels29(ra, dec)
        tile = np.searchsorted(self._start, pixel, side="right") - 1
        return np.where((tile >= 0) & (pixel < self._stop[tile]), tile, -1)


def falling(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Indices of values from the highest to the lowest; equal ones rise.

    That is a stable sort, for which numpy takes three times as long as for one that leaves equal
    values in any order. So the indices of equal values are sorted afterwards: sums of what stands
    beside them depend on the order, in their last digits.

    Parameters
    ----------
    values
        Shape (n,).
    """
    order = np.argsort(-values)
    ranked = values[order]
    equal = ranked[1:] == ranked[:-1]
    if equal.any():
        tied = np.append(equal, False)
        tied[1:] |= equal
        group = np.cumsum(np.append(True, ~equal))[tied] * len(values)
        order[tied] = np.sort(group + order[tied]) - group
    return order


def merge(start: NDArray[np.int64], stop: NDArray[np.int64]) -> NDArray[np.int64]:
    """Join ranges of order-29 pixels that touch.

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


def _frozen(array: NDArray[np.float64]) -> NDArray[np.float64]:
    array.flags.writeable = False
    return array

"""Which tile a position lies in."""

from bisect import bisect_right

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ampelstream.sky.healpix import pixel29, pixels29
from ampelstream.sky.tiles import Tiles

__all__ = ["Lookup"]


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

"""Where on the sky a catalogue has rows at all: most positions of a survey are near none.

A search of every position costs some ten microseconds each. Of many positions at once, this says in
a fraction of one which of them are worth it.
"""

import healpy
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ampelstream.sky.healpix import ORDER, pixels29

__all__ = ["Occupied"]

_SIDE_DEG = np.degrees(np.sqrt(np.pi / 3.0))
"""Side of a base pixel, the square root of its area [deg]; it halves with each order."""
_RADII = 4.0
"""Side of a pixel, in radii, at least: the narrowest pixels, close to the poles, are then still
wider than a radius, so that a row's pixel and its neighbours hold all that is within a radius."""


class Occupied:
    """Pixels around the rows of a catalogue.

    Parameters
    ----------
    pixels
        Order-29 nested pixels of the rows, shape (n,).
    radius
        How far from a row counts as near [deg].
    """

    def __init__(self, pixels: NDArray[np.int64], radius: float) -> None:
        order = ORDER
        while order > 0 and _SIDE_DEG / 2**order < _RADII * radius:
            order -= 1
        self._shift = 2 * (ORDER - order)
        own = np.unique(pixels >> self._shift)
        around = healpy.get_all_neighbours(2**order, own, nest=True).ravel()
        self._pixels: NDArray[np.int64] = np.unique(np.concatenate([own, around[around >= 0]]))

    def near(self, ra: ArrayLike, dec: ArrayLike) -> NDArray[np.bool_]:
        """Which positions [deg] may have a row within the radius: all that do, and some others."""
        pixels = pixels29(ra, dec) >> self._shift
        if not len(self._pixels):
            return np.zeros(len(pixels), bool)
        at = np.minimum(self._pixels.searchsorted(pixels), len(self._pixels) - 1)
        near: NDArray[np.bool_] = self._pixels[at] == pixels
        return near

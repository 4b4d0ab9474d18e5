"""Flat maps: one value per pixel of one order, folded into as few tiles as say the same.

Flat maps of gravitational-wave events are written from multi-order ones, so that most of their
pixels repeat their neighbours. Folding equal siblings gives the tiles back: 12.6 million pixels
become some thousands, and every answer stays the same to the bit.
"""

from collections.abc import Sequence

import numpy as np
from astropy_healpix.healpy import nest2ring
from numpy.typing import NDArray

from ampelstream.sky.healpix import ORDER

__all__ = ["Folded", "fold"]

Folded = tuple[NDArray[np.int64], NDArray[np.int8], NDArray[np.int64]]
"""First order-29 pixel, order and one representative row of each tile."""

_CHUNK = 1 << 20


def fold(columns: Sequence[NDArray[np.generic]], order: int, *, ring: bool = False) -> Folded:
    """Fold complete sets of four sibling pixels that agree in all columns, again and again.

    The columns are only ever looked at: a map of NSIDE 1024 with distances is 400 MB.

    Parameters
    ----------
    columns
        Values in the order of the file, each of shape (12 * 4**order,).
    order
        HEALPix order of the map.
    ring
        Whether the file is in the RING order; otherwise it is in the NESTED one.

    Returns
    -------
    Folded
        Sorted by the first order-29 pixel.
    """
    pixel = np.arange(12 << 2 * order)
    row = _ring_rows(order) if ring else pixel
    starts, orders, rows = [], [], []
    for level in range(order, -1, -1):
        first = _equal_families(columns, pixel, row) if level else np.empty(0, dtype=np.int64)
        keep = np.ones(len(pixel), dtype=bool)
        keep[(first[:, None] + np.arange(4)).ravel()] = False
        starts.append(pixel[keep] << 2 * (ORDER - level))
        orders.append(np.full(len(starts[-1]), level, dtype=np.int8))
        rows.append(row[keep])
        pixel, row = pixel[first] >> 2, row[first]
    start = np.concatenate(starts)
    sort = np.argsort(start)
    return start[sort], np.concatenate(orders)[sort], np.concatenate(rows)[sort]


def _ring_rows(order: int) -> NDArray[np.int64]:
    """Row in a RING file of each pixel in the NESTED order; by parts, to save memory."""
    rows = np.arange(12 << 2 * order)
    for begin in range(0, len(rows), _CHUNK):
        part = slice(begin, begin + _CHUNK)
        rows[part] = nest2ring(1 << order, rows[part])
    return rows


def _equal_families(
    columns: Sequence[NDArray[np.generic]], pixel: NDArray[np.int64], row: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Where sets of four siblings begin that are complete and agree in all columns."""
    first: NDArray[np.int64] = np.flatnonzero(pixel[:-3] & 3 == 0)
    first = first[pixel[first + 3] == pixel[first] + 3]
    for column in columns:
        for sibling in (1, 2, 3):
            first = first[column[row[first]] == column[row[first + sibling]]]
    return first

"""Flat maps: one value per pixel of one order, folded into as few tiles as say the same.

Flat maps of gravitational-wave events are written from multi-order ones, so that most of their
pixels repeat their neighbours. Folding equal siblings gives the tiles back: 12.6 million pixels
become some thousands, and every answer stays the same to the bit.
"""

from collections.abc import Sequence

import numpy as np
from astropy_healpix import nested_to_ring
from numpy.typing import NDArray

from ampelstream.sky.healpix import ORDER

__all__ = ["Folded", "fold", "to_nested"]

Folded = tuple[NDArray[np.int64], NDArray[np.int8], NDArray[np.int64]]
"""First order-29 pixel, order and one representative pixel of each tile."""


def to_nested(columns: Sequence[NDArray[np.generic]], nside: int) -> list[NDArray[np.generic]]:
    """Columns of a RING map in the NESTED order.

    Parameters
    ----------
    columns
        Each of shape (12 nside^2,).
    nside
        A power of two.
    """
    ring = nested_to_ring(np.arange(12 * nside * nside), nside)
    return [column[ring] for column in columns]


def fold(columns: Sequence[NDArray[np.generic]], order: int) -> Folded:
    """Fold complete sets of four sibling pixels that agree in all columns, again and again.

    Parameters
    ----------
    columns
        Values in the NESTED order, each of shape (12 * 4**order,).
    order
        HEALPix order of the map.

    Returns
    -------
    Folded
        Sorted by the first order-29 pixel.
    """
    pixel = row = np.arange(12 << 2 * order)
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


def _equal_families(
    columns: Sequence[NDArray[np.generic]], pixel: NDArray[np.int64], row: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Where sets of four siblings begin that are complete and agree in all columns."""
    first = np.flatnonzero(pixel[:-3] & 3 == 0)
    first = first[pixel[first + 3] == pixel[first] + 3]
    for column in columns:
        for sibling in (1, 2, 3):
            first = first[column[row[first]] == column[row[first + sibling]]]
    return first

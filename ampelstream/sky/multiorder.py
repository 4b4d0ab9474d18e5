"""Multi-order maps: tiles named by NUNIQ numbers (IVOA MOC 1.1, section 2.3.1)."""

import numpy as np
from numpy.typing import NDArray

from ampelstream.errors import SkyMapError
from ampelstream.sky.healpix import ORDER

__all__ = ["split_uniq"]

_FIRST_UNIQ = 4
_LAST_UNIQ = (16 << 2 * ORDER) - 1
_HALF = 32


def split_uniq(
    uniq: NDArray[np.int64], name: str
) -> tuple[NDArray[np.int64], NDArray[np.int8], NDArray[np.int64]]:
    """Give first order-29 pixel, order and row of each tile, sorted by position.

    Parameters
    ----------
    uniq
        NUNIQ numbers, 4 * 4**order + pixel, shape (n,).
    name
        Of the map, for messages.

    Raises
    ------
    SkyMapError
        A number names no pixel, or two tiles overlap.
    """
    bad = (uniq < _FIRST_UNIQ) | (uniq > _LAST_UNIQ)
    if bad.any():
        row = int(np.argmax(bad))
        raise SkyMapError(
            f"sky map {name}: UNIQ {uniq[row]} in row {row} names no HEALPix pixel of order "
            f"0..{ORDER}; the file is damaged, fetch it again"
        )
    order = (_bit_length(uniq) - 3) // 2
    start = (uniq - (_FIRST_UNIQ << 2 * order)) << 2 * (ORDER - order)
    sort = np.argsort(start, kind="stable")
    start, order = start[sort], order[sort]
    overlap = start[:-1] + (np.int64(1) << 2 * (ORDER - order[:-1])) > start[1:]
    if overlap.any():
        row = int(sort[int(np.argmax(overlap)) + 1])
        raise SkyMapError(
            f"sky map {name}: the tile UNIQ {uniq[row]} in row {row} lies upon another one; "
            "a multi-order map names each place once"
        )
    return start, order.astype(np.int8), sort


def _bit_length(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Bits of positive integers below 2**63; halves, as a double would round a long one up."""
    high = numbers >> _HALF
    bits = np.where(high > 0, np.frexp(high)[1] + _HALF, np.frexp(numbers & 0xFFFFFFFF)[1])
    whole: NDArray[np.int64] = bits.astype(np.int64)
    return whole

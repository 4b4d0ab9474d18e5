"""Folding a flat map: pixels that repeat their neighbours become the tiles that they were made of.

A complete set of four sibling pixels that agree in all columns becomes one pixel of the next
coarser order, again and again. The values come slice by slice, in the order of the file; each part
of the sky is folded as soon as it is complete, and let go of. So a map of 1.6 gigabytes takes some
ten megabytes, in the RING order too, where a part of the sky is a belt around it.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import healpy as hp
import numpy as np
from numpy.typing import NDArray

from ampelstream.errors import SkyMapError
from ampelstream.sky.healpix import ORDER

__all__ = ["MAX_TILES", "Layout", "Values", "fold", "too_many_tiles"]

MAX_TILES = 12 * 512**2
"""How many tiles a map may have, once it is folded: as many as NSIDE 512 has pixels, if each of
them differs from its siblings. Maps that were multi-order once have some 20,000, whatever their
NSIDE. A tile takes about a hundred bytes of memory, and up to 41 in the state of each partition."""

_ORDERS = 8
"""Orders that are folded at once in a file of the NESTED order: 4**8 pixels in a row, which the
processor's cache holds."""
_RING_ORDERS = 4
"""The same for the RING order: a belt that is 2**4 pixels high has up to 4**8 of them."""
_FAMILY = 0x01010101
"""Four true values, as one number."""

Values = list[NDArray[Any]]
"""Of some rows, pixels or tiles: an array for each column."""


class Layout(NamedTuple):
    """Where on the sky the rows of a table are, sorted along the sky; three arrays of shape (n,).

    Attributes
    ----------
    start29
        First order-29 nested pixel of each tile.
    order
        HEALPix order of each tile.
    row
        A row of the table that has the tile's values.
    """

    start29: NDArray[np.int64]
    order: NDArray[np.int8]
    row: NDArray[np.int64]


class _Run(NamedTuple):
    """Tiles along the sky.

    Attributes
    ----------
    pixel
        First pixel of each, in the NESTED order.
    coarser
        How many orders it is coarser than a pixel.
    values
        Of each tile.
    """

    pixel: NDArray[np.int64]
    coarser: NDArray[np.int8]
    values: Values


def too_many_tiles(name: str) -> SkyMapError:
    """Make the error of a map that is too fine to be followed."""
    return SkyMapError(
        f"sky map {name}: it has more than {MAX_TILES} tiles that differ from their neighbours, "
        "too many to be followed; give a multi-order map that is fine only where it is probable"
    )


def fold(
    slices: Iterable[Values], order: int, name: str, *, ring: bool = False
) -> tuple[Layout, Values]:
    """Lay out a flat table.

    Parameters
    ----------
    slices
        Values in the order of the file, of all 12 * 4**order pixels.
    order
        HEALPix order of the map.
    name
        Of the map, for messages.
    ring
        Whether the file is in the RING order; otherwise it is in the NESTED one.

    Returns
    -------
    layout
        The tiles.
    values
        Those of each tile, a column of shape (n,) each.

    Raises
    ------
    SkyMapError
        It has too many tiles.
    """
    once = min(order, _RING_ORDERS if ring else _ORDERS)
    window = _Window(slices)
    runs: list[_Run] = []
    count = 0
    for tops in _parts(order - once, ring=ring):
        values = _values(window, tops, order, once, ring=ring)
        at, coarser = _folded(values, np.ones(len(values[0]), dtype=bool), once)
        pixel = (tops[at >> 2 * once] << 2 * once) + (at & (1 << 2 * once) - 1)
        runs.append(_Run(pixel, coarser, [one[at] for one in values]))
        count += len(at)
        if count > MAX_TILES:
            raise too_many_tiles(name)
    run = _across_parts(_joined(runs), order, once)
    tile_order = (order - run.coarser).astype(np.int8)
    row = hp.nest2ring(1 << order, run.pixel) if ring else run.pixel
    return Layout(run.pixel << 2 * (ORDER - order), tile_order, row), run.values


def _parts(order: int, *, ring: bool) -> Iterator[NDArray[np.int64]]:
    """Give the pixels of a coarse order in parts, which follow each other as in the file.

    A part is a pixel where the file is in the NESTED order, and a ring of them in the RING order;
    rising numbers in the NESTED order either way.
    """
    nside = 1 << order
    if not ring:
        yield from np.arange(12 * nside**2)[:, None]
        return
    number = np.arange(1, 4 * nside)
    stops = np.cumsum(4 * np.minimum(nside, np.minimum(number, 4 * nside - number)))
    for stop, start in zip(stops, np.append(0, stops), strict=False):
        yield np.sort(hp.ring2nest(nside, np.arange(start, stop)))


class _Window:
    """The part of the columns that is in memory, in arrays that are used again and again.

    Memory that is asked for and given back for each part costs more than what is done with it.

    Parameters
    ----------
    slices
        What follows it.
    """

    def __init__(self, slices: Iterable[Values]) -> None:
        self._slices = iter(slices)
        self._begin = self._end = 0
        self._values: Values = []

    def take(self, first: int, stop: int) -> Values:
        """Give the values of the rows first..stop-1, until the next call; let go of those before.

        They stand one after the other and in this machine's order of bytes, whatever the file has.
        """
        kept, end = max(self._end - first, 0), self._end
        parts: list[Values] = []
        while end < stop:
            parts.append(next(self._slices))
            end += len(parts[-1][0])
        before = self._values or [one[:0] for one in parts[0]]
        self._values = [
            self._moved(column, first - self._begin, kept, [part[number] for part in parts])
            for number, column in enumerate(before)
        ]
        self._begin, self._end = end - kept - sum(len(part[0]) for part in parts), end
        return [one[first - self._begin : stop - self._begin] for one in self._values]

    @staticmethod
    def _moved(
        column: NDArray[Any], first: int, kept: int, parts: list[NDArray[Any]]
    ) -> NDArray[Any]:
        """Put what is kept of a column to its begin, and what comes behind it."""
        size = kept + sum(len(part) for part in parts)
        room = column
        if len(room) < size:
            dtype = np.result_type(column, *parts).newbyteorder("=")
            room = np.empty(size, dtype=dtype)
        room[:kept] = column[first : first + kept]
        for part in parts:
            np.copyto(room[kept : kept + len(part)], part)  # unlike =, never cuts off a fraction
            kept += len(part)
        return room


def _values(
    window: _Window, tops: NDArray[np.int64], order: int, once: int, *, ring: bool
) -> Values:
    """Values of all pixels of a part, along the sky."""
    if not ring:
        first = int(tops[0]) << 2 * once
        return window.take(first, first + (1 << 2 * once))
    pixels = (tops[:, None] << 2 * once) + np.arange(1 << 2 * once)
    row = hp.nest2ring(1 << order, pixels.ravel())
    first = int(row.min())
    held = window.take(first, int(row.max()) + 1)
    row -= first
    # all rows are held: nothing is clipped, and numpy need not look whether one is not
    return [np.take(one, row, mode="clip") for one in held]


def _folded(
    values: Values, there: NDArray[np.bool_], orders: int
) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
    """Fold pixels, of which all siblings stand together, from order to order.

    Parameters
    ----------
    values
        Of each pixel, shape (n,); of one that is not there, whatever.
    there
        Which pixels there are, shape (n,).
    orders
        How many orders to fold at most; n is a multiple of 4**orders.

    Returns
    -------
    at
        The first pixel of each tile, rising.
    coarser
        How many orders the tile is coarser than that.
    """
    found = np.full(len(there), -1, dtype=np.int8)
    for coarser in range(orders):
        whole = there.view(np.uint32) == _FAMILY
        for column in values:
            first, *others = (column[one << 2 * coarser :: 4 << 2 * coarser] for one in range(4))
            for other in others:
                whole &= first == other
        stays = there.reshape(-1, 4) & ~whole[:, None]
        found[np.flatnonzero(stays) << 2 * coarser] = coarser
        there = whole
    found[np.flatnonzero(there) << 2 * orders] = orders
    at = np.flatnonzero(found >= 0)
    return at, found[at]


def _joined(runs: list[_Run]) -> _Run:
    """All tiles along the sky; column by column, as all of them twice would be much."""
    pixel = np.concatenate([run.pixel for run in runs])
    coarser = np.concatenate([run.coarser for run in runs])
    columns = [list(column) for column in zip(*(run.values for run in runs), strict=True)]
    runs.clear()
    # parts of the RING order come belt by belt
    sort = None if (pixel[1:] > pixel[:-1]).all() else np.argsort(pixel)
    values: Values = []
    while columns:
        column = np.concatenate(columns.pop(0))
        values.append(column if sort is None else column[sort])
    if sort is None:
        return _Run(pixel, coarser, values)
    return _Run(pixel[sort], coarser[sort], values)


def _across_parts(run: _Run, order: int, once: int) -> _Run:
    """Fold the tiles that are as coarse as tiles of one part can be."""
    top = np.flatnonzero(run.coarser == once)
    pixel = run.pixel[top] >> 2 * once
    npix = 12 << 2 * (order - once)
    there = np.zeros(npix, dtype=bool)
    there[pixel] = True
    index = np.zeros(npix, dtype=np.int64)
    index[pixel] = top
    at, coarser = _folded([one[index] for one in run.values], there, order - once)
    run.coarser[index[at]] += coarser
    stays = np.ones(len(run.pixel), dtype=bool)
    stays[top] = False
    stays[index[at]] = True
    if stays.all():
        return run
    return _Run(run.pixel[stays], run.coarser[stays], [one[stays] for one in run.values])

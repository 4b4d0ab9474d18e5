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

_ORDERS = 9
"""Orders that are folded at once in a file of the NESTED order: 4**9 pixels in a row."""
_RING_ORDERS = 5
"""The same for the RING order: a belt that is 2**5 pixels high has up to 4**9 of them."""

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
    """Pixels of one order, rising: their numbers in the NESTED order, rows and values."""

    pixel: NDArray[np.int64]
    row: NDArray[np.int64]
    values: Values

    def at(self, which: NDArray[Any]) -> "_Run":
        """Some of them."""
        return _Run(self.pixel[which], self.row[which], [one[which] for one in self.values])


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
    tiles: list[tuple[int, _Run]] = []
    coarse: list[_Run] = []
    count = 0
    for pixel in _parts(order, once, ring=ring):
        row = hp.nest2ring(1 << order, pixel) if ring else pixel
        folded, rest = _folded(_Run(pixel, row, window.take(row)), range(order, order - once, -1))
        tiles += folded
        coarse.append(rest)
        count += len(rest.pixel) + sum(len(run.pixel) for _, run in folded)
        if count > MAX_TILES:
            raise too_many_tiles(name)
    rest = _Run(
        np.concatenate([run.pixel for run in coarse]),
        np.concatenate([run.row for run in coarse]),
        [np.concatenate(column) for column in zip(*(run.values for run in coarse), strict=True)],
    )
    # parts of the RING order come belt by belt
    folded, rest = _folded(rest.at(np.argsort(rest.pixel)), range(order - once, 0, -1))
    tiles += [*folded, (0, rest)]
    return _laid_out(tiles)


def _parts(order: int, once: int, *, ring: bool) -> Iterator[NDArray[np.int64]]:
    """Give the pixels of the sky in parts, each of whole pixels that are ``once`` orders coarser.

    Parts follow each other as their rows do in the file.
    """
    nside = 1 << order - once
    inside = np.arange(4**once)
    if not ring:
        for pixel in range(12 * nside**2):
            yield (pixel << 2 * once) + inside
        return
    number = np.arange(1, 4 * nside)
    stops = np.cumsum(4 * np.minimum(nside, np.minimum(number, 4 * nside - number)))
    for stop, start in zip(stops, np.append(0, stops), strict=False):
        pixels = np.sort(hp.ring2nest(nside, np.arange(start, stop)))
        yield ((pixels[:, None] << 2 * once) + inside).ravel()


class _Window:
    """The part of the columns that is in memory.

    Parameters
    ----------
    slices
        What follows it.
    """

    def __init__(self, slices: Iterable[Values]) -> None:
        self._slices = iter(slices)
        self._begin = 0
        self._values: Values = []

    def take(self, rows: NDArray[np.int64]) -> Values:
        """Give the values of rows; what is before the first of them is let go."""
        first, last = int(rows.min()), int(rows.max())
        parts = [[one[first - self._begin :] for one in self._values]] if self._values else []
        self._begin = first if self._values else self._begin
        end = self._begin + (len(parts[0][0]) if parts else 0)
        while end <= last:
            parts.append(next(self._slices))
            end += len(parts[-1][0])
        self._values = [np.concatenate(column) for column in zip(*parts, strict=True)]
        return [one[rows - self._begin] for one in self._values]


def _folded(run: _Run, orders: range) -> tuple[list[tuple[int, _Run]], _Run]:
    """Fold from order to order; give what stays in each, and what comes out at the end."""
    kept: list[tuple[int, _Run]] = []
    for order in orders:
        first = _equal_families(run)
        stays = np.ones(len(run.pixel), dtype=bool)
        stays[(first[:, None] + np.arange(4)).ravel()] = False
        kept.append((order, run.at(stays)))
        folded = run.at(first)
        run = folded._replace(pixel=folded.pixel >> 2)
    return kept, run


def _equal_families(run: _Run) -> NDArray[np.int64]:
    """Where sets of four siblings begin that are complete and agree in all columns."""
    pixel = run.pixel
    first: NDArray[np.int64] = np.flatnonzero(pixel[:-3] & 3 == 0)
    first = first[pixel[first + 3] == pixel[first] + 3]
    for column in run.values:
        for sibling in (1, 2, 3):
            first = first[column[first] == column[first + sibling]]
    return first


def _laid_out(tiles: list[tuple[int, _Run]]) -> tuple[Layout, Values]:
    """Sort tiles along the sky; column by column, as all of them twice would be much."""
    lengths = [len(run.pixel) for _, run in tiles]
    order = np.repeat(np.array([order for order, _ in tiles], dtype=np.int8), lengths)
    start = np.concatenate([run.pixel << 2 * (ORDER - order) for order, run in tiles])
    columns = [list(column) for column in zip(*((r.row, *r.values) for _, r in tiles), strict=True)]
    tiles.clear()
    sort = np.argsort(start)
    done: Values = []
    while columns:
        done.append(np.concatenate(columns.pop(0))[sort])
    row, *values = done
    return Layout(start[sort], order[sort], row), values

"""The two encodings of a sky map's table, checked and made into tiles.

A *multi-order* table names each tile by its NUNIQ number (IVOA MOC 1.1, section 2.3.1). A *flat*
one has a value for each pixel of one order. Flat maps of gravitational-wave events are written from
multi-order ones, so that most of their pixels repeat their neighbours: folding equal siblings gives
the tiles back. 12.6 million pixels become some thousands, and every answer stays the same to the
bit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import healpy as hp
import numpy as np
from numpy.typing import NDArray

from ampelstream.errors import SkyMapError
from ampelstream.sky.healpix import ORDER
from ampelstream.sky.tiles import Distances, Tiles

__all__ = ["COLUMNS", "Layout", "Table", "fold", "split_uniq", "tiles_of"]

_PER_PIXEL = ("PROB", "PROBABILITY")
_DENSITY = "PROBDENSITY"
_DISTANCE = ("DISTMU", "DISTSIGMA", "DISTNORM")
COLUMNS = frozenset({"UNIQ", _DENSITY, *_PER_PIXEL, *_DISTANCE})
"""What is read of a table."""

_EQUATORIAL = {"", "C", "CEL", "CELESTIAL", "EQ", "EQU", "EQUATORIAL", "ICRS", "FK5"}

_FIRST_UNIQ = 4
_LAST_UNIQ = (16 << 2 * ORDER) - 1
_HALF = 32

_CHUNK = 1 << 20
"""Pixels that are converted at once from one order of pixels to the other."""


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


@dataclass(frozen=True, slots=True)
class Table:
    """A table as read: nothing is checked yet.

    Attributes
    ----------
    name
        Of the map, for messages.
    header
        Cards of the table.
    columns
        By name in capitals; any shape whose elements are in the order of the pixels.
    """

    name: str
    header: Mapping[str, str | float]
    columns: Mapping[str, NDArray[Any]]

    def card(self, key: str) -> str:
        """Text of a card in capitals; empty without it."""
        return str(self.header.get(key, "")).strip().upper()

    def error(self, what: str) -> SkyMapError:
        """Make an error that names the map."""
        return SkyMapError(f"sky map {self.name}: {what}")


def tiles_of(table: Table) -> Tiles:
    """Make tiles of a table.

    Raises
    ------
    SkyMapError
        It is in other than equatorial coordinates, lacks a column or a card, or its values make no
        sense.
    """
    frame = table.card("COORDSYS")
    if frame not in _EQUATORIAL:
        raise table.error(
            f"COORDSYS = {frame!r}, only equatorial maps (C) are understood; rotate it to ICRS"
        )
    tiles = _multi_order(table) if "UNIQ" in table.columns else _flat(table)
    with np.errstate(over="ignore"):
        total = float(np.sum(tiles.density * tiles.area()))
    if not 0 < total < np.inf:
        raise table.error(f"the probability of the whole sky is {total:g}; it should be 1")
    return tiles


def _values(table: Table, key: str) -> NDArray[Any]:
    """A column, one value per pixel, of whatever number type."""
    values = table.columns[key].reshape(-1)
    if values.dtype.kind not in "fiu":
        raise table.error(f"the column {key} holds no numbers")
    return values


def _distance_columns(table: Table) -> list[NDArray[Any]]:
    """The three distance columns, or none."""
    present = [key for key in _DISTANCE if key in table.columns]
    if present and len(present) < len(_DISTANCE):
        lacking = ", ".join(key for key in _DISTANCE if key not in present)
        raise table.error(f"it has {', '.join(present)} but not {lacking}; fetch it again")
    return [_values(table, key) for key in present]


def _double(column: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):  # a signalling nan; looked for by those who call
        return column[rows].astype(np.float64)


def _tiles(
    table: Table,
    layout: Layout,
    density: tuple[str, NDArray[Any], float],
    distance: list[NDArray[Any]],
) -> Tiles:
    """Put together what the rows of the layout say; ``density`` is name, column and factor."""
    start, order, rows = layout
    key, column, factor = density
    values = _double(column, rows)
    bad = ~(np.isfinite(values) & (values >= 0))
    if bad.any():
        at = int(np.argmax(bad))
        raise table.error(
            f"{key} is {values[at]} in row {rows[at]} ({int(bad.sum())} tiles are negative, nan or "
            "infinite); a probability is neither, fetch the map again"
        )
    distances = Distances.of(*(_double(one, rows) for one in distance)) if distance else None
    return Tiles(start, order, values * factor, distances)


def _multi_order(table: Table) -> Tiles:
    if _DENSITY not in table.columns:
        raise table.error(
            f"it has UNIQ but not {_DENSITY}; give a multi-order map of probability density"
        )
    uniq, density = _values(table, "UNIQ"), _values(table, _DENSITY)
    distance = _distance_columns(table)
    if uniq.dtype.kind == "f" or any(len(one) != len(uniq) for one in (density, *distance)):
        raise table.error("UNIQ holds no integers, or the columns have unequal lengths")
    if not len(uniq):
        raise table.error("the table has no rows; fetch it again")
    layout = split_uniq(uniq.astype(np.int64), table.name)
    return _tiles(table, layout, (_DENSITY, density, 1.0), distance)


def split_uniq(uniq: NDArray[np.int64], name: str) -> Layout:
    """Lay out a multi-order table; healpy has no functions for NUNIQ numbers.

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
            "a multi-order map covers each position once"
        )
    return Layout(start, order.astype(np.int8), sort)


def _bit_length(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Bits of positive integers below 2**63; halves, as a double would round a long one up."""
    high = numbers >> _HALF
    bits = np.where(high > 0, np.frexp(high)[1] + _HALF, np.frexp(numbers & 0xFFFFFFFF)[1])
    whole: NDArray[np.int64] = bits.astype(np.int64)
    return whole


def _flat(table: Table) -> Tiles:
    """Tiles of a flat map, by folding."""
    key = next((one for one in (*_PER_PIXEL, _DENSITY) if one in table.columns), None)
    if key is None:
        raise table.error(
            f"it has none of the columns {', '.join(_PER_PIXEL)} and {_DENSITY}; "
            "give a map of probability"
        )
    if table.card("INDXSCHM") == "EXPLICIT":
        raise table.error(
            "INDXSCHM = EXPLICIT, a map of part of the sky, is not understood; "
            "give one of the whole sky or a multi-order one"
        )
    columns = [_values(table, key), *_distance_columns(table)]
    nside = _nside(table, {len(column) for column in columns})
    ordering = table.card("ORDERING")
    if ordering != "RING" and not ordering.startswith("NEST"):
        raise table.error(f"ORDERING = {ordering or None!r}; it must be RING or NESTED")
    factor = 1.0 if key == _DENSITY else hp.nside2npix(nside) / (4 * np.pi)
    layout = fold(columns, hp.nside2order(nside), ring=ordering == "RING")
    return _tiles(table, layout, (key, columns[0], factor), columns[1:])


def _nside(table: Table, lengths: set[int]) -> int:
    """NSIDE of the header, when the columns are that long."""
    nside = table.header.get("NSIDE")
    if not isinstance(nside, int) or not hp.isnsideok(nside, nest=True):
        raise table.error(f"NSIDE = {nside!r}; it must be a power of two in the table's header")
    if lengths != {hp.nside2npix(nside)}:
        found = ", ".join(str(one) for one in sorted(lengths))
        raise table.error(
            f"NSIDE = {nside} wants {hp.nside2npix(nside)} pixels, the columns have {found}; "
            "the file is truncated or its header is wrong"
        )
    return nside


def fold(columns: Sequence[NDArray[np.generic]], order: int, *, ring: bool = False) -> Layout:
    """Lay out a flat table.

    Complete sets of four sibling pixels that agree in all columns are folded, again and again. The
    columns are only ever looked at: a map of NSIDE 1024 with distances is 400 MB.

    Parameters
    ----------
    columns
        Values in the order of the file, each of shape (12 * 4**order,).
    order
        HEALPix order of the map.
    ring
        Whether the file is in the RING order; otherwise it is in the NESTED one.
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
    return Layout(start[sort], np.concatenate(orders)[sort], np.concatenate(rows)[sort])


def _ring_rows(order: int) -> NDArray[np.int64]:
    """Row in a RING file of each pixel in the NESTED order; by parts, to save memory."""
    rows = np.arange(12 << 2 * order)
    for begin in range(0, len(rows), _CHUNK):
        part = slice(begin, begin + _CHUNK)
        rows[part] = hp.nest2ring(1 << order, rows[part])
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

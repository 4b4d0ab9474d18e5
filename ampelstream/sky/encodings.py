"""The two encodings of a sky map's table, checked and made into tiles.

A *multi-order* table names each tile by its NUNIQ number (IVOA MOC 1.1, section 2.3.1). A *flat*
one has a value for each pixel of one order. Flat maps of gravitational-wave events are written from
multi-order ones, so that most of their pixels repeat their neighbours: folding equal siblings gives
the tiles back. 50 million pixels become some thousands, and every answer stays the same to the bit.

A table comes in slices, and is folded as it comes: of a flat map never more than a band of the sky
is in memory.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import healpy as hp
import numpy as np
from numpy.typing import NDArray

from ampelstream.errors import SkyMapError
from ampelstream.sky.folding import MAX_TILES, Layout, Values, fold, too_many_tiles
from ampelstream.sky.healpix import ORDER
from ampelstream.sky.tiles import Distances, Tiles

__all__ = ["COLUMNS", "MAX_NSIDE", "Table", "split_uniq", "tiles_of"]

_PER_PIXEL = ("PROB", "PROBABILITY")
_DENSITY = "PROBDENSITY"
_DISTANCE = ("DISTMU", "DISTSIGMA", "DISTNORM")
COLUMNS = frozenset({"UNIQ", _DENSITY, *_PER_PIXEL, *_DISTANCE})
"""What is read of a table."""

_EQUATORIAL = {"", "C", "CEL", "CELESTIAL", "EQ", "EQU", "EQUATORIAL", "ICRS", "FK5"}

_FIRST_UNIQ = 4
_LAST_UNIQ = (16 << 2 * ORDER) - 1
_HALF = 32

MAX_NSIDE = 2048
"""Largest flat map; no pipeline of LIGO, Virgo and KAGRA makes theirs finer. One of NSIDE 4096 has
201 million pixels: six gigabytes with distances."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table: nothing is checked yet.

    Attributes
    ----------
    name
        Of the map, for messages.
    header
        Cards of the table.
    columns
        Those of ``COLUMNS`` that it has.
    rows
        How many it has.
    slices
        These rows in order, some at a time, by column; the elements of each are in the order of the
        pixels, whatever the shape. To be taken once.
    """

    name: str
    header: Mapping[str, str | float]
    columns: frozenset[str]
    rows: int
    slices: Iterator[Mapping[str, NDArray[Any]]]

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


def _slices(table: Table, keys: Sequence[str]) -> Iterator[Values]:
    """Give these columns slice by slice, one value per pixel, of whatever number type."""
    for part in table.slices:
        for key in keys:
            if part[key].dtype.kind not in "fiu":
                raise table.error(f"the column {key} holds no numbers")
        yield [part[key] for key in keys]


def _whole_sky(table: Table, keys: Sequence[str], nside: int) -> Iterator[Values]:
    """Give these columns slice by slice, where they are as long as a flat map's."""
    npix, checked = hp.nside2npix(nside), False
    for part in _slices(table, keys):
        # vectors have several pixels in a row
        lengths = {one.size // len(one) * table.rows for one in part}
        if not checked and lengths != {npix}:
            found = ", ".join(str(one) for one in sorted(lengths))
            raise table.error(
                f"NSIDE = {nside} wants {npix} pixels, the columns have {found}; "
                "the file is truncated or its header is wrong"
            )
        checked = True
        yield [one.reshape(-1) for one in part]


def _distance_columns(table: Table) -> list[str]:
    """Names of the three distance columns, or none."""
    present = [key for key in _DISTANCE if key in table.columns]
    if present and len(present) < len(_DISTANCE):
        lacking = ", ".join(key for key in _DISTANCE if key not in present)
        raise table.error(f"it has {', '.join(present)} but not {lacking}; fetch it again")
    return present


def _double(column: NDArray[Any]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):  # a signalling nan; looked for by those who call
        return column.astype(np.float64, copy=False)


def _tiles(table: Table, layout: Layout, key: str, factor: float, values: Values) -> Tiles:
    """Put together the tiles of a layout.

    Parameters
    ----------
    table, layout
        Where they come from, and where they lie.
    key, factor
        Column that says how probable they are, and what makes a density [1/sr] of it.
    values
        Of each tile: that column, and those of the distance.
    """
    start, order, rows = layout
    density, *distance = (_double(one) for one in values)
    bad = ~(np.isfinite(density) & (density >= 0))
    if bad.any():
        at = int(np.argmax(bad))
        raise table.error(
            f"{key} is {density[at]} in row {rows[at]} ({int(bad.sum())} tiles are negative, nan "
            "or infinite); a probability is neither, fetch the map again"
        )
    distances = Distances.of(*distance) if distance else None
    return Tiles(start, order, density * factor, distances)


def _multi_order(table: Table) -> Tiles:
    if _DENSITY not in table.columns:
        raise table.error(
            f"it has UNIQ but not {_DENSITY}; give a multi-order map of probability density"
        )
    keys = ("UNIQ", _DENSITY, *_distance_columns(table))
    parts: list[Values] = []
    rows = 0
    for slice_ in _slices(table, keys):
        part = [one.reshape(-1) for one in slice_]
        if part[0].dtype.kind == "f" or len({len(one) for one in part}) > 1:
            raise table.error("UNIQ holds no integers, or the columns have unequal lengths")
        parts.append(part)
        rows += len(part[0])
        if rows > MAX_TILES:
            raise too_many_tiles(table.name)
    if not rows:
        raise table.error("the table has no rows; fetch it again")
    uniq, *values = (np.concatenate(column) for column in zip(*parts, strict=True))
    layout = split_uniq(uniq.astype(np.int64), table.name)
    return _tiles(table, layout, _DENSITY, 1.0, [one[layout.row] for one in values])


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
    keys = (key, *_distance_columns(table))
    nside = _nside(table)
    if not table.rows:
        raise table.error("the table has no rows; fetch it again")
    ordering = table.card("ORDERING")
    if ordering != "RING" and not ordering.startswith("NEST"):
        raise table.error(f"ORDERING = {ordering or None!r}; it must be RING or NESTED")
    layout, values = fold(
        _whole_sky(table, keys, nside), hp.nside2order(nside), table.name, ring=ordering == "RING"
    )
    factor = 1.0 if key == _DENSITY else hp.nside2npix(nside) / (4 * np.pi)
    return _tiles(table, layout, key, factor, values)


def _nside(table: Table) -> int:
    """NSIDE of the header."""
    nside = table.header.get("NSIDE")
    if not isinstance(nside, int) or not hp.isnsideok(nside, nest=True):
        raise table.error(f"NSIDE = {nside!r}; it must be a power of two in the table's header")
    if nside > MAX_NSIDE:
        raise table.error(
            f"NSIDE = {nside}; a flat map is read up to {MAX_NSIDE}, give a multi-order one"
        )
    return nside

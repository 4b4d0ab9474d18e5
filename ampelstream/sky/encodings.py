"""The two encodings of a sky map's table, checked and made into tiles.

A *multi-order* table names each tile by its NUNIQ number (IVOA MOC 1.1, section 2.3.1). A *flat*
one has a value for each pixel of one order. Flat maps of gravitational-wave events are written from
multi-order ones, so that most of their pixels repeat their neighbours: folding equal siblings gives
the tiles back. 50 million pixels become some thousands, and every answer stays the same to the bit.

A table comes in slices, and is folded as it comes: of a flat map never more than a band of the sky
is in memory.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import healpy as hp
import numpy as np
from numpy.typing import NDArray

from ampelstream.codecs.fitsheader import DENSITY, PER_PIXEL, Cards, MapColumn, nside_of
from ampelstream.errors import SkyMapError
from ampelstream.sky.columnunits import (
    LENGTHS,
    ProbabilityUnit,
    UnfitUnit,
    length_factors,
    probability_unit,
)
from ampelstream.sky.folding import MAX_TILES, Layout, Values, fold, too_many_tiles
from ampelstream.sky.healpix import ORDER
from ampelstream.sky.tiles import Distances, Tiles

__all__ = ["COLUMNS", "MAX_NSIDE", "MadeTiles", "Table", "split_uniq", "tiles_of"]

COLUMNS = frozenset({"UNIQ", DENSITY, *PER_PIXEL, *LENGTHS})
"""What is read of a table."""

_EQUATORIAL = {"", "C", "CEL", "CELESTIAL", "EQ", "EQU", "EQUATORIAL", "ICRS", "FK5"}

_FIRST_UNIQ = 4
_LAST_UNIQ = (16 << 2 * ORDER) - 1
_HALF = 32

MAX_NSIDE = 2048
"""Largest flat map; no pipeline of LIGO, Virgo and KAGRA makes theirs finer. One of NSIDE 4096 has
201 million pixels: six gigabytes with distances."""

_ROUNDING = 0.01
"""How far from 1 the probability of the whole sky may be without a word; all levels are fractions
of it. Published maps are within 1e-8, and single precision would do no worse than 1e-3."""


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
        Those of ``COLUMNS`` that it has, by these names.
    rows
        How many it has.
    slices
        These rows in order, some at a time, by column; the elements of each are in the order of the
        pixels, whatever the shape. To be taken once.
    """

    name: str
    header: Cards
    columns: Mapping[str, MapColumn]
    rows: int
    slices: Iterator[Mapping[str, NDArray[Any]]]

    def card(self, key: str) -> str:
        """Text of a card in capitals; empty without it."""
        return str(self.header.get(key, "")).strip().upper()

    def error(self, what: str) -> SkyMapError:
        """Make an error that names the map."""
        return SkyMapError(f"sky map {self.name}: {what}")


class MadeTiles(NamedTuple):
    """Tiles of a table.

    Attributes
    ----------
    tiles
        The sky, its probability 1 but for rounding.
    header
        The table's cards, without those that the tiles contradict.
    remarks
        What was put right, for people.
    """

    tiles: Tiles
    header: Cards
    remarks: tuple[str, ...]


def tiles_of(table: Table) -> MadeTiles:
    """Make tiles of a table.

    Raises
    ------
    SkyMapError
        It is in other than equatorial coordinates, lacks a column or a card, is in an unknown unit,
        or its values make no sense.
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
    remarks = []
    if abs(total - 1) > _ROUNDING:
        tiles = replace(tiles, density=tiles.density / total)
        remarks.append(
            f"its probabilities sum to {total:.4g} and not to 1: they were divided by that"
        )
    header, has_distances = table.header, all(key in table.columns for key in LENGTHS)
    if has_distances and _length_factors(table)[0] != 1:
        # these two cards are in Mpc by their definition, and by habit in the unit of the columns
        header = {key: one for key, one in header.items() if key not in {"DISTMEAN", "DISTSTD"}}
    return MadeTiles(tiles, header, tuple(remarks))


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
    present = [key for key in LENGTHS if key in table.columns]
    if present and len(present) < len(LENGTHS):
        lacking = ", ".join(key for key in LENGTHS if key not in present)
        raise table.error(f"it has {', '.join(present)} but not {lacking}; fetch it again")
    return present


def _length_factors(table: Table) -> tuple[float, float, float]:
    try:
        return length_factors(table.columns)
    except UnfitUnit as error:
        raise table.error(str(error)) from error


def _double(column: NDArray[Any]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):  # a signalling nan; looked for by those who call
        return column.astype(np.float64, copy=False)


def _tiles(table: Table, layout: Layout, key: str, pixels_per_sr: Any, values: Values) -> Tiles:
    """Put together the tiles of a layout.

    Parameters
    ----------
    table, layout
        Where they come from, and where they lie.
    key
        Column that says how probable they are.
    pixels_per_sr
        Pixels per solid angle [1/sr], for a probability per pixel: of all, or of each tile.
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
    unit = _probability_unit(table, key)
    with np.errstate(over="ignore"):  # an infinite sum is refused by the caller
        if unit.per_pixel:
            density = density * pixels_per_sr
        if unit.factor != 1:
            density = density * unit.factor
        scaled = [
            one if factor == 1 else one * factor
            for one, factor in zip(
                distance, _length_factors(table) if distance else (), strict=True
            )
        ]
    distances = Distances.of(*scaled) if scaled else None
    if distances is not None and not (distances.norm > 0).any():
        distances = None  # columns without a single distance say nothing
    return Tiles(start, order, density, distances)


def _probability_unit(table: Table, key: str) -> ProbabilityUnit:
    try:
        return probability_unit(key, table.columns[key])
    except UnfitUnit as error:
        raise table.error(str(error)) from error


def _multi_order(table: Table) -> Tiles:
    key = next((one for one in (DENSITY, *PER_PIXEL) if one in table.columns), None)
    if key is None:
        raise table.error(
            f"it has UNIQ but not {DENSITY}; give a multi-order map of probability density"
        )
    keys = ("UNIQ", key, *_distance_columns(table))
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
    pixels_per_sr = 12 * np.exp2(2.0 * layout.order) / (4 * np.pi)
    return _tiles(table, layout, key, pixels_per_sr, [one[layout.row] for one in values])


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
    key = next((one for one in (*PER_PIXEL, DENSITY) if one in table.columns), None)
    if key is None:
        raise table.error(
            f"it has none of the columns {', '.join(PER_PIXEL)} and {DENSITY}; "
            "give a map of probability"
        )
    if table.card("INDXSCHM") == "EXPLICIT":
        raise table.error(
            "INDXSCHM = EXPLICIT, a map of part of the sky, is not understood; "
            "give one of the whole sky or a multi-order one"
        )
    keys = (key, *_distance_columns(table))
    if not table.rows:
        raise table.error("the table has no rows; fetch it again")
    nside = _nside(table, table.rows * table.columns[key].width)
    ring = _is_ring(table)
    layout, values = fold(
        _whole_sky(table, keys, nside), hp.nside2order(nside), table.name, ring=ring
    )
    return _tiles(table, layout, key, hp.nside2npix(nside) / (4 * np.pi), values)


def _is_ring(table: Table) -> bool:
    """Whether the pixels are in the RING order: ORDERING, else a text in ORDER, else NEST."""
    nest = {"T": "NESTED", "F": "RING"}.get(table.card("NEST"), "")
    given = (table.card("ORDERING"), table.card("ORDER"), nest)
    ordering = next((one for one in given if one and not one[0].isdigit()), None)
    if ordering != "RING" and not (ordering or "").startswith("NEST"):
        raise table.error(f"ORDERING = {ordering!r}; it must be RING or NESTED")
    return ordering == "RING"


def _nside(table: Table, pixels: int) -> int:
    """NSIDE of the header, however it is written; without it, that of so many pixels."""
    given = table.header.get("NSIDE")
    nside: int | None
    if given is None or str(given).strip() == "":
        nside = nside_of(pixels)
        if nside is None:
            raise table.error(
                f"it has no NSIDE, and its {pixels} pixels are those of no whole sky "
                "(12 * NSIDE**2); add NSIDE to the header of its table"
            )
    else:
        nside = _whole(given)
        if nside is None or not hp.isnsideok(nside, nest=True):
            raise table.error(f"NSIDE = {given!r}; it must be a power of two in the table's header")
    if nside > MAX_NSIDE:
        raise table.error(
            f"NSIDE = {nside}; a flat map is read up to {MAX_NSIDE}, give a multi-order one"
        )
    return nside


def _whole(given: str | float) -> int | None:
    """Whole number in a card, be it a float or a text; None where it is none."""
    try:
        number = float(given)
    except (ValueError, OverflowError):
        return None
    return int(number) if number.is_integer() else None

"""The columns of a sky map's table, checked and made into tiles."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ampelstream.errors import SkyMapError
from ampelstream.sky.flat import fold
from ampelstream.sky.healpix import ORDER
from ampelstream.sky.multiorder import split_uniq
from ampelstream.sky.tiles import Distances, Tiles

__all__ = ["COLUMNS", "Table", "tiles_of"]

_PER_PIXEL = ("PROB", "PROBABILITY")
_DENSITY = "PROBDENSITY"
_DISTANCE = ("DISTMU", "DISTSIGMA", "DISTNORM")
COLUMNS = frozenset({"UNIQ", _DENSITY, *_PER_PIXEL, *_DISTANCE})
"""What is read of a table."""

_EQUATORIAL = {"", "C", "CEL", "CELESTIAL", "EQ", "EQU", "EQUATORIAL", "ICRS", "FK5"}


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
    place: tuple[NDArray[np.int64], NDArray[np.int8], NDArray[np.int64]],
    density: tuple[str, NDArray[Any], float],
    distance: list[NDArray[Any]],
) -> Tiles:
    """Put together what the rows in ``place`` say; ``density`` is name, column and factor."""
    start, order, rows = place
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
    place = split_uniq(uniq.astype(np.int64), table.name)
    return _tiles(table, place, (_DENSITY, density, 1.0), distance)


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
    order = nside.bit_length() - 1
    factor = 1.0 if key == _DENSITY else 12 * nside * nside / (4 * np.pi)
    place = fold(columns, order, ring=ordering == "RING")
    return _tiles(table, place, (key, columns[0], factor), columns[1:])


def _nside(table: Table, lengths: set[int]) -> int:
    """NSIDE of the header, when the columns are that long."""
    nside = table.header.get("NSIDE")
    if not isinstance(nside, int) or nside < 1 or nside & (nside - 1) or nside > 1 << ORDER:
        raise table.error(f"NSIDE = {nside!r}; it must be a power of two in the table's header")
    if lengths != {12 * nside * nside}:
        found = ", ".join(str(one) for one in sorted(lengths))
        raise table.error(
            f"NSIDE = {nside} wants {12 * nside * nside} pixels, the columns have {found}; "
            "the file is truncated or its header is wrong"
        )
    return nside

"""Which columns of a table are the position, and which rows have one."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ampelstream.errors import CatalogError

__all__ = ["find_position", "valid_positions"]

_USUAL = (
    # VizieR's computed positions come first: its own RAJ2000 may be sexagesimal text
    ("_raj2000", "_dej2000"),
    ("raj2000", "dej2000"),
    ("_ra_icrs", "_de_icrs"),
    ("ra_icrs", "de_icrs"),
    ("ra", "dec"),
    ("ra_deg", "dec_deg"),
    ("radeg", "decdeg"),
    ("radeg", "dedeg"),
    ("ramean", "decmean"),
    ("_ra", "_de"),
    ("alpha_j2000", "delta_j2000"),
    ("right_ascension", "declination"),
    ("ra", "decl"),
)
"""Usual names, in lower case, in the order in which they are tried."""


def find_position(
    table: pa.Table, units: Mapping[str, str], ra: str | None = None, dec: str | None = None
) -> tuple[str, str]:
    """Names of the columns of right ascension and declination [deg].

    Parameters
    ----------
    table
        The table.
    units
        Units of its columns, where known.
    ra, dec
        Names that were given, both or neither.

    Raises
    ------
    CatalogError
        They are absent or not numbers of degrees.
    """
    names = table.schema.names
    listing = ", ".join(names)
    if (ra is None) != (dec is None):
        raise CatalogError("name both columns of the position, --ra and --dec, or neither")
    if ra is not None and dec is not None:
        absent = [name for name in (ra, dec) if name not in names]
        if absent:
            raise CatalogError(f"the table has no column {' or '.join(absent)}; it has {listing}")
        pair = (ra, dec)
    else:
        pair = _guess(table, listing)
    for name in pair:
        if not _is_number(table.schema.field(name).type):
            raise CatalogError(f"column {name} is not numbers; a position is in decimal degrees")
        if units.get(name, "deg") not in {"deg", "degree", "degrees", "°", ""}:
            raise CatalogError(f"column {name} is in {units[name]}; a position is in degrees")
    return pair


def _guess(table: pa.Table, listing: str) -> tuple[str, str]:
    known = {
        name.lower(): name
        for name in reversed(table.schema.names)
        if _is_number(table.schema.field(name).type)
    }
    for ra, dec in _USUAL:
        if ra in known and dec in known:
            return known[ra], known[dec]
    raise CatalogError(
        "no columns of numbers with the usual names of a position (ra and dec, RAJ2000 and "
        f"DEJ2000, ...); name them with --ra and --dec; the table has {listing}"
    )


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def valid_positions(ra: Sequence[float], dec: Sequence[float]) -> NDArray[np.bool_]:
    """Whether each position is on the sky: -180 <= ra <= 360, -90 <= dec <= 90 [deg].

    Right ascension is not simply wrapped, so that a -999 for "unknown" is no position.
    """
    lon, lat = np.asarray(ra, dtype=float), np.asarray(dec, dtype=float)
    # every comparison with nan is false
    return (lon >= -180.0) & (lon <= 360.0) & (lat >= -90.0) & (lat <= 90.0)  # noqa: PLR2004  (the sky)

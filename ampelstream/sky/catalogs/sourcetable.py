"""Tables as astronomers have them (Parquet, CSV, FITS, VOTable), and the positions in them."""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ampelstream.errors import CatalogError
from ampelstream.model.skyposition import declination, right_ascension

if TYPE_CHECKING:
    from astropy.table import Column

__all__ = ["SourceTable", "find_position", "in_degrees", "read_table", "valid_positions"]

_PARQUET = (".parquet", ".pq")
_TEXT = {".csv": ",", ".csv.gz": ",", ".tsv": "\t", ".tsv.gz": "\t"}
_ASTROPY = {
    ".fits": "fits",
    ".fit": "fits",
    ".fits.gz": "fits",
    ".fit.gz": "fits",
    ".vot": "votable",
    ".xml": "votable",
    ".votable": "votable",
    ".ecsv": "ascii.ecsv",
}

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


@dataclass(frozen=True, slots=True)
class SourceTable:
    """A table as read.

    Attributes
    ----------
    path
        Its file.
    table
        Its columns of single values (numbers, text, flags, times).
    units
        Units of its columns, where the file gives them.
    left_out
        Columns of lists, structures or images, which a catalogue cannot hold.
    """

    path: Path
    table: pa.Table
    units: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()


def read_table(path: Path) -> SourceTable:
    """Read a table.

    Raises
    ------
    CatalogError
        The file is absent, of a kind that is not known, or unreadable.
    """
    name = path.name.lower()
    if not path.is_file():
        raise CatalogError(f"no table {path}")
    try:
        if name.endswith(_PARQUET):
            return _source(path, pq.read_table(path, partitioning=None), {})
        for suffix, delimiter in _TEXT.items():
            if name.endswith(suffix):
                # types are guessed from the first block: make it hold most tables as a whole
                blocks = pc.ReadOptions(block_size=1 << 26)
                split = pc.ParseOptions(delimiter=delimiter)
                table = pc.read_csv(path, read_options=blocks, parse_options=split)
                return _source(path, table, {})
        for suffix, kind in _ASTROPY.items():
            if name.endswith(suffix):
                return _from_astropy(path, kind)
    except (OSError, ValueError, TypeError, pa.ArrowException) as error:
        raise CatalogError(f"table {path} is unreadable: {error}") from error
    known = ", ".join([*_PARQUET, *_TEXT, *_ASTROPY])
    raise CatalogError(f"table {path}: what it is shows in its name, one of {known}")


def _from_astropy(path: Path, kind: str) -> SourceTable:
    # only imported for these formats: it takes most of a second
    from astropy.table import Table  # noqa: PLC0415  (see above)

    with warnings.catch_warnings():
        # catalogues in the wild bend the standards (units, name lengths); the rows are still right
        warnings.simplefilter("ignore")
        table = Table.read(path, format=kind)
    many = tuple(name for name in table.colnames if table[name].ndim > 1)
    names = [name for name in table.colnames if name not in many]
    units = {name: str(table[name].unit) for name in names if table[name].unit is not None}
    return _source(path, pa.table({name: _array(table[name]) for name in names}), units, many)


def _array(column: "Column") -> pa.Array:
    """Arrow array of an astropy column; masked values become nulls."""
    data = np.asarray(column)
    masked = getattr(column, "mask", None)
    mask = None if masked is None else np.array(masked, dtype=bool)
    if data.dtype.kind in "SUO":
        texts = [one.decode(errors="replace") if isinstance(one, bytes) else one for one in data]
        # FITS pads text with blanks
        stripped = [None if one is None else str(one).rstrip() for one in texts]
        return pa.array(stripped, type=pa.string(), mask=mask)
    # FITS numbers are big-endian, which Arrow does not take
    return pa.array(data.astype(data.dtype.newbyteorder("=")), mask=mask)


def _source(
    path: Path, table: pa.Table, units: Mapping[str, str], left_out: tuple[str, ...] = ()
) -> SourceTable:
    """Columns of single values only, in types that every reader knows."""
    twice = sorted({name for name in table.schema.names if table.schema.names.count(name) > 1})
    if twice:
        raise ValueError(f"more than one column is called {', '.join(twice)}")
    names = [one.name for one in table.schema if not pa.types.is_nested(one.type)]
    left_out += tuple(name for name in table.schema.names if name not in names)
    kept = table.select(names)
    fields = [pa.field(one.name, _simple(one.type)) for one in kept.schema]
    return SourceTable(path, kept.cast(pa.schema(fields)), units, left_out)


def _simple(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_decimal(kind):
        return pa.float64()
    if pa.types.is_float16(kind):
        return pa.float32()
    if pa.types.is_dictionary(kind):
        return kind.value_type
    if pa.types.is_null(kind):
        return pa.string()
    return kind


def find_position(
    table: pa.Table, units: Mapping[str, str], ra: str | None = None, dec: str | None = None
) -> tuple[str, str]:
    """Names of the columns of right ascension and declination: degrees, or sexagesimal text.

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
        They are absent, or neither degrees nor text.
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
        kind = table.schema.field(name).type
        if not _is_number(kind) and not is_sexagesimal(kind):
            raise CatalogError(
                f"column {name} is neither numbers nor text; a position is in degrees, or like "
                "12:34:56 -12:34:56"
            )
        if _is_number(kind) and units.get(name, "deg") not in {"deg", "degree", "degrees", "°", ""}:
            raise CatalogError(f"column {name} is in {units[name]}; a position is in degrees")
    return pair


def _guess(table: pa.Table, listing: str) -> tuple[str, str]:
    # numbers first: VizieR gives both, and the text is rounded
    for fits in (_is_number, is_sexagesimal):
        known = {
            name.lower(): name
            for name in reversed(table.schema.names)
            if fits(table.schema.field(name).type)
        }
        for ra, dec in _USUAL:
            if ra in known and dec in known:
                return known[ra], known[dec]
    raise CatalogError(
        "no columns of numbers or text with the usual names of a position (ra and dec, RAJ2000 and "
        f"DEJ2000, ...); name them with --ra and --dec; the table has {listing}"
    )


def is_sexagesimal(kind: pa.DataType) -> bool:
    """Whether a column may hold ``12:34:56``: text, or the time of day that Arrow makes of it."""
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_time(kind)
    )


def in_degrees(source: SourceTable, ra: str, dec: str) -> SourceTable:
    """The table with its position as numbers of degrees; text that is no position becomes NaN."""
    table, units = source.table, dict(source.units)
    for name, read in ((ra, right_ascension), (dec, declination)):
        if is_sexagesimal(table.schema.field(name).type):
            texts = table.column(name).cast(pa.string()).to_pylist()
            values = pa.array([_read(read, one) for one in texts], type=pa.float64())
            table = table.set_column(table.schema.get_field_index(name), name, values)
            units[name] = "deg"
    return replace(source, table=table, units=units)


def _read(read: Callable[[str], float], text: str | None) -> float:
    try:
        return math.nan if text is None else read(text)
    except ValueError:
        return math.nan


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def valid_positions(ra: Sequence[float], dec: Sequence[float]) -> NDArray[np.bool_]:
    """Whether each position is on the sky: -180 <= ra <= 360, -90 <= dec <= 90 [deg].

    Right ascension is not simply wrapped, so that a -999 for "unknown" is no position.
    """
    lon, lat = np.asarray(ra, dtype=float), np.asarray(dec, dtype=float)
    # every comparison with nan is false
    return (lon >= -180.0) & (lon <= 360.0) & (lat >= -90.0) & (lat <= 90.0)  # noqa: PLR2004  (the sky)

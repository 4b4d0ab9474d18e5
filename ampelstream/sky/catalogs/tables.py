"""Tables as astronomers have them: Parquet, CSV, FITS, VOTable."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from ampelstream.errors import CatalogError

if TYPE_CHECKING:
    from astropy.table import Column

__all__ = ["SourceTable", "read_table"]

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

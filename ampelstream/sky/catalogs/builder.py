"""Making a catalogue from a table."""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ampelstream.errors import CatalogError
from ampelstream.sky.catalogs.catalog import check_name
from ampelstream.sky.catalogs.hats import PIXEL_COLUMN, CatalogInfo, Cell, save, write_cells
from ampelstream.sky.catalogs.partition import VERSION_KEY
from ampelstream.sky.catalogs.sourcetable import (
    SourceTable,
    find_position,
    in_degrees,
    valid_positions,
)
from ampelstream.sky.healpix import pixels29

__all__ = ["LARGEST", "Built", "build"]

LARGEST = 100_000
"""Rows of a partition at most: some MB, read in tens of milliseconds."""
_DEEPEST = 18
"""Finest order of a partition (0.8 arcsec): nothing distinguishes rows closer than that."""


@dataclass(frozen=True, slots=True)
class Built:
    """What became of a table.

    Attributes
    ----------
    info
        The catalogue.
    partitions
        Number of its files.
    invalid
        Rows that were left out because they have no valid position.
    """

    info: CatalogInfo
    partitions: int
    invalid: int


def build(
    root: Path,
    name: str,
    source: SourceTable,
    *,
    ra: str | None = None,
    dec: str | None = None,
    columns: Sequence[str] | None = None,
    epoch: float | None = None,
    replace: bool = False,
    largest: int = LARGEST,
) -> Built:
    """Make a catalogue; it appears under its name when it is whole, or not at all.

    Parameters
    ----------
    root
        Directory of the catalogues; made where it is absent.
    name
        Name of the catalogue.
    source
        The table, which must fit into memory (twice).
    ra, dec
        Columns of the position [deg]; found by their usual names where None.
    columns
        Columns to keep besides the position; all where None.
    epoch
        Epoch of the positions [Julian year].
    replace
        Whether a catalogue of that name may be replaced.
    largest
        Rows of a partition at most.

    Raises
    ------
    CatalogError
        The name, the table or its columns will not do, or the catalogue exists.
    """
    target = Path(root) / check_name(name)
    if target.exists() and not replace:
        raise CatalogError(f"catalogue {name} is already in {root}; use --replace, or another name")
    ra, dec = find_position(source.table, source.units, ra, dec)
    source = in_degrees(source, ra, dec)
    rows, pixels, invalid = _sorted_rows(_chosen(source, ra, dec, columns), ra, dec)
    cells = list(_split(pixels, largest))
    info = CatalogInfo(
        name=name,
        version=_digest(rows),
        ra=ra,
        dec=dec,
        rows=len(rows),
        order=max(cell.order for cell, _, _ in cells),
        columns=tuple(one for one in rows.schema.names if one != PIXEL_COLUMN),
        epoch=epoch,
        source=source.path.name,
        units={key: unit for key, unit in source.units.items() if key in rows.schema.names},
    )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _write(target, rows, cells, info, largest=largest, replace=replace)
    except OSError as error:
        raise CatalogError(f"catalogue {name} cannot be written to {root}: {error}") from error
    return Built(info, len(cells), invalid)


def _chosen(source: SourceTable, ra: str, dec: str, columns: Sequence[str] | None) -> pa.Table:
    names = [one for one in source.table.schema.names if one != PIXEL_COLUMN]
    if columns is not None:
        absent = [one for one in columns if one not in names]
        if absent:
            raise CatalogError(
                f"{source.path} has no column {', '.join(absent)}; it has {', '.join(names)}"
            )
        names = [one for one in names if one in {ra, dec, *columns}]
    return source.table.select(names)


def _sorted_rows(table: pa.Table, ra: str, dec: str) -> tuple[pa.Table, NDArray[np.int64], int]:
    """Rows with a position, along the sky, with their pixels; and how many had none."""
    lon, lat = (table.column(one).to_numpy().astype(float) for one in (ra, dec))
    valid = valid_positions(lon, lat)
    if not valid.any():
        raise CatalogError(f"no row of {len(table)} has a valid position in {ra}, {dec} [deg]")
    kept = np.flatnonzero(valid)
    pixels = pixels29(lon[kept], lat[kept])
    along = np.argsort(pixels, kind="stable")
    rows = table.take(kept[along]).combine_chunks().replace_schema_metadata(None)
    pixels = pixels[along]
    rows = rows.add_column(0, pa.field(PIXEL_COLUMN, pa.int64(), nullable=False), pa.array(pixels))
    return rows, pixels, len(table) - len(kept)


def _split(pixels: NDArray[np.int64], largest: int) -> Iterator[tuple[Cell, int, int]]:
    """Cells that hold at most ``largest`` rows, with the first row and the one behind the last."""
    todo = [Cell(0, pixel) for pixel in reversed(range(12))]
    while todo:
        cell = todo.pop()
        first, last = np.searchsorted(pixels, [cell.start29, cell.end29]).tolist()
        if first == last:
            continue
        if last - first <= largest or cell.order == _DEEPEST:
            yield cell, first, last
        else:
            todo.extend(Cell(cell.order + 1, 4 * cell.pixel + quarter) for quarter in (3, 2, 1, 0))


class _Hash:
    """A file that only hashes what is written."""

    def __init__(self) -> None:
        self.state = hashlib.blake2b(digest_size=8)
        self.closed = False

    def write(self, data: bytes) -> int:
        self.state.update(data)
        return len(data)


def _digest(rows: pa.Table) -> str:
    """Digest of the columns and rows."""
    sink = _Hash()
    with pa.ipc.new_stream(pa.PythonFile(sink, mode="w"), rows.schema) as stream:
        stream.write_table(rows)
    return sink.state.hexdigest()


def _write(
    target: Path,
    rows: pa.Table,
    cells: Sequence[tuple[Cell, int, int]],
    info: CatalogInfo,
    *,
    largest: int,
    replace: bool,
) -> None:
    """Write under a hidden name, then rename; what was there before goes with the hidden one."""
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as hidden:
        new, old = Path(hidden) / "new", Path(hidden) / "old"
        new.mkdir()
        schema = rows.schema.with_metadata({VERSION_KEY: info.version})
        for cell, first, last in cells:
            path = new / cell.path()
            path.parent.mkdir(parents=True, exist_ok=True)
            piece = rows.slice(first, last - first).replace_schema_metadata(schema.metadata)
            pq.write_table(piece, path)
        pq.write_metadata(schema, new / "dataset" / "_common_metadata")
        write_cells(new, [cell for cell, _, _ in cells])
        save(new, info, largest)
        if replace and target.exists():
            target.rename(old)
        try:
            new.rename(target)
        except OSError:
            if old.exists():
                old.rename(target)
            raise

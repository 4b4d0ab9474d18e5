"""Rows of a Parquet file in Fink's alert layout, histories left in Arrow until asked for."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ampelstream.errors import SourceError
from ampelstream.sources.window import Piece, may_pass

__all__ = ["rows"]

_COLUMNS = ("objectId", "candid", "schemavsn", "candidate", "prv_candidates", "fp_hists")
_LAZY = ("prv_candidates", "fp_hists")
_BATCH = 256
_DAMAGED = (OSError, ValueError, pa.ArrowException)
"""What Arrow raises on damaged pages; text that is none is a ValueError."""


class _Row(Mapping[str, Any]):
    """A row whose lists become Python objects when they are read."""

    __slots__ = ("_at", "_batch", "_fields")

    def __init__(self, fields: dict[str, Any], batch: pa.RecordBatch, at: int) -> None:
        self._fields = fields
        self._batch = batch
        self._at = at

    def __getitem__(self, name: str) -> Any:
        if name not in self._fields and name in _LAZY and name in self._batch.schema.names:
            self._fields[name] = self._batch.column(name)[self._at].as_py()
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._batch.schema.names)

    def __len__(self) -> int:
        return len(self._batch.schema.names)


def rows(path: Path) -> Iterator[Piece]:
    """Give the rows of a file; of a damaged row group those before the damage, and what is wrong.

    Raises
    ------
    SourceError
        It cannot be opened, or has no alerts in it.
    """
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
    except (OSError, pa.ArrowException) as error:
        raise SourceError(f"{path} cannot be read as Parquet: {error}") from error
    with file:
        names = [name for name in _COLUMNS if name in file.schema_arrow.names]
        if "candidate" not in names:
            raise SourceError(f"{path} holds no alerts: it has no column `candidate`")
        first = 0
        for group in range(file.num_row_groups):
            count = file.metadata.row_group(group).num_rows
            yield from _group(file, group, names, path.name, range(first, first + count))
            first += count


def _group(
    file: pq.ParquetFile, group: int, names: Sequence[str], member: str, numbers: range
) -> Iterator[Piece]:
    """Rows of one row group: damage of one leaves the others whole."""
    given = numbers.start
    try:
        for batch in file.iter_batches(batch_size=_BATCH, row_groups=[group], columns=names):
            yield from _batch(batch, names, member, given)
            given += batch.num_rows
    except _DAMAGED as error:
        fault = f"row group {group}: rows {given} to {numbers.stop - 1} cannot be read: {error}"
        yield Piece(member, b"", fault, may_pass(error))


def _batch(batch: pa.RecordBatch, names: Sequence[str], member: str, first: int) -> Iterator[Piece]:
    eager = [name for name in names if name not in _LAZY]
    try:
        columns = {name: batch.column(name).to_pylist() for name in eager}
    except _DAMAGED:
        yield from _one_by_one(batch, eager, member, first)
        return
    for at in range(batch.num_rows):
        yield Piece(member, _Row({name: columns[name][at] for name in eager}, batch, at))


def _one_by_one(
    batch: pa.RecordBatch, eager: Sequence[str], member: str, first: int
) -> Iterator[Piece]:
    """Rows of a batch of which at least one holds what is no value."""
    for at in range(batch.num_rows):
        try:
            fields = {name: batch.column(name)[at].as_py() for name in eager}
        except _DAMAGED as error:
            yield Piece(member, b"", f"row {first + at} cannot be read: {error}")
        else:
            yield Piece(member, _Row(fields, batch, at))

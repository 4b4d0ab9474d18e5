"""Rows of a Parquet file of alerts as brokers write them, histories left in Arrow until asked for.

A row has the records of a packet as nested columns: ZTF's ``candidate`` and its lists, or Rubin's
``diaSource`` and its lists. A list of Rubin may hold a thousand sources of a hundred fields, of
which a dozen are read: the fields become Python objects one by one.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, overload

import pyarrow as pa
import pyarrow.parquet as pq

from ampelstream.errors import SourceError
from ampelstream.sources.window import Piece, may_pass

__all__ = ["rows"]

_DAMAGED = (OSError, ValueError, pa.ArrowException)
"""What Arrow raises on damaged pages; text that is none is a ValueError."""


class _Layout(NamedTuple):
    """How a survey's alerts lie in a table.

    Attributes
    ----------
    record
        Column of the alert's own detection: by it the layout is known.
    eager
        Columns that are read for every row, with that one.
    lazy
        Columns of lists.
    batch
        Rows that are in memory together, lists included.
    """

    record: str
    eager: tuple[str, ...]
    lazy: tuple[str, ...]
    batch: int


_LAYOUTS = (
    _Layout("diaSource", (), ("prvDiaSources", "prvDiaForcedSources"), 32),
    _Layout("candidate", ("objectId", "candid", "schemavsn"), ("prv_candidates", "fp_hists"), 256),
)


class _Entries(Sequence[Mapping[str, Any] | None]):
    """A list of records in Arrow; a field of all of them is taken out when one is read."""

    __slots__ = ("_columns", "_records", "names")

    def __init__(self, records: pa.StructArray) -> None:
        self._records = records
        self._columns: dict[str, list[Any]] = {}
        self.names = dict.fromkeys(field.name for field in records.type)

    def column(self, name: str) -> list[Any]:
        """Values of a field, of all records."""
        found = self._columns.get(name)
        if found is None:
            found = self._columns[name] = self._records.field(name).to_pylist()
        return found

    @overload
    def __getitem__(self, at: int) -> Mapping[str, Any] | None: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Mapping[str, Any] | None]: ...
    def __getitem__(self, at: int | slice) -> Any:
        if isinstance(at, slice):
            return [self[one] for one in range(*at.indices(len(self)))]
        number = range(len(self))[at]
        return _Entry(self, number) if self._records[number].is_valid else None

    def __iter__(self) -> Iterator[Mapping[str, Any] | None]:
        valid = self._records.is_valid().to_pylist()
        return (_Entry(self, number) if is_one else None for number, is_one in enumerate(valid))

    def __len__(self) -> int:
        return len(self._records)


class _Entry(Mapping[str, Any]):
    """One record of such a list."""

    __slots__ = ("_at", "_entries")

    def __init__(self, entries: _Entries, at: int) -> None:
        self._entries = entries
        self._at = at

    def __getitem__(self, name: str) -> Any:
        if name not in self._entries.names:
            raise KeyError(name)
        return self._entries.column(name)[self._at]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries.names)

    def __len__(self) -> int:
        return len(self._entries.names)

    def __repr__(self) -> str:
        return repr(dict(self))


class _Row(Mapping[str, Any]):
    """A row whose lists become Python objects when they are read."""

    __slots__ = ("_at", "_batch", "_fields", "_lazy")

    def __init__(
        self, fields: dict[str, Any], lazy: Sequence[str], batch: pa.RecordBatch, at: int
    ) -> None:
        self._fields = fields
        self._lazy = lazy
        self._batch = batch
        self._at = at

    def __getitem__(self, name: str) -> Any:
        if name not in self._fields and name in self._lazy:
            self._fields[name] = _list(self._batch.column(name)[self._at])
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._batch.schema.names)

    def __len__(self) -> int:
        return len(self._batch.schema.names)


def _list(value: pa.Scalar) -> Any:
    """What a cell of a column of lists holds."""
    if isinstance(value, pa.ListScalar) and isinstance(value.values, pa.StructArray):
        return _Entries(value.values)
    return value.as_py()


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
        names = file.schema_arrow.names
        layout = next((one for one in _LAYOUTS if one.record in names), None)
        if layout is None:
            raise SourceError(
                f"{path} holds no alerts: it has neither a column `candidate` (ZTF) nor "
                "`diaSource` (Rubin)"
            )
        table = _Table(file, path.name, layout)
        first = 0
        for group in range(file.num_row_groups):
            count = file.metadata.row_group(group).num_rows
            yield from table.group(group, range(first, first + count))
            first += count


class _Table:
    """The rows of an open file."""

    def __init__(self, file: pq.ParquetFile, member: str, layout: _Layout) -> None:
        names = file.schema_arrow.names
        self._file = file
        self._member = member
        self._eager = [name for name in (*layout.eager, layout.record) if name in names]
        self._lazy = [name for name in layout.lazy if name in names]
        self._size = layout.batch

    def group(self, group: int, numbers: range) -> Iterator[Piece]:
        """Rows of one row group: damage of one leaves the others whole."""
        given = numbers.start
        names = [*self._eager, *self._lazy]
        try:
            for batch in self._file.iter_batches(self._size, [group], names):
                yield from self._batch(batch, given)
                given += batch.num_rows
        except _DAMAGED as error:
            fault = f"row group {group}: rows {given} to {numbers.stop - 1} cannot be read: {error}"
            yield Piece(self._member, b"", fault, may_pass(error))

    def _batch(self, batch: pa.RecordBatch, first: int) -> Iterator[Piece]:
        try:
            columns = {name: batch.column(name).to_pylist() for name in self._eager}
        except _DAMAGED:
            yield from self._one_by_one(batch, first)
            return
        for at in range(batch.num_rows):
            fields = {name: columns[name][at] for name in self._eager}
            yield Piece(self._member, _Row(fields, self._lazy, batch, at))

    def _one_by_one(self, batch: pa.RecordBatch, first: int) -> Iterator[Piece]:
        """Rows of a batch of which at least one holds what is no value."""
        for at in range(batch.num_rows):
            try:
                fields = {name: batch.column(name)[at].as_py() for name in self._eager}
            except _DAMAGED as error:
                yield Piece(self._member, b"", f"row {first + at} cannot be read: {error}")
            else:
                yield Piece(self._member, _Row(fields, self._lazy, batch, at))

"""Fields of many packets of one writer schema, as columns."""

from array import array
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ampelstream.codecs.avro import backend
from ampelstream.codecs.avro.program import Column, Kind, compile_program
from ampelstream.errors import DecodeError

__all__ = ["Columns", "Floats", "Nulls", "Reader", "Walker", "fault"]

Floats = npt.NDArray[np.float64]
Nulls = npt.NDArray[np.bool_]

_FAULTS = {
    backend.CODES.CUT: "the packet ends inside a value",
    backend.CODES.BRANCH: "the packet is corrupt: no such branch of a union",
    backend.CODES.NUMBER: "the packet ends inside a number, or has one longer than 64 bits",
    backend.CODES.LENGTH: "the packet is corrupt: a value does not fit into it",
    backend.CODES.COUNT: "the packet is corrupt: an array has more items than fit into it",
    backend.CODES.DEEP: "the packet's schema has too many arrays inside arrays",
    backend.CODES.FULL: "the packet's history has more entries than a packet has",
    backend.CODES.BLOCK: "the container's first block does not hold one whole record",
}
_MOST_ROWS = 100_000
"""A history has some thousand entries; a packet that says more is corrupt."""
_FEW_ROWS, _MANY_ROWS = 32, 256
_AT_FIRST, _AT_LEAST = 1024, 16_384
"""For so many entries of histories there is room where packets are read together: at first and at
most for each of them, and for all of them at first and at least [rows]. Those that have more are
read by themselves: what a few packets claim must not take the memory."""


def fault(status: int) -> DecodeError:
    """What is wrong with a packet, by what the interpreter gave."""
    return DecodeError(_FAULTS[status])


class Columns:
    """Columns of one batch.

    Attributes
    ----------
    status
        For each packet the position behind what was read of it; negative where it is corrupt, and
        then its values mean nothing (see `fault`).
    values
        The packets.

    Parameters
    ----------
    columns, others, tables
        See `Program`; the tables by name.
    values, status
        See above.
    offsets
        Rows of each table before each packet, and behind the last; shape (packets + 1, tables).
    floats, integers
        For each table the values, shape (rows, values of a row), and where there is null.
    """

    def __init__(
        self,
        columns: Mapping[tuple[str, str], Column],
        others: Collection[tuple[str, str]],
        tables: Mapping[str, int],
        values: Sequence[bytes],
        status: npt.NDArray[np.int64],
        offsets: npt.NDArray[np.int64],
        floats: Sequence[tuple[Floats, npt.NDArray[np.uint8]]],
        integers: Sequence[tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]],
    ) -> None:
        self.values = values
        self.status = status
        self._columns = columns
        self._others = others
        self._tables = tables
        self._offsets = offsets
        self._floats = floats
        self._integers = integers

    def __len__(self) -> int:
        return len(self.values)

    def has(self, record: str, name: str) -> bool:
        """Whether the schema has the field."""
        return (record, name) in self._columns

    def crowded(self) -> list[int]:
        """Packets whose history was too long to be read with others."""
        if len(self.values) == 1:
            return []
        rows: list[int] = np.flatnonzero(self.status == backend.CODES.FULL).tolist()
        return rows

    def offsets(self, table: str) -> npt.NDArray[np.int64]:
        """Where the rows of each packet begin, and where the last ones end; zeros if there is none.

        Shape (number of packets + 1,).
        """
        if not self.is_table(table):
            return np.zeros(len(self.values) + 1, np.int64)
        return self._offsets[:, self._tables[table]]

    def floats(self, record: str, name: str) -> tuple[Floats, Nulls]:
        """Values of a numeric field, NaN where there are none, and where there is null."""
        column = self._columns[record, name]
        if column.kind == "f8":
            values, nulls = self._floats[column.table]
            return values[:, column.place], nulls[:, column.place].view(np.bool_)
        whole, none = self.integers(record, name)
        return np.where(none, np.nan, whole.astype(np.float64)), none

    def integers(self, record: str, name: str) -> tuple[npt.NDArray[np.int64], Nulls]:
        """Values of an integer field (or truth values), 0 where there is null, and where that is.

        Of text, the positions of the first bytes.
        """
        column = self._columns[record, name]
        values, nulls = self._integers[column.table]
        return values[:, column.place], nulls[:, column.place].view(np.bool_)

    def block(self, record: str, names: Sequence[str], kind: Kind) -> tuple[Any, Nulls]:
        """Values of several fields of one kind (``f8`` or ``i8``), and where there is null.

        Shape (rows, fields) each. A field that the schema does not have is null.
        """
        columns = [self._columns.get((record, name)) for name in names]
        table = self._tables.get(record, 0)
        values, nulls = (self._floats if kind == "f8" else self._integers)[table]
        places = [0 if one is None else one.place for one in columns]
        if not values.shape[1]:
            return np.zeros((len(values), len(names)), values.dtype), np.ones(
                (len(values), len(names)), bool
            )
        null = nulls[:, places].view(np.bool_)
        null[:, [n for n, one in enumerate(columns) if one is None]] = True
        return values[:, places], null

    def kind(self, record: str, name: str) -> str | None:
        """Kind of a column (see `Kind`).

        ``other`` where the field has none, None where the schema does not have the field.
        """
        column = self._columns.get((record, name))
        if column is not None:
            return column.kind
        return "other" if (record, name) in self._others else None

    def nulls(self, record: str, name: str) -> Nulls:
        """Where a field is null."""
        column = self._columns[record, name]
        nulls = (self._floats if column.kind == "f8" else self._integers)[column.table][1]
        return nulls[:, column.place].view(np.bool_)

    def rows(self, record: str) -> int:
        """Number of rows of the table in which a record's fields are."""
        return int(self.offsets(record)[-1]) if self.is_table(record) else len(self.values)

    def is_table(self, record: str) -> bool:
        """Whether it is an array, whose records have rows of their own."""
        return bool(self._tables.get(record, 0))

    def spans(
        self, record: str, name: str
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Nulls]:
        """Of a text field: positions of the first byte, numbers of bytes, where there is null."""
        column = self._columns[record, name]
        values, nulls = self._integers[column.table]
        begin, length = values[:, column.place], values[:, column.place + 1]
        return begin, length, nulls[:, column.place].view(np.bool_)


class Reader:
    """Reads packets of one writer schema as far as some fields of them are wanted.

    Parameters
    ----------
    schema
        The writer's.
    wanted
        See `compile_program`.
    interpreter
        What runs the program.

    Raises
    ------
    UnfitSchema
        A wanted field is of a type that has no column.
    DecodeError
        The schema is corrupt.
    """

    def __init__(
        self,
        schema: Any,
        wanted: Mapping[str, Collection[str]],
        interpreter: backend.Interpreter = backend.CHOSEN,
    ) -> None:
        program = compile_program(schema, wanted, at_once=not interpreter.compiled)
        self._columns = program.columns
        self._others = program.others
        self._tables = {name: number for number, name in enumerate(program.tables)}
        self._widths = program.widths
        self._depth = max(1, program.depth)
        numbers = (program.code, program.steps)
        self._interpreter = interpreter
        self._program = numbers if interpreter.compiled else [one.tolist() for one in numbers]

    def read(self, values: list[bytes], starts: Sequence[int], *, framed: bool) -> Columns:
        """Read a batch.

        Parameters
        ----------
        values
            The packets.
        starts
            Where the record of each begins; of a container, where its header ends.
        framed
            Whether they are containers, without compression.

        Returns
        -------
        Columns
            With the status ``FULL`` of a packet whose history is too long to be read with others,
            or, where it is alone, for a packet.
        """
        number = len(values)
        begins = array("q", starts)
        most = _MOST_ROWS if number == 1 else max(_AT_LEAST, number * _MANY_ROWS)
        rows = max(_AT_FIRST, number * _FEW_ROWS)
        while True:
            room = [number, *(min(rows, most) for _ in self._widths[1:])]
            columns, full = self._run(values, begins, room, framed=framed)
            if not full or rows >= most:
                return columns
            rows *= 8

    def _run(
        self, values: list[bytes], begins: "array[int]", room: Sequence[int], *, framed: bool
    ) -> tuple[Columns, bool]:
        number, tables = len(values), len(self._widths)
        layout = array("q")
        at_f = at_i = 0
        for (floats, integers), rows in zip(self._widths, room, strict=True):
            layout.extend((at_f, at_i, floats, integers, rows))
            at_f += floats * rows
            at_i += integers * rows
        f8, i8 = array("d", [0.0]) * at_f, array("q", [0]) * at_i
        f8n, i8n = bytearray(at_f), bytearray(at_i)
        counts, stack = array("q", [0]) * tables, array("q", [0]) * self._depth
        offsets, status = array("q", [0]) * ((number + 1) * tables), array("q", [0]) * number
        self._interpreter.packets(
            *(*self._program, values, begins, array("q", [0]) * (2 * number), framed, layout),
            *(counts, offsets, status, stack, f8, f8n, i8, i8n),
        )
        found = np.frombuffer(status, np.int64) if number else np.zeros(0, np.int64)
        behind = np.frombuffer(offsets, np.int64).reshape(number + 1, tables)
        # a packet is no better for being read with others
        found[(np.diff(behind[:, 1:], axis=0) > _MOST_ROWS).any(axis=1)] = backend.CODES.FULL
        columns = Columns(
            *(self._columns, self._others, self._tables, values, found),
            behind,
            self._views(f8, f8n, np.float64, layout, 0, counts),
            self._views(i8, i8n, np.int64, layout, 1, counts),
        )
        return columns, tables > 1 and bool((found == backend.CODES.FULL).any())

    def _views(
        self, values: Any, nulls: Any, kind: Any, layout: Any, at: int, counts: Any
    ) -> list[Any]:
        """Each table of one kind of values, and its nulls, in the shape (rows, values of a row)."""
        numbers = np.frombuffer(values, kind) if len(values) else np.zeros(0, kind)
        where = np.frombuffer(nulls, np.uint8) if len(nulls) else np.zeros(0, np.uint8)
        views = []
        for table in range(len(self._widths)):
            begin, width = layout[5 * table + at], layout[5 * table + 2 + at]
            rows = layout[5 * table + 4] if table == 0 else counts[table]
            part = slice(begin, begin + rows * width)
            views.append((numbers[part].reshape(rows, width), where[part].reshape(rows, width)))
        return views


class Walker:
    """Finds where records of one writer schema end.

    Parameters
    ----------
    schema
        The writer's.

    Raises
    ------
    DecodeError
        The schema is corrupt.
    """

    def __init__(self, schema: Any) -> None:
        self._reader = Reader(schema, {})

    def behind(self, data: bytes, at: int) -> int:
        """Position behind the record that begins at one.

        Raises
        ------
        DecodeError
            There is no record of the schema.
        """
        status = int(self._reader.read([data], [at], framed=False).status[0])
        if status < 0:
            raise fault(status)
        return status

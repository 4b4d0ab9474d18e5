"""A writer schema, made into a program for the interpreter.

The program walks a record in the order in which it was written, keeps what is wanted, passes over
the rest, and stops behind the last field that is wanted. What is kept lies in tables: the first has
a row for each packet; each wanted array of records has one, with a row for each of its records.
"""

import json
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal, NamedTuple

import fastavro
from fastavro.schema import SchemaParseException

from ampelstream.codecs.avro.backend import CODES as op  # noqa: N811  (they are many)
from ampelstream.errors import DecodeError

__all__ = ["Column", "Kind", "Program", "UnfitSchema", "compile_program"]

Kind = Literal["f8", "i8", "bool", "text"]
"""What a column holds: floats, integers, truth values, or text (or bytes)."""

_WIDTHS = {"null": 0, "boolean": 1, "float": 4, "double": 8}
_VARINTS = {"int", "long", "enum"}
_SPANS = {"bytes", "string"}
_WANTED: Mapping[str, tuple[Kind, int]] = {
    "float": ("f8", op.F4),
    "double": ("f8", op.F8),
    "int": ("i8", op.INT),
    "long": ("i8", op.INT),
    "boolean": ("bool", op.BOOL),
    "string": ("text", op.TEXT),
}
_DEEPEST = 16
"""Records in records; more is a type that holds itself."""
_LONGEST = 60_000
"""Numbers in a program; those of alerts have some thousand."""
_LARGEST = 1 << 30
"""Size of a fixed type [byte]."""
_STEP = 4
"""Numbers to an instruction."""


class UnfitSchema(Exception):  # noqa: N818  (it is no error of the user's, and goes no further)
    """The schema has something that a program cannot give: read its records with fastavro."""


class Column(NamedTuple):
    """Where the values of a wanted field are.

    Attributes
    ----------
    kind
        What they are.
    table
        Number of the table.
    place
        In its rows; text has the next place, too.
    """

    kind: Kind
    table: int
    place: int


@dataclass(frozen=True, slots=True)
class Program:
    """What the interpreter needs to read records of one schema.

    Attributes
    ----------
    code
        Instructions.
    steps
        Of values that are passed over: for each type how far it goes, by its first byte.
    columns
        By the name of the record that holds the field (empty for the packet itself) and its own;
        without fields that the schema does not have.
    others
        Wanted fields of the packet that the schema has and that are of a type without columns: of
        several types, a record, a date. Decode the record for them.
    tables
        Names of the arrays whose records are kept, behind the packet's empty name.
    widths
        For each table, how many floats and how many integers a row has.
    depth
        How many arrays lie in each other at most.
    """

    code: "array[int]"
    steps: "array[int]"
    columns: Mapping[tuple[str, str], Column]
    others: Collection[tuple[str, str]]
    tables: Sequence[str]
    widths: Sequence[tuple[int, int]]
    depth: int


def compile_program(
    schema: Any, wanted: Mapping[str, Collection[str]], *, at_once: bool = False
) -> Program:
    """Compile a writer schema.

    Parameters
    ----------
    schema
        As parsed from JSON, or by fastavro.
    wanted
        Names of fields to keep: under an empty name those of the packet, under the name of one of
        its records, or arrays of records, those of these. Nothing at all: the program passes over
        a whole record, to see where it ends.
    at_once
        Whether values that are passed over may be so at once, as the plain interpreter does.

    Raises
    ------
    UnfitSchema
        A wanted field of an array's records is of a type without columns.
    DecodeError
        The schema is none, or nothing that a packet may have.
    """
    schema = _parsed(schema)
    compiler = _Compiler(schema, wanted, at_once=at_once)
    compiler.record(schema, "", 0, whole=not wanted)
    compiler.emit(op.END)
    steps = array("i", [step for one in compiler.steps for step in one] or [0])
    code = array("i", compiler.code)
    return Program(
        *(code, steps, compiler.columns, compiler.others, compiler.tables, compiler.widths()),
        compiler.depth,
    )


def _parsed(schema: Any) -> Any:
    """The schema with the full names of its types, wherever they are used."""
    if isinstance(schema, Mapping) and "__fastavro_parsed__" in schema:
        return schema
    try:
        return fastavro.parse_schema(json.loads(json.dumps(schema)))
    except (
        *(SchemaParseException, AttributeError, KeyError, RecursionError, TypeError, ValueError),
    ) as error:
        raise DecodeError(f"the packet's schema is corrupt: {error}") from error


class _Compiler:
    """Writes the instructions of one schema."""

    def __init__(
        self, schema: Any, wanted: Mapping[str, Collection[str]], *, at_once: bool
    ) -> None:
        self.code: list[int] = []
        self.steps: dict[tuple[int, ...], int] = {}
        self.columns: dict[tuple[str, str], Column] = {}
        self.others: set[tuple[str, str]] = set()
        self.tables = [""]
        self.depth = 0
        self._nested = 0
        self._wanted = wanted
        self._names: dict[str, Any] = {}
        self._widths = [[0, 0]]
        self._at_once = at_once
        self._passed: list[_Passed] = []
        self._records = 0
        self._empty: dict[int, bool] = {}
        _learn(schema, self._names)

    def widths(self) -> list[tuple[int, int]]:
        return [(floats, integers) for floats, integers in self._widths]

    # --- instructions ---------------------------------------------------------------------------

    def emit(self, what: int, a: int = 0, b: int = 0, c: int = 0) -> int:
        """Append an instruction; gives where it stands."""
        at = self._here()
        self.code += (what, a, b, c)
        return at

    def _follow(self, numbers: Sequence[int]) -> int:
        """Append operands that an instruction has in any number, padded; gives where they stand."""
        at = len(self.code)
        self.code += (*numbers, *(0,) * (-len(numbers) % _STEP))
        return at

    def _here(self) -> int:
        """Where the next instruction will stand; what is passed over before it is written."""
        passed, self._passed = self._passed, []
        if len(passed) > 1 and self._at_once:
            begin = len(self.code)
            self.code += (op.PASS, len(passed), 0, 0)
            self._follow(
                [256 * self.steps.setdefault(one.steps, len(self.steps)) for one in passed]
            )
            self._one_by_one(passed)
            self.code[begin + 2] = len(self.code)
        else:
            self._one_by_one(passed)
        return len(self.code)

    def _one_by_one(self, passed: Sequence["_Passed"]) -> None:
        for (what, null, width), alike in groupby(passed, lambda one: one.how):
            number = len(list(alike))
            if what == op.RUN:
                self.code += (what, null, width, number)
            elif what == op.FIXED:
                self.code += (what, null, width * number, 0)
            else:
                self.code += (what, null, width, 0) * number

    # --- schemas --------------------------------------------------------------------------------

    def _resolved(self, schema: Any) -> tuple[str, Any]:
        """Kind of a type (``union``, ``record``, ``int``, ...), and where it is defined."""
        for _ in range(_DEEPEST):
            if isinstance(schema, list):
                return "union", schema
            if isinstance(schema, Mapping) and "type" in schema:
                if isinstance(schema["type"], str) and schema["type"] not in self._names:
                    return schema["type"], schema
                schema = schema["type"]
            elif isinstance(schema, str) and schema in self._names:
                schema = self._names[schema]
            elif isinstance(schema, str) and schema in _WIDTHS.keys() | _VARINTS | _SPANS:
                return schema, schema
            else:
                break
        raise DecodeError(f"the schema uses type {schema!r:.80}, which it does not define")

    def record(self, schema: Any, name: str, depth: int, *, whole: bool) -> None:
        """Fields of a record; ``whole``: up to its end, even if nothing more is wanted."""
        if depth > _DEEPEST:
            raise DecodeError("the schema has a record that holds itself")
        self._records += 1
        if max(self._records, len(self.code) + len(self._passed)) > _LONGEST:
            # named types may be used again and again
            raise DecodeError("the schema is larger than that of any alert")
        fields = self._resolved(schema)[1]["fields"]
        if not whole:
            asked = [n for n, one in enumerate(fields) if self._asked(name, one["name"], depth)]
            fields = fields[: max(asked, default=-1) + 1]
        for number, one in enumerate(fields):
            last = not whole and number == len(fields) - 1
            inner = one["name"] if not depth and one["name"] in self._wanted else None
            wanted = (name, one["name"]) if self._asked(name, one["name"], 1) else None
            if wanted is not None and self._kind(one["type"]) is None:
                if name in self.tables[1:]:
                    raise UnfitSchema(f"{one['name']} of {name} has no column")
                self.others.add(wanted)
                wanted = None
            self._value(one["type"], wanted, inner, depth, whole=not last)

    def _kind(self, schema: Any) -> Kind | None:
        """Kind of the column that a field may have; None where it has none."""
        kind, schema = self._resolved(schema)
        if kind == "union":
            kinds = {self._kind(one) for one in schema if one != "null"}
            return kinds.pop() if len(kinds) == 1 else None
        dated = isinstance(schema, Mapping) and "logicalType" in schema
        return None if dated or kind not in _WANTED else _WANTED[kind][0]

    def _asked(self, record: str | None, field: str, depth: int) -> bool:
        inside = record is not None and field in self._wanted.get(record, ())
        return inside or (not depth and field in self._wanted)

    def _value(
        self,
        schema: Any,
        wanted: tuple[str, str] | None,
        inner: str | None,
        depth: int,
        *,
        whole: bool = True,
    ) -> None:
        """One value: of a wanted field, or of a record (or array of them) with wanted fields."""
        kind, schema = self._resolved(schema)
        if kind == "union":
            self._union(schema, wanted, inner, depth)
        elif kind in {"record", "error"}:
            self.record(schema, inner or "\0", depth + 1, whole=whole)
        elif kind in {"array", "map"}:
            self._array(schema, kind, inner, depth)
        else:
            self._plain(kind, schema, wanted, None)

    def _plain(
        self, kind: str, schema: Any, wanted: tuple[str, str] | None, null: int | None
    ) -> None:
        """A primitive; ``null``: byte of the null branch of the union that it stands in."""
        opt, branch = (0, 0) if null is None else (op.OPT, null)
        if wanted is not None:
            column_kind, what = _WANTED[kind]
            self.emit(what + opt, branch, self._column(wanted, column_kind).place)
            return
        passed = _passed(kind, schema, null)
        if passed.how != (op.FIXED, 0, 0):
            self._passed.append(passed)

    def _column(self, wanted: tuple[str, str], kind: Kind) -> Column:
        """Column of a field, which several branches of a union may fill."""
        if wanted in self.columns:
            return self.columns[wanted]
        table = self.tables.index(wanted[0]) if wanted[0] in self.tables else 0
        integer = int(kind != "f8")
        place = self._widths[table][integer]
        self._widths[table][integer] += 2 if kind == "text" else 1
        self.columns[wanted] = Column(kind, table, place)
        return self.columns[wanted]

    # --- unions, arrays -------------------------------------------------------------------------

    def _union(
        self, branches: Sequence[Any], wanted: tuple[str, str] | None, inner: str | None, depth: int
    ) -> None:
        kinds = [self._resolved(branch) for branch in branches]
        names = [kind for kind, _ in kinds]
        if inner is not None and len(names) - names.count("null") > 1:
            raise UnfitSchema(f"{inner} may be of several types")
        if len(branches) == 2 and "null" in names:  # noqa: PLR2004  (null and another)
            at = names.index("null")
            kind, schema = kinds[1 - at]
            if kind not in {"record", "error", "array", "map", "union", "null"}:
                self._plain(kind, schema, wanted, 2 * at)
                return
        places = self._branches(
            len(branches),
            # null comes last: what it leaves unset is known when the others have been compiled
            sorted(range(len(branches)), key=lambda n: names[n] == "null"),
            lambda n: (
                self._nothing(wanted, inner)
                if names[n] == "null"
                else self._value(branches[n], wanted, inner, depth)
            ),
        )
        for jump in places:
            self.code[jump + 1] = self._here()

    def _branches(
        self, number: int, order: Iterable[int], handle: Callable[[int], None]
    ) -> list[int]:
        """A union, and how each branch is handled; the jumps that lead out of it."""
        self.emit(op.UNION, number)
        table = self._follow([0] * number)
        leave = []
        for n in order:
            self.code[table + n] = self._here()
            handle(n)
            leave.append(self.emit(op.JUMP))
        return leave

    def _nothing(self, wanted: tuple[str, str] | None, inner: str | None) -> None:
        """What is null where a field is, or the record that holds it."""
        for name, column in self.columns.items():
            if name == wanted or (inner is not None and name[0] == inner and not column.table):
                self.emit(op.NULL_F if column.kind == "f8" else op.NULL_I, 0, column.place)
                if column.kind == "text":
                    self.emit(op.NULL_I, 0, column.place + 1)

    def _array(self, schema: Any, kind: str, inner: str | None, depth: int) -> None:
        items = schema["items" if kind == "array" else "values"]
        if kind == "array" and self._is_empty(items, depth):
            raise DecodeError("the schema has an array of items of no size")
        table = self._table(inner) if inner is not None and self._wanted[inner] else 0
        self._nested += 1
        self.depth = max(self.depth, self._nested)
        begin = self.emit(op.ARRAY, 0, 0, table)
        first = self._here()
        if kind == "map":
            self._passed.append(_passed("string", "string", None))
        if table and inner is not None:
            ends = self._rows(items, inner, depth, table)
        else:
            self._value(items, None, None, depth + 1)
            ends = [self.emit(op.NEXT)]
        self._nested -= 1
        behind = self._here()
        for one in (begin, *ends):
            self.code[one + 1 : one + 3] = [first, behind]

    def _table(self, inner: str) -> int:
        """Number of the table of an array whose records are kept."""
        if inner not in self.tables:
            self.tables.append(inner)
            self._widths.append([0, 0])
        return self.tables.index(inner)

    def _rows(self, items: Any, inner: str, depth: int, table: int) -> list[int]:
        """Items that are kept; those that are null (Spark makes them so) give no row.

        Gives where the instructions stand that go on to the next item.
        """
        kind, schema = self._resolved(items)
        if kind == "record":
            self.record(schema, inner, depth + 1, whole=True)
            return [self.emit(op.NEXT, 0, 0, table)]
        branches = schema if kind == "union" else [schema]
        names = [self._resolved(branch)[0] for branch in branches]
        if sorted(names) != ["null", "record"]:
            raise UnfitSchema(f"{inner} holds something else than records of one kind")
        at = names.index("record")
        self.emit(op.UNION, 2)
        places = self._follow([0, 0])
        self.code[places + at] = self._here()
        ends = self._rows(branches[at], inner, depth, table)
        self.code[places + 1 - at] = self._here()
        return [*ends, self.emit(op.OMIT, 0, 0, table)]

    def _is_empty(self, schema: Any, depth: int) -> bool:
        """Whether a value may take no byte at all."""
        if depth > _DEEPEST:
            raise DecodeError("the schema has a record that holds itself")
        kind, schema = self._resolved(schema)
        if kind == "fixed":
            return _size(schema) < 1
        if kind not in {"record", "error"}:
            return kind == "null"
        if id(schema) not in self._empty:
            inside = (self._is_empty(one["type"], depth + 1) for one in schema["fields"])
            self._empty[id(schema)] = all(inside)
        return self._empty[id(schema)]


class _Passed(NamedTuple):
    """How a value is passed over.

    Attributes
    ----------
    how
        The instruction, and its first operands.
    steps
        How far it goes, by its first byte.
    """

    how: tuple[int, int, int]
    steps: tuple[int, ...]


def _size(schema: Mapping[str, Any]) -> int:
    """Size of a fixed type [byte]; it moves us in the packet, and a schema may say anything."""
    size = schema.get("size")
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= _LARGEST:
        raise DecodeError(f"the schema has a fixed type of {size!r:.40} bytes")
    return size


def _passed(kind: str, schema: Any, null: int | None) -> _Passed:
    """How a primitive is passed over, alone or in a union with null, which then has that byte."""
    if kind in _VARINTS:
        what, width, alone, behind = op.VARINT, 0, op.A_NUMBER, op.BRANCH_NUMBER
    elif kind in _SPANS:
        what, width, alone, behind = op.SPAN, 0, op.SOME_BYTES, op.BRANCH_BYTES
    elif kind in _WIDTHS or kind == "fixed":
        width = _size(schema) if kind == "fixed" else _WIDTHS[kind]
        what, alone, behind = op.FIXED, width, width + 1
    else:
        raise DecodeError(f"the schema has a type {kind!r:.80}, which Avro does not have")
    if null is None:
        return _Passed((what, 0, width), (alone,) * 256)
    steps = [op.NO_BRANCH] * 256
    steps[null], steps[2 - null] = 1, behind
    union = op.RUN if what == op.FIXED else what + op.OPT
    return _Passed((union, null, width), tuple(steps))


def _learn(schema: Any, names: dict[str, Any]) -> None:
    """Remember the named types of a schema, by their full names."""
    if isinstance(schema, list):
        for one in schema:
            _learn(one, names)
    if isinstance(schema, Mapping):
        if schema.get("type") in {"record", "error", "fixed", "enum"}:
            names[schema["name"]] = schema
        for one in _inside(schema):
            _learn(one, names)


def _inside(schema: Mapping[str, Any]) -> Iterator[Any]:
    """Types that a type is made of."""
    yield from (one["type"] for one in schema.get("fields", ()))
    yield from (schema[part] for part in ("items", "values") if part in schema)
    if not isinstance(schema.get("type"), str):
        yield schema.get("type")

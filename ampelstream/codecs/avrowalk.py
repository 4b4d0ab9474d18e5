"""Walking over the values of an Avro packet without making Python objects of them.

A schema is compiled once into functions that only move a position forward. Runs of primitive and
nullable primitive fields, which make up nearly all of a ZTF packet, become one loop over small
tables: the first byte of a field looks up how far to go, or that a varint or a string follows. That
is five times quicker than a function call for each field, and is why the filter can afford to ask
every alert for its history.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ampelstream.errors import DecodeError

__all__ = ["MAX_VARINT", "Names", "Skip", "compile_skip", "read_long", "skip_run", "span"]

MAX_VARINT = 10
"""Bytes in the longest zig-zag varint of 64 bits."""

Names = dict[str, Any]
"""Named types that the schema has defined, by full and by short name."""

Skip = Callable[[bytes, int], int]
"""Given the data and a position, gives the position behind the value that begins there."""

_WIDTHS = {"null": 0, "boolean": 1, "float": 4, "double": 8}
_VARINTS = {"int", "long"}
_SPANS = {"bytes", "string"}
_BRANCH_VARINT, _BRANCH_SPAN, _VARINT, _SPAN, _BAD = -1, -2, -3, -4, -5
"""What follows instead of a fixed width: behind a union's branch, or at once; or nothing valid."""


def read_long(data: bytes, at: int) -> tuple[int, int]:
    """Value of a zig-zag varint, and the position behind it.

    Raises
    ------
    DecodeError
        The data ends inside it, or it is longer than 64 bits.
    """
    shift = value = 0
    for _ in range(MAX_VARINT):
        try:
            byte = data[at]
        except IndexError:
            raise DecodeError("the packet ends inside a number") from None
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004  (the continuation bit of a varint)
            return (value >> 1) ^ -(value & 1), at
        shift += 7
    raise DecodeError("a number in the packet is longer than 64 bits")


def span(data: bytes, at: int) -> tuple[int, int]:
    """Begin and end of a length-prefixed value (bytes, string).

    Raises
    ------
    DecodeError
        The length is negative or reaches behind the data.
    """
    length, at = read_long(data, at)
    if length < 0 or at + length > len(data):
        raise DecodeError(f"a value of {length} bytes does not fit into the packet")
    return at, at + length


def _skip_long(data: bytes, at: int) -> int:
    return read_long(data, at)[1]


def _skip_span(data: bytes, at: int) -> int:
    return span(data, at)[1]


def _fixed(width: int) -> Skip:
    def skip(data: bytes, at: int) -> int:
        if at + width > len(data):
            raise DecodeError("the packet ends inside a value")
        return at + width

    return skip


def _union(branches: Sequence[Skip]) -> Skip:
    def skip(data: bytes, at: int) -> int:
        branch, at = read_long(data, at)
        if not 0 <= branch < len(branches):
            raise DecodeError(f"branch {branch} of a union with {len(branches)} branches")
        return branches[branch](data, at)

    return skip


def _blocks(item: Skip, *, keyed: bool) -> Skip:
    """Arrays, and maps where ``keyed``."""

    def skip(data: bytes, at: int) -> int:
        room = len(data) - at  # items may be of no size, and their number without end
        while True:
            count, at = read_long(data, at)
            if count == 0:
                return at
            if count < 0:  # a block that names its size in bytes
                at = _skip_span(data, at)
                continue
            room -= count
            if room < 0:
                raise DecodeError(f"an array of {count} items does not fit into the packet")
            for _ in range(count):
                if keyed:
                    at = _skip_span(data, at)
                at = item(data, at)

    return skip


def _table(schema: Any) -> Sequence[int] | None:
    """Steps by first byte for a primitive or a union of primitives; None for anything else."""
    if isinstance(schema, str):
        if schema in _WIDTHS and schema != "null":
            return (_WIDTHS[schema],) * 256
        if schema in _VARINTS:
            return (_VARINT,) * 256
        return (_SPAN,) * 256 if schema in _SPANS else None
    if not isinstance(schema, list) or len(schema) > 64:  # noqa: PLR2004  (one-byte branches)
        return None
    steps: list[int] = []
    for branch in schema:
        if not isinstance(branch, str):
            return None
        if branch in _WIDTHS:
            step = 1 + _WIDTHS[branch]
        elif branch in _VARINTS:
            step = _BRANCH_VARINT
        elif branch in _SPANS:
            step = _BRANCH_SPAN
        else:
            return None
        steps.extend((step, _BAD))  # zig-zag: branch n is byte 2n
    return (*steps, *(_BAD,) * (256 - len(steps)))


def skip_run(schemas: Sequence[Any], names: Names) -> Skip:
    """Skip several values in a row."""
    parts: list[Skip] = []
    run: list[Sequence[int]] = []
    for schema in schemas:
        table = _table(schema)
        if table is not None:
            run.append(table)
            continue
        if run:
            parts.append(_tables(tuple(run)))
            run = []
        parts.append(compile_skip(schema, names))
    if run:
        parts.append(_tables(tuple(run)))
    if len(parts) == 1:
        return parts[0]
    steps = tuple(parts)

    def skip(data: bytes, at: int) -> int:
        for step in steps:
            at = step(data, at)
        return at

    return skip


def _tables(tables: tuple[Sequence[int], ...]) -> Skip:
    def skip(data: bytes, at: int) -> int:
        try:
            for table in tables:
                step = table[data[at]]
                if step > 0:
                    at += step
                elif step == _BRANCH_VARINT or step == _VARINT:  # noqa: PLR1714, SIM109  (twice as quick)
                    if step == _BRANCH_VARINT:
                        at += 1
                    while data[at] > 127:  # noqa: PLR2004  (the continuation bit)
                        at += 1
                    at += 1
                elif step == _BAD:
                    raise DecodeError("the packet is corrupt: no such branch of a union")
                else:
                    if step == _BRANCH_SPAN:
                        at += 1
                    length = data[at]
                    if length & 0x81:  # negative, or a length of more than one byte
                        at = span(data, at)[1]
                    else:
                        at += 1 + (length >> 1)
        except IndexError:
            raise DecodeError("the packet ends inside a value") from None
        if at > len(data):
            raise DecodeError("the packet ends inside a value")
        return at

    return skip


def compile_skip(schema: Any, names: Names) -> Skip:
    """Compile a schema into a function that skips one value of it.

    Parameters
    ----------
    schema
        As parsed from JSON.
    names
        Named types seen so far; what this schema defines is added.

    Raises
    ------
    DecodeError
        The schema is not one.
    """
    if isinstance(schema, list):
        return _union([compile_skip(branch, names) for branch in schema])
    if isinstance(schema, str):
        if schema in _WIDTHS:
            return _fixed(_WIDTHS[schema])
        if schema in {"int", "long"}:
            return _skip_long
        if schema in {"bytes", "string"}:
            return _skip_span
        if schema in names:
            return compile_skip(names[schema], {**names, schema: "null"})
        raise DecodeError(f"the schema uses type {schema!r}, which it does not define")
    if not isinstance(schema, Mapping) or "type" not in schema:
        raise DecodeError("the packet's schema is corrupt")
    return _compile_complex(schema, names)


def _compile_complex(schema: Mapping[str, Any], names: Names) -> Skip:
    kind = schema["type"]
    if kind in {"record", "fixed", "enum"}:
        name = str(schema.get("name"))
        names[name] = names[name.rsplit(".", 1)[-1]] = schema
        if "namespace" in schema:
            names[f"{schema['namespace']}.{name}"] = schema
    if kind == "record":
        return skip_run([field["type"] for field in schema["fields"]], names)
    if kind == "fixed":
        return _fixed(int(schema["size"]))
    if kind == "enum":
        return _skip_long
    if kind == "array":
        return _blocks(compile_skip(schema["items"], names), keyed=False)
    if kind == "map":
        return _blocks(compile_skip(schema["values"], names), keyed=True)
    return compile_skip(kind, names)

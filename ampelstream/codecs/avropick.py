"""Reading some fields of a record, or of each record of a history, and walking over the rest.

Of the 55 fields of an entry in a ZTF history the filter asks for two, a light curve for 15. Making
Python objects of all of them is what full decoding spends its time on.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ampelstream.codecs.avrowalk import Names, Skip, compile_skip, read_long, skip_run, span
from ampelstream.errors import DecodeError

__all__ = ["Entries", "Pick", "compile_entries", "compile_pick"]

Pick = Callable[[bytes, int], tuple[dict[str, Any], int]]
"""Given the data and a position, gives the picked fields and the position behind the record."""

Entries = Callable[[bytes, int], list[dict[str, Any]]]
"""Given the packet's body and the position of the array, gives the picked fields of its records."""

_MANY_ENTRIES = 100_000
"""A history has some thousand; entries may be of no size, and then any number fits."""

_Read = Callable[[bytes, int], tuple[Any, int]]
_FORMATS = {"float": struct.Struct("<f"), "double": struct.Struct("<d")}


def _read_text(data: bytes, at: int) -> tuple[str, int]:
    begin, end = span(data, at)
    return data[begin:end].decode(), end


def _fixed(kind: str) -> _Read:
    unpack, width = _FORMATS[kind].unpack_from, _FORMATS[kind].size
    return lambda data, at: (unpack(data, at)[0], at + width)


def _plain(kind: Any) -> _Read | None:
    """Reader of a primitive that a light curve may hold; None for other kinds."""
    if kind in ("float", "double"):
        return _fixed(kind)
    if kind in ("int", "long"):
        return read_long
    return _read_text if kind == "string" else None


def _nullable(read: _Read, null: int) -> _Read:
    """Reader of a union of null and one other branch."""
    filled = 2 - null  # zig-zag: the branches 0 and 1 are the bytes 0 and 2

    def reader(data: bytes, at: int) -> tuple[Any, int]:
        branch = data[at]
        if branch == null:
            return None, at + 1
        if branch != filled:
            raise DecodeError("the packet is corrupt: no such branch of a union")
        return read(data, at + 1)

    return reader


def _reader(schema: Any) -> _Read | None:
    """Reader of a field, or None where its type is not one that can be picked."""
    if not isinstance(schema, list):
        return _plain(schema) if isinstance(schema, str) else None
    if len(schema) != 2 or "null" not in schema:  # noqa: PLR2004  (null and one other)
        return None
    at = schema.index("null")
    read = _plain(schema[1 - at])
    return None if read is None else _nullable(read, 2 * at)


def compile_pick(
    fields: Sequence[Mapping[str, Any]], wanted: frozenset[str], names: Names
) -> Pick | None:
    """Compile a record's fields.

    Parameters
    ----------
    fields
        Of the record's schema.
    wanted
        Names of the fields to read; those that the record lacks are left out.
    names
        Named types that the schema has defined.

    Returns
    -------
    Pick or None
        None where a wanted field has a type that cannot be picked: decode the record whole.
    """
    steps: list[tuple[Skip | None, str, _Read]] = []
    passed: list[Any] = []
    for field in fields:
        if field["name"] not in wanted:
            passed.append(field["type"])
            continue
        read = _reader(field["type"])
        if read is None:
            return None
        steps.append((skip_run(passed, names) if passed else None, field["name"], read))
        passed = []
    rest = skip_run(passed, names) if passed else None

    def pick(data: bytes, at: int) -> tuple[dict[str, Any], int]:
        found: dict[str, Any] = {}
        try:
            for skip, name, read in steps:
                if skip is not None:
                    at = skip(data, at)
                found[name], at = read(data, at)
        except (IndexError, struct.error):
            raise DecodeError("the packet ends inside a value") from None
        except UnicodeDecodeError as error:
            raise DecodeError(f"the packet holds text that is none: {error}") from error
        return found, at if rest is None else rest(data, at)

    return pick


def _array(field: str, schema: Any) -> tuple[int, Any]:
    """(branch of the array in its union or -1, schema of its items)."""
    branch = -1
    if isinstance(schema, list):
        arrays = [n for n, one in enumerate(schema) if isinstance(one, Mapping)]
        if len(arrays) != 1:
            raise DecodeError(f"{field} is not an array")
        branch = arrays[0]
        schema = schema[branch]
    if not isinstance(schema, Mapping) or "items" not in schema:
        raise DecodeError(f"{field} is not an array")
    return branch, schema["items"]


def _record(field: str, items: Any, names: Names) -> tuple[int, Mapping[str, Any]]:
    """(branch of the record in a union that Spark made of the items or -1, its schema)."""
    branch = -1
    if isinstance(items, list):
        records = [n for n, one in enumerate(items) if one != "null"]
        if len(records) != 1:
            raise DecodeError(f"{field} holds something else than records")
        branch = records[0]
        items = items[branch]
    if isinstance(items, str):
        items = names.get(items)
    if not isinstance(items, Mapping) or "fields" not in items:
        raise DecodeError(f"{field} holds something else than records")
    return branch, items


def compile_entries(
    field: str, schema: Any, wanted: frozenset[str], names: Names
) -> Entries | None:
    """Compile the schema of a history.

    Parameters
    ----------
    field
        Its name, for what is said of it.
    schema
        Of the field.
    wanted
        Names of the fields to pick from each record.
    names
        Named types that the schema defined before it.

    Returns
    -------
    Entries or None
        None where a wanted field has a type that cannot be picked.

    Raises
    ------
    DecodeError
        It is not an array of records.
    """
    branch, items = _array(field, schema)
    compile_skip(schema, names)
    filled, record = _record(field, items, names)
    pick = compile_pick(record["fields"], wanted, names)
    return None if pick is None else _walk(pick, branch, filled)


def _walk(pick: Pick, branch: int, filled: int) -> Entries:
    def entries(data: bytes, at: int) -> list[dict[str, Any]]:
        if branch >= 0:
            chosen, at = read_long(data, at)
            if chosen != branch:
                return []
        found: list[dict[str, Any]] = []
        number = 0
        while True:
            count, at = read_long(data, at)
            if count == 0:
                return found
            if count < 0:
                count = -count
                _, at = read_long(data, at)
            number += count
            if number > _MANY_ENTRIES or count > len(data) - at:
                raise DecodeError(f"a history of {number} entries does not fit into a packet")
            for _ in range(count):
                if filled >= 0:
                    some, at = read_long(data, at)
                    if some != filled:
                        continue
                fields, at = pick(data, at)
                found.append(fields)

    return entries

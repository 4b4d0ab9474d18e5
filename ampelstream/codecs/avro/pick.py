"""Reading some fields of a record and walking over the rest.

Of the 55 fields of an entry in a ZTF history a light curve needs 15. Making Python objects of all
of them is what full decoding spends its time on.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ampelstream.codecs.avro.binary import Skip, read_long, span
from ampelstream.codecs.avro.skip import Names, skip_run
from ampelstream.errors import DecodeError

__all__ = ["Pick", "compile_pick"]

Pick = Callable[[bytes, int], tuple[dict[str, Any], int]]
"""Given the data and a position, gives the picked fields and the position behind the record."""

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

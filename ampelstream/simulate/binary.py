"""Avro's binary encoding of plain data, compiled from a schema.

Only what the packets need: records, arrays, primitives, and unions of null and one other type.
fastavro tries each branch of a union on each value, which for ZTF's schema (a thousand optional
numbers in a packet) takes several times as long. Source: Avro specification 1.11, "Encodings".
"""

import struct
from collections.abc import Callable
from typing import Any

__all__ = ["Encode", "compiled", "encode_long"]

Encode = Callable[[Any], bytes]
"""Gives the encoding of a value."""

_ABSENT, _PRESENT = b"\x00", b"\x02"  # branches 0 and 1 of a union


def encode_long(number: int) -> bytes:
    """Encode an integer of up to 64 bits: zigzag, then 7 bits a byte, lowest first."""
    rest = number << 1 ^ number >> 63
    if rest <= 0x7F:  # noqa: PLR2004  (seven bits)
        return bytes((rest,))
    parts = bytearray()
    while rest > 0x7F:  # noqa: PLR2004  (seven bits)
        parts.append(rest & 0x7F | 0x80)
        rest >>= 7
    parts.append(rest)
    return bytes(parts)


def _bytes(value: bytes) -> bytes:
    return encode_long(len(value)) + value


_PRIMITIVES: dict[str, Encode] = {
    "double": struct.Struct("<d").pack,
    "float": struct.Struct("<f").pack,
    "int": encode_long,
    "long": encode_long,
    "bytes": _bytes,
    "string": lambda value: _bytes(value.encode()),
}


def compiled(schema: Any, named: dict[str, Encode] | None = None) -> Encode:
    """Compile the encoder of a schema.

    Parameters
    ----------
    schema
        Schema as plain data.
    named
        Encoders of the records met so far, by full name; a record may be named again instead of
        being written out.

    Raises
    ------
    KeyError
        The schema names a type that it has not defined.
    """
    known = {} if named is None else named
    if isinstance(schema, str):
        return _PRIMITIVES[schema] if schema in _PRIMITIVES else known[schema]
    if isinstance(schema, list):
        return _optional(compiled(schema[1], known))
    if schema["type"] == "array":
        return _array(compiled(schema["items"], known))
    fields = [(field["name"], compiled(field["type"], known)) for field in schema["fields"]]
    known[schema["name"]] = made = _record(fields)
    return made


def _optional(encode: Encode) -> Encode:
    return lambda value: _ABSENT if value is None else _PRESENT + encode(value)


def _array(encode: Encode) -> Encode:
    def array(values: list[Any]) -> bytes:
        if not values:
            return b"\x00"
        return b"".join((encode_long(len(values)), *map(encode, values), b"\x00"))

    return array


def _record(fields: list[tuple[str, Encode]]) -> Encode:
    return lambda record: b"".join([encode(record[name]) for name, encode in fields])

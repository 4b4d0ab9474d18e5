"""Writing records of our own schemas in Avro: what fastavro writes, byte for byte, in less time.

fastavro looks at every value of a union anew, which is a light curve's time several times over.
Here a schema becomes, once, a function. A record of plain values only (a datapoint) is written by
what its values are: for each combination of types that occurs, an expression of `struct` formats
with the
branches of the unions in them.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["Write", "long", "writer"]

Write = Callable[[Any], bytes]
"""A value of a schema to its bytes; a record is a sequence of its values, in order."""

_GROUP = 1 << 7
_TWO_GROUPS = 1 << 14
_MORE = tuple(bytes((n & 127 | 128, n >> 7 | 128)) for n in range(_TWO_GROUPS))
"""Two groups of seven bits behind which others follow."""
_LAST = tuple(
    bytes((n,)) if n < _GROUP else bytes((n & 127 | 128, n >> 7)) for n in range(_TWO_GROUPS)
)
"""The last group or two."""
_LIMITS = {"int": 1 << 31, "long": 1 << 63}
_FIXED = {"double": "d", "boolean": "?"}
_NULL, _VALUE = b"\x00", b"\x02"
"""Branches of a union of null and something."""


def long(number: int) -> bytes:
    """An integer, in groups of seven bits, small ones of either sign first.

    Raises
    ------
    OverflowError
        It takes more than 64 bits.
    """
    rest = number << 1 if number >= 0 else ~(number << 1)
    if rest < _TWO_GROUPS:
        return _LAST[rest]
    if rest >> 64:
        raise OverflowError(f"{number} takes more than 64 bits")
    out = b""
    while rest >= _TWO_GROUPS:
        out += _MORE[rest & 16383]
        rest >>= 14
    return out + _LAST[rest]


def _int(number: int) -> bytes:
    """An integer of 32 bits."""
    if 0 <= number < _GROUP:
        return _LAST[number << 1]
    if not -_LIMITS["int"] <= number < _LIMITS["int"]:
        raise OverflowError(f"{number} takes more than 32 bits")
    return long(number)


def _string(text: str) -> bytes:
    data = text.encode()
    return long(len(data)) + data


def _bytes(data: bytes) -> bytes:
    return long(len(data)) + data


_INTEGERS: Mapping[str, Callable[[int], bytes]] = {"int": _int, "long": long}
_PLAIN: Mapping[str, Write] = {
    **_INTEGERS,
    "string": _string,
    "bytes": _bytes,
    "double": struct.Struct("<d").pack,
    "boolean": struct.Struct("<?").pack,
}


def writer(schema: Any) -> Write:
    """Give the function that writes a schema.

    Parameters
    ----------
    schema
        As in its file: records, arrays, unions of null and something, and plain types.

    Raises
    ------
    ValueError
        It holds something else.
    """
    return _writer(schema, {})


def _writer(schema: Any, named: dict[str, Write]) -> Write:
    kind = schema if isinstance(schema, str) else isinstance(schema, dict) and schema["type"]
    if kind == "array":
        return _array(_writer(schema["items"], named))
    if kind == "record":
        fields = [field["type"] for field in schema["fields"]]
        named[schema["name"]] = write = _values(fields) or _record(
            [_writer(one, named) for one in fields]
        )
        return write
    if isinstance(schema, list) and len(schema) == 2 and schema[0] == "null":  # noqa: PLR2004  (null and something)
        return _union(_writer(schema[1], named))
    found = named.get(str(kind)) or _PLAIN.get(str(kind))
    if found is None:
        raise ValueError(f"no writer for the schema {schema}")
    return found


def _array(write: Write) -> Write:
    def array(values: Sequence[Any]) -> bytes:
        if not values:
            return _NULL
        return b"".join([long(len(values)), *map(write, values), _NULL])

    return array


def _union(write: Write) -> Write:
    def union(value: Any) -> bytes:
        return _NULL if value is None else _VALUE + write(value)

    return union


def _record(writers: Sequence[Write]) -> Write:
    def record(values: Sequence[Any]) -> bytes:
        return b"".join([write(one) for write, one in zip(writers, values, strict=True)])

    return record


# --- records of plain values --------------------------------------------------------------------


def _values(types: Sequence[Any]) -> Write | None:
    """Write a record of numbers, truth values and nulls; None where it holds something else."""
    fields = [(one, False) if isinstance(one, str) else _nullable(one) for one in types]
    if any(kind not in _FIXED and kind not in _INTEGERS for kind, _ in fields):
        return None
    plans: dict[tuple[type, ...], Callable[..., bytes]] = {}

    def values(given: Sequence[Any]) -> bytes:
        kinds = tuple(map(type, given))
        plan = plans.get(kinds)
        if plan is None:
            plan = plans[kinds] = _plan(fields, [one is None for one in given])
        return plan(*given)

    return values


def _nullable(schema: Any) -> tuple[str, bool]:
    if isinstance(schema, list) and len(schema) == 2 and schema[0] == "null":  # noqa: PLR2004  (null and something)
        return str(schema[1]), True
    return "", False


def _plan(fields: Sequence[tuple[str, bool]], missing: Sequence[bool]) -> Callable[..., bytes]:
    """Make the function that writes a record of which these values are null.

    It is one expression: going through a list of steps for each value takes twice the time.
    """
    parts: list[str] = []
    names: dict[str, Any] = dict(_INTEGERS)
    layout, taken = "<", list[str]()

    def close() -> None:
        nonlocal layout, taken
        if len(layout) > 1:
            name = f"pack{len(parts)}"
            names[name] = struct.Struct(layout).pack
            parts.append(f"{name}({', '.join(taken)})")
        layout, taken = "<", []

    for at, ((kind, nullable), absent) in enumerate(zip(fields, missing, strict=True)):
        if nullable:
            layout += "B"
            taken.append(str(0 if absent else _VALUE[0]))
            if absent:
                continue
        if kind in _FIXED:
            layout += _FIXED[kind]
            taken.append(f"v{at}")
        else:
            close()
            parts.append(f"{kind}(v{at})")
    close()
    arguments = ", ".join(f"v{at}" for at in range(len(fields)))
    text = f"lambda {arguments}: join(({', '.join(parts)},))"
    made: Callable[..., bytes] = eval(text, {"join": b"".join, **names})  # noqa: S307  (made above, of numbers and our own names)
    return made

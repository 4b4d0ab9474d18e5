"""Times of the earlier detections of a packet, read without decoding the rest of its history.

The filter asks nearly every alert for them: an entry of the history has some 55 fields, of which
two matter (``jd``, and whether there is a ``candid``).
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ampelstream.codecs.avro.binary import Skip, read_long
from ampelstream.codecs.avro.skip import Names, compile_skip, skip_run
from ampelstream.errors import DecodeError

__all__ = ["Epochs", "compile_epochs"]

Epochs = Callable[[bytes, int], list[float]]
"""Given the packet's body and the position of its history, gives Julian dates [d]."""

_double = struct.Struct("<d")


def _record(schema: Any, names: Names) -> tuple[int, Mapping[str, Any]]:
    """(branch of the array in its union or -1, schema of the array's records)."""
    branch = -1
    if isinstance(schema, list):
        arrays = [n for n, one in enumerate(schema) if isinstance(one, Mapping)]
        if len(arrays) != 1:
            raise DecodeError("prv_candidates is not an array")
        branch = arrays[0]
        schema = schema[branch]
    items = schema["items"] if isinstance(schema, Mapping) and "items" in schema else None
    if isinstance(items, list):  # Spark makes the items nullable, too
        records = [one for one in items if isinstance(one, Mapping) or one in names]
        items = {"nullable": items, "record": records[0]} if len(records) == 1 else None
    if isinstance(items, str):
        items = names.get(items)
    if not isinstance(items, Mapping):
        raise DecodeError("prv_candidates is not an array of records")
    return branch, items


def _time(schema: Any) -> Callable[[bytes, int], tuple[float | None, int]]:
    """Reader of jd: a double, or a nullable one."""
    nullable = isinstance(schema, list)
    filled = schema.index("double") if nullable else -1
    if not nullable and schema != "double":
        raise DecodeError("jd of prv_candidates is not a double")

    unpack = _double.unpack_from

    def read(data: bytes, at: int) -> tuple[float | None, int]:
        if nullable:
            branch, at = read_long(data, at)
            if branch != filled:
                return None, at
        try:
            return unpack(data, at)[0], at + 8
        except struct.error:
            raise DecodeError("the packet ends inside its history") from None

    return read


def _skip_entry(fields: Sequence[Mapping[str, Any]], names: Names) -> Callable[..., Any]:
    """Reader of one entry: (jd or None where it is no detection, position behind it)."""
    order = [field["name"] for field in fields]
    jd, candid = order.index("jd"), order.index("candid")
    if jd > candid:
        raise DecodeError("candid stands before jd in prv_candidates, which is not ZTF's order")
    types = [field["type"] for field in fields]
    before, between, behind = (
        skip_run(part, names) if part else None
        for part in (types[:jd], types[jd + 1 : candid], types[candid + 1 :])
    )
    read_jd = _time(types[jd])
    null, skip_candid = _candid(types[candid], names)

    def entry(data: bytes, at: int) -> tuple[float | None, int]:
        if before:
            at = before(data, at)
        time, at = read_jd(data, at)
        if between:
            at = between(data, at)
        if at < len(data) and data[at] == null:
            time = None
        at = skip_candid(data, at)
        return time, behind(data, at) if behind else at

    return entry


def _candid(schema: Any, names: Names) -> tuple[int, Skip]:
    """(first byte of a candid that is null, or -1; how to skip it)."""
    null = -1
    if isinstance(schema, list) and "null" in schema:
        null = 2 * schema.index("null")  # zig-zag: branch n is byte 2n
    return null, skip_run([schema], names)


def _none(_data: bytes, _at: int) -> list[float]:
    return []


def compile_epochs(schema: Any, names: Names) -> Epochs:
    """Compile the schema of ``prv_candidates``.

    Parameters
    ----------
    schema
        Of the field.
    names
        Named types that the schema defined before it.

    Raises
    ------
    DecodeError
        It is not an array of records with jd and candid.
    """
    branch, record = _record(schema, names)
    compile_skip(schema, names)
    optional: list[Any] | None = record.get("nullable")
    fields = (record["record"] if optional else record)["fields"]
    if not {"jd", "candid"} <= {field["name"] for field in fields}:
        return _none  # schema 3.5 put forced photometry here, which has no detections
    entry = _skip_entry(fields, names)
    filled = next((n for n, one in enumerate(optional or []) if one != "null"), 0)

    def epochs(data: bytes, at: int) -> list[float]:
        if branch >= 0:
            chosen, at = read_long(data, at)
            if chosen != branch:
                return []
        times: list[float] = []
        while True:
            count, at = read_long(data, at)
            if count == 0:
                return times
            if count < 0:
                count = -count
                _, at = read_long(data, at)
            if count > len(data) - at:
                raise DecodeError(f"a history of {count} entries does not fit into the packet")
            for _ in range(count):
                if optional:
                    some, at = read_long(data, at)
                    if some != filled:
                        continue
                time, at = entry(data, at)
                if time is not None:
                    times.append(time)

    return epochs

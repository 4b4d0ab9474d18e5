"""An array of records in a packet, its history, read as far as it is needed.

The filter asks nearly every alert for the times of its earlier detections, the state asks what
passes for the fields of a light curve. Both walk over the array once and pick.
"""

from collections.abc import Callable, Mapping
from typing import Any

from ampelstream.codecs.avro.binary import read_long
from ampelstream.codecs.avro.pick import Pick, compile_pick
from ampelstream.codecs.avro.skip import Names, compile_skip
from ampelstream.errors import DecodeError

__all__ = ["Entries", "compile_entries"]

Entries = Callable[[bytes, int], list[dict[str, Any]]]
"""Given the packet's body and the position of the array, gives the picked fields of its records."""


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
        while True:
            count, at = read_long(data, at)
            if count == 0:
                return found
            if count < 0:
                count = -count
                _, at = read_long(data, at)
            if count > len(data) - at:
                raise DecodeError(f"a history of {count} entries does not fit into the packet")
            for _ in range(count):
                if filled >= 0:
                    some, at = read_long(data, at)
                    if some != filled:
                        continue
                fields, at = pick(data, at)
                found.append(fields)

    return entries

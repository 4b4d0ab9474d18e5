"""How to read the packets of one writer schema as far as they are needed.

The plans of the schemas that were seen are kept, so that no alert waits for a schema to be parsed.
"""

import io
import json
import struct
import zlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import fastavro
from fastavro.schema import SchemaParseException

from ampelstream.codecs.avrocontainer import metadata
from ampelstream.codecs.avropick import Entries, compile_entries
from ampelstream.codecs.avrowalk import Names, Skip, compile_skip, skip_run
from ampelstream.errors import DecodeError

__all__ = ["GARBAGE", "Layout", "PacketPlan", "Plans"]

GARBAGE = (
    # what fastavro, json and zlib were seen to raise on corrupt packets
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    MemoryError,
    OverflowError,
    RecursionError,
    SchemaParseException,
    StopIteration,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)

T = TypeVar("T")
_KEPT = 32
_PARSED_BY_FASTAVRO = ("__fastavro_parsed__", "__named_schemas")


@dataclass(frozen=True, slots=True)
class Layout:
    """What a survey calls the parts of its packets.

    Attributes
    ----------
    survey
        As people call it.
    head
        Top-level fields that every alert is asked for; they stand before the history.
    history, forced
        Fields of the earlier detections and of the forced photometry.
    times
        Fields of the history's entries that say when something was detected.
    measured
        Fields of the history's entries that a light curve takes.
    """

    survey: str
    head: tuple[str, ...]
    history: str
    forced: str
    times: frozenset[str]
    measured: frozenset[str]


class PacketPlan:
    """Reads packets of one writer schema.

    Data is read in place: every method takes it whole, with the position where the record begins.

    Parameters
    ----------
    schema
        The writer's, as parsed from JSON or by fastavro.
    layout
        Of the survey.

    Raises
    ------
    DecodeError
        The schema is not that of the survey's alerts.
    """

    def __init__(self, schema: Mapping[str, Any], layout: Layout) -> None:
        fields = schema.get("fields", []) if isinstance(schema, Mapping) else []
        names = [field["name"] for field in fields]
        missing = [name for name in layout.head if name not in names]
        if missing:
            named = schema.get("name") if isinstance(schema, Mapping) else None
            raise DecodeError(
                f"schema {named!r} is not a {layout.survey} alert: no field {missing[0]}"
            )
        self._layout = layout
        self._times: Entries | None = None
        self._measured: Entries | None = None
        self._between: Skip | None = None
        head = max(names.index(name) for name in layout.head) + 1
        self._head = _truncated(schema, head)
        self._points = _upto(schema, names, layout.history)
        self._forced = _upto(schema, names, layout.forced)
        if layout.history in names:
            self._compile(fields, head, names.index(layout.history))

    def _compile(self, fields: Any, head: int, at: int) -> None:
        """Compile the way from the head to the history, and the history."""
        layout = self._layout
        if at < head:
            raise DecodeError(
                f"{layout.history} stands before {fields[head - 1]['name']}, which is not the "
                f"order of {layout.survey}"
            )
        known: Names = {}
        for field in fields[:head]:
            compile_skip(field["type"], known)
        if at > head:
            self._between = skip_run([field["type"] for field in fields[head:at]], known)
        kind = fields[at]["type"]
        self._times = compile_entries(layout.history, kind, layout.times, dict(known))
        self._measured = compile_entries(layout.history, kind, layout.measured, dict(known))

    def head(self, data: bytes, begin: int) -> tuple[dict[str, Any], int]:
        """Fields of the head, and the position behind them."""
        return _read(self._head, data, begin)

    def times(self, data: bytes, begin: int, behind_head: int) -> list[dict[str, Any]]:
        """Entries of the history, with at least the fields that hold times."""
        if self._times is None:
            return self.points(data, begin)
        return self._times(data, self._history(data, behind_head))

    def measured(self, data: bytes, begin: int, behind_head: int) -> list[dict[str, Any]]:
        """Entries of the history, with at least the fields of a light curve."""
        if self._measured is None:
            return self.points(data, begin)
        return self._measured(data, self._history(data, behind_head))

    def _history(self, data: bytes, behind_head: int) -> int:
        """Position of the history."""
        return self._between(data, behind_head) if self._between else behind_head

    def points(self, data: bytes, begin: int) -> list[dict[str, Any]]:
        """Entries of the history, whole."""
        return _list(self._points, data, begin, self._layout.history)

    def forced(self, data: bytes, begin: int) -> list[dict[str, Any]]:
        """Forced photometry."""
        return _list(self._forced, data, begin, self._layout.forced)


def _truncated(schema: Mapping[str, Any], count: int) -> Any:
    """The first fields of the schema, parsed: reading stops behind them."""
    part = {key: value for key, value in schema.items() if key not in _PARSED_BY_FASTAVRO}
    part["fields"] = json.loads(json.dumps(schema["fields"][:count]))
    return fastavro.parse_schema(part)


def _upto(schema: Mapping[str, Any], names: list[str], field: str) -> Any:
    """The schema up to a field; None where it has none of that name."""
    return _truncated(schema, names.index(field) + 1) if field in names else None


def _list(schema: Any, data: bytes, begin: int, field: str) -> list[dict[str, Any]]:
    if schema is None:
        return []
    entries = _read(schema, data, begin)[0].get(field) or []
    return [entry for entry in entries if entry is not None]  # Spark makes them nullable


def _read(schema: Any, data: bytes, begin: int) -> tuple[dict[str, Any], int]:
    stream = io.BytesIO(data)  # shares the bytes
    if begin:
        stream.seek(begin)
    try:
        record = fastavro.schemaless_reader(stream, schema, None)
    except GARBAGE as error:
        raise DecodeError(f"the packet is corrupt: {type(error).__name__}: {error}") from error
    if not isinstance(record, dict):
        raise DecodeError("the packet is not a record")
    return record, stream.tell()


class _Kept(Generic[T]):
    """The last few results of making something, failures included."""

    def __init__(self) -> None:
        self._made: OrderedDict[Hashable, tuple[T | DecodeError, object]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T], held: object = None) -> T:
        """What was made for the key; ``held`` is kept alive with it."""
        kept = self._made.get(key)
        if kept is None:
            kept = self._made[key] = (_attempt(make), held)
            if len(self._made) > _KEPT:
                self._made.popitem(last=False)
        made = kept[0]
        if isinstance(made, DecodeError):
            raise DecodeError(str(made))
        return made


def _attempt(make: Callable[[], T]) -> T | DecodeError:
    try:
        return make()
    except DecodeError as error:
        return error
    except GARBAGE as error:
        return DecodeError(f"the packet's schema is corrupt: {type(error).__name__}: {error}")


class Plans:
    """Plans of one survey.

    Parameters
    ----------
    layout
        Of its packets.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._containers: _Kept[tuple[PacketPlan, str]] = _Kept()
        self._schemas: _Kept[PacketPlan] = _Kept()

    def of_container(self, key: bytes) -> tuple[PacketPlan, str]:
        """Plan and codec for the metadata of a container.

        Raises
        ------
        DecodeError
            The schema is not that of the survey's alerts, or is corrupt.
        """
        return self._containers.get(key, lambda: self._of_metadata(key))

    def of_schema(self, schema: Mapping[str, Any]) -> PacketPlan:
        """Plan for a schema that is at hand; it is known again by being the same object.

        Raises
        ------
        DecodeError
            It is not that of the survey's alerts, or is corrupt.
        """
        # the schema is held with its plan: no other object can take its id meanwhile
        return self._schemas.get(id(schema), lambda: PacketPlan(schema, self._layout), held=schema)

    def _of_metadata(self, key: bytes) -> tuple[PacketPlan, str]:
        meta = metadata(key)
        schema = json.loads(meta["avro.schema"])
        return PacketPlan(schema, self._layout), meta.get("avro.codec", b"null").decode()

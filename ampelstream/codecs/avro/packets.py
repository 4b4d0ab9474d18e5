"""How the packets of one writer schema are read, as far as they are needed.

Many packets at once become columns (`PacketSchema.reader`). One packet, where somebody asks for all
that it says, is decoded by fastavro, whose values are the measure of those in the columns. What
was made of a schema is kept, so that no alert waits for a schema to be parsed.
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

from ampelstream.codecs.avro.columns import Columns, Reader, fault
from ampelstream.codecs.avro.container import metadata
from ampelstream.codecs.avro.program import UnfitSchema
from ampelstream.errors import DecodeError

__all__ = ["GARBAGE", "Layout", "PacketSchema", "Wanted", "WriterSchemas"]

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
Wanted = tuple[tuple[str, tuple[str, ...]], ...]
"""Fields that are wanted, by the record that holds them (see `compile_program`)."""

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
        Top-level fields that every alert is asked for.
    history, forced
        Fields of the earlier detections and of the forced photometry.
    """

    survey: str
    head: tuple[str, ...]
    history: str
    forced: str


class PacketSchema:
    """A writer schema of a survey's packets, and what was made of it.

    Data is read in place: it is given whole, with the position where the record begins.

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
        self._schema = schema
        self._head = _truncated(schema, max(names.index(name) for name in layout.head) + 1)
        self._points = _upto(schema, names, layout.history)
        self._forced = _upto(schema, names, layout.forced)
        self._readers: dict[Wanted, Reader | DecodeError | None] = {}

    def reader(self, wanted: Wanted) -> Reader | None:
        """What gives fields of many packets as columns; None where they have no such form.

        Raises
        ------
        DecodeError
            No packet can have this schema.
        """
        if wanted not in self._readers:
            self._readers[wanted] = self._reader(wanted)
        found = self._readers[wanted]
        if isinstance(found, DecodeError):
            raise DecodeError(str(found))
        return found

    def _reader(self, wanted: Wanted) -> Reader | DecodeError | None:
        try:
            return Reader(self._schema, dict(wanted))
        except UnfitSchema:
            return None
        except DecodeError as error:
            return error
        except GARBAGE as error:
            return DecodeError(f"the packet's schema is corrupt: {error}")

    def columns(self, wanted: Wanted, data: bytes, begin: int) -> Columns | None:
        """The same of one packet.

        Raises
        ------
        DecodeError
            It is corrupt.
        """
        reader = self.reader(wanted)
        if reader is None:
            return None
        columns = reader.read([data], [begin], framed=False)
        if columns.status[0] < 0:
            raise fault(int(columns.status[0]))
        return columns

    def head(self, data: bytes, begin: int) -> dict[str, Any]:
        """Fields of the head, and of what stands before it."""
        return _read(self._head, data, begin)

    def points(self, data: bytes, begin: int) -> list[dict[str, Any]]:
        """Entries of the history."""
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
    entries = _read(schema, data, begin).get(field) or []
    return [entry for entry in entries if entry is not None]  # Spark makes them nullable


def _read(schema: Any, data: bytes, begin: int) -> dict[str, Any]:
    stream = io.BytesIO(data)  # shares the bytes
    if begin:
        stream.seek(begin)
    try:
        record = fastavro.schemaless_reader(stream, schema, None)
    except GARBAGE as error:
        raise DecodeError(f"the packet is corrupt: {type(error).__name__}: {error}") from error
    if not isinstance(record, dict):
        raise DecodeError("the packet is not a record")
    return record


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


class WriterSchemas:
    """Writer schemas of one survey that were met.

    Parameters
    ----------
    layout
        Of its packets.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._containers: _Kept[tuple[PacketSchema, str]] = _Kept()
        self._schemas: _Kept[PacketSchema] = _Kept()

    def of_container(self, key: bytes) -> tuple[PacketSchema, str]:
        """Schema and codec for the metadata of a container.

        Raises
        ------
        DecodeError
            The schema is not that of the survey's alerts, or is corrupt.
        """
        return self._containers.get(key, lambda: self._of_metadata(key))

    def of_schema(self, schema: Mapping[str, Any]) -> PacketSchema:
        """The same for a schema that is at hand; it is known again by being the same object.

        Raises
        ------
        DecodeError
            It is not that of the survey's alerts, or is corrupt.
        """
        # the schema is held with what was made of it: no other object can take its id meanwhile
        return self._schemas.get(
            id(schema), lambda: PacketSchema(schema, self._layout), held=schema
        )

    def _of_metadata(self, key: bytes) -> tuple[PacketSchema, str]:
        meta = metadata(key)
        schema = json.loads(meta["avro.schema"])
        return PacketSchema(schema, self._layout), meta.get("avro.codec", b"null").decode()

"""Our own streams in Avro: detections, events, ticks, candidates, dead letters, reactions.

Each message is in Avro's single-object encoding: two marker bytes, the fingerprint of its schema,
the record. So a reader knows which schema wrote it, and refuses what it does not know instead of
misreading it.
"""

import io
import json
from functools import cache
from typing import Any, TypeVar

import fastavro
import msgspec
from fastavro.schema import fingerprint

from ampelstream.codecs.avro.garbage import GARBAGE
from ampelstream.errors import DecodeError
from ampelstream.model.announcement import Announcement, Tick
from ampelstream.model.candidate import Candidate, UnitResult
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.deadletter import DeadLetter
from ampelstream.model.detection import Detection
from ampelstream.model.event import EventRevision
from ampelstream.model.lightcurve import Datapoint
from ampelstream.model.reaction import Reaction
from ampelstream.shipped import schema_path

__all__ = [
    "decode_announcement",
    "decode_candidate",
    "decode_dead_letter",
    "decode_detection",
    "decode_event",
    "decode_reaction",
    "encode_announcement",
    "encode_candidate",
    "encode_dead_letter",
    "encode_detection",
    "encode_event",
    "encode_reaction",
    "encode_tick",
]

T = TypeVar("T")
_MARKER = b"\xc3\x01"
_HEAD = len(_MARKER) + 8


@cache
def _schema(name: str) -> tuple[Any, bytes]:
    """Parsed schema, and the bytes that every message of it begins with."""
    text = schema_path(name).read_text(encoding="utf-8")
    schema = json.loads(text)
    canonical = fastavro.schema.to_parsing_canonical_form(schema)
    print_hex = fingerprint(canonical, "CRC-64-AVRO")
    return fastavro.parse_schema(schema), _MARKER + int(print_hex, 16).to_bytes(8, "little")


def _plain(value: Any) -> Any:
    """Structs as mappings, also those that the state keeps as arrays."""
    if isinstance(value, msgspec.Struct):
        names, values = value.__struct_fields__, msgspec.structs.astuple(value)
        return {name: _plain(one) for name, one in zip(names, values, strict=True)}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return value


def _encode(name: str, record: dict[str, Any]) -> bytes:
    schema, head = _schema(name)
    out = io.BytesIO()
    out.write(head)
    fastavro.schemaless_writer(out, schema, record)
    return out.getvalue()


def _decode(name: str, data: bytes) -> dict[str, Any]:
    schema, head = _schema(name)
    if data[:_HEAD] != head:
        raise DecodeError(
            f"not a {name} of this version: the message begins with {data[:_HEAD].hex()}, "
            f"the schema {name}.avsc asks for {head.hex()}"
        )
    try:
        record = fastavro.schemaless_reader(io.BytesIO(data[_HEAD:]), schema, None)
    except GARBAGE as error:
        raise DecodeError(f"the {name} is corrupt: {type(error).__name__}: {error}") from error
    if not isinstance(record, dict):
        raise DecodeError(f"the {name} is not a record")
    return record


def _struct(record: dict[str, Any], kind: type[T]) -> T:
    """Build a struct; its parts that are arrays in the state are given as such."""
    try:
        return msgspec.convert(_arrays(record), kind)
    except msgspec.ValidationError as error:
        raise DecodeError(f"not a {kind.__name__}: {error}") from error


def _arrays(value: Any) -> Any:
    """Coordinates and datapoints as the arrays that their structs read."""
    if isinstance(value, dict):
        if value.keys() == _COORDINATES:
            return [value["source"], value["partition"], value["offset"]]
        if value.keys() == _DATAPOINT:
            return [value[name] for name in Datapoint.__struct_fields__]
        return {key: _arrays(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_arrays(one) for one in value]
    return value


_COORDINATES = {"source", "partition", "offset"}
_DATAPOINT = set(Datapoint.__struct_fields__)


def encode_detection(detection: Detection) -> bytes:
    """Encode a detection."""
    return _encode("detection", _plain(detection))


def decode_detection(data: bytes) -> Detection:
    """Decode a detection; DecodeError where it is none."""
    return _struct(_decode("detection", data), Detection)


def encode_event(revision: EventRevision) -> bytes:
    """Encode a revision of an event."""
    return _encode("event", _plain(revision))


def decode_event(data: bytes) -> EventRevision:
    """Decode a revision of an event; DecodeError where it is none."""
    return _struct(_decode("event", data), EventRevision)


def encode_announcement(announcement: Announcement) -> bytes:
    """Encode a revision of an event with its sky map, for one partition of the objects."""
    where = announcement.where
    return _encode(
        "announcement",
        {
            "event": encode_event(announcement.revision),
            "skymap": announcement.skymap,
            "source": where.source,
            "partition": where.partition,
            "offset": where.offset,
            "member": announcement.member,
        },
    )


def encode_tick(tick: Tick) -> bytes:
    """Encode a tick of event time."""
    return _encode("tick", _plain(tick))


def decode_announcement(data: bytes) -> Announcement | Tick:
    """Decode what stands on the topic of events; DecodeError where it is neither."""
    if data.startswith(_schema("tick")[1]):
        return _struct(_decode("tick", data), Tick)
    record = _decode("announcement", data)
    where = Coordinates(record["source"], record["partition"], record["offset"])
    return Announcement(decode_event(record["event"]), record["skymap"], where, record["member"])


def _result(one: UnitResult) -> dict[str, Any]:
    body = None if one.body is None else msgspec.json.encode(one.body).decode()
    return {**_plain(one), "body": body}


def encode_candidate(candidate: Candidate) -> bytes:
    """Encode a revision of a candidate."""
    results = [_result(one) for one in candidate.results]
    return _encode(
        "candidate",
        {**_plain(candidate), "status": candidate.status.value, "results": results},
    )


def decode_candidate(data: bytes) -> Candidate:
    """Decode a revision of a candidate; DecodeError where it is none."""
    record = _decode("candidate", data)
    for one in record["results"]:
        one["body"] = None if one["body"] is None else _json(one["body"])
    return _struct(record, Candidate)


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise DecodeError(f"a JSON part of the message is corrupt: {error}") from error


def encode_dead_letter(letter: DeadLetter) -> bytes:
    """Encode a dead letter."""
    return _encode("dead_letter", _plain(letter))


def decode_dead_letter(data: bytes) -> DeadLetter:
    """Decode a dead letter; DecodeError where it is none."""
    return _struct(_decode("dead_letter", data), DeadLetter)


def encode_reaction(reaction: Reaction) -> bytes:
    """Encode a reaction."""
    payload = msgspec.json.encode(reaction.payload).decode()
    return _encode("reaction", {**_plain(reaction), "payload": payload})


def decode_reaction(data: bytes) -> Reaction:
    """Decode a reaction; DecodeError where it is none."""
    record = _decode("reaction", data)
    return _struct({**record, "payload": _json(record["payload"])}, Reaction)

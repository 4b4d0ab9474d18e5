"""Our own streams in Avro: detections, events, ticks, candidates, dead letters, reactions.

What is written for every alert, detections and candidates, is written by ``ownwriter.py``.

Each message is in Avro's single-object encoding: two marker bytes, the fingerprint of its schema,
the record. So a reader knows which schema wrote it, reads what an earlier version of this package
wrote (``schemas/earlier/``), and refuses what it does not know instead of misreading it.
"""

import io
import json
from collections.abc import Sequence
from functools import cache
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar

import fastavro
import msgspec
from fastavro.schema import fingerprint

from ampelstream.codecs.avro.packets import GARBAGE
from ampelstream.codecs.ownwriter import Write, writer
from ampelstream.errors import DecodeError
from ampelstream.model.announcement import Announcement, Backfilled, Tick
from ampelstream.model.candidate import Candidate, UnitResult
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.deadletter import DeadLetter
from ampelstream.model.detection import Detection
from ampelstream.model.event import EventRevision
from ampelstream.model.lightcurve import Datapoint
from ampelstream.model.reaction import Reaction
from ampelstream.shipped import earlier_schemas, schema_path

__all__ = [
    "decode_announcement",
    "decode_backfilled",
    "decode_candidate",
    "decode_dead_letter",
    "decode_detection",
    "decode_event",
    "decode_reaction",
    "decode_tick",
    "encode_announcement",
    "encode_backfilled",
    "encode_candidate",
    "encode_dead_letter",
    "encode_detection",
    "encode_event",
    "encode_reaction",
    "encode_tick",
    "is_backfilled",
    "is_tick",
]

T = TypeVar("T")
_MARKER = b"\xc3\x01"
_HEAD = len(_MARKER) + 8


@cache
def _schema(name: str) -> tuple[Any, bytes]:
    """Parsed schema, and the bytes that every message of it begins with."""
    return _parsed(schema_path(name))


@cache
def _writer(name: str) -> Write:
    """What writes a record of the schema from its values, in order."""
    return writer(json.loads(schema_path(name).read_text(encoding="utf-8")))


@cache
def _earlier(name: str) -> dict[bytes, Any]:
    """Parsed schemas of earlier versions, by what their messages begin with."""
    return {head: schema for schema, head in map(_parsed, earlier_schemas(name))}


def _parsed(path: Path) -> tuple[Any, bytes]:
    schema = json.loads(path.read_text(encoding="utf-8"))
    canonical = fastavro.schema.to_parsing_canonical_form(schema)
    print_hex = fingerprint(canonical, "CRC-64-AVRO")
    return fastavro.parse_schema(schema), _MARKER + int(print_hex, 16).to_bytes(8, "little")


_fields = msgspec.structs.astuple


def _named(names: tuple[str, ...], value: Any) -> dict[str, Any]:
    """A struct as a mapping, also one that the state keeps as an array; its values stay."""
    return dict(zip(names, _fields(value), strict=True))


def _plain(value: Any) -> dict[str, Any]:
    return _named(value.__struct_fields__, value)


def _written(name: str, values: Sequence[Any]) -> bytes:
    return _schema(name)[1] + _writer(name)(values)


def _encode(name: str, record: dict[str, Any]) -> bytes:
    schema, head = _schema(name)
    out = io.BytesIO()
    out.write(head)
    fastavro.schemaless_writer(out, schema, record)
    return out.getvalue()


def _decode(name: str, data: bytes) -> dict[str, Any]:
    schema, head = _schema(name)
    writer = schema if data[:_HEAD] == head else _earlier(name).get(data[:_HEAD])
    if writer is None:
        raise DecodeError(
            f"not a {name} of this version: the message begins with {data[:_HEAD].hex()}, "
            f"the schema {name}.avsc asks for {head.hex()}"
        )
    try:
        reader = None if writer is schema else schema
        record = fastavro.schemaless_reader(io.BytesIO(data[_HEAD:]), writer, reader)
    except GARBAGE as error:
        raise DecodeError(f"the {name} is corrupt: {type(error).__name__}: {error}") from error
    if not isinstance(record, dict):
        raise DecodeError(f"the {name} is not a record")
    return record


def _struct(record: dict[str, Any], kind: type[T]) -> T:
    """Build a struct; its parts that are arrays in the state are given as such."""
    try:
        return msgspec.convert(record, kind)
    except msgspec.ValidationError as error:
        raise DecodeError(f"not a {kind.__name__}: {error}") from error


_coordinates = itemgetter(*Coordinates.__struct_fields__)
_datapoint = itemgetter(*Datapoint.__struct_fields__)


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(tuple[Datapoint, ...]).decode


def encode_detection(detection: Detection) -> bytes:
    """Encode a detection.

    Its datapoints, which nobody but the objects step reads, are one piece of MessagePack: in Avro
    they cost more than all else that is done for the alert.
    """
    *values, where, points, filters, backfill, facts = _fields(detection)
    packed = _pack(points)
    text = msgspec.json.encode(facts).decode() if facts else ""
    return _written("detection", (*values, _fields(where), (), filters, backfill, packed, text))


def decode_detection(data: bytes) -> Detection:
    """Decode a detection; DecodeError where it is none."""
    record = _decode("detection", data)
    record["where"] = _coordinates(record["where"])
    packed, points = record.pop("packed"), [_datapoint(one) for one in record["datapoints"]]
    record["datapoints"] = _unpacked(packed) if packed else points
    record["facts"] = _json(record["facts"]) if record["facts"] else {}
    return _struct(record, Detection)


def _unpacked(packed: bytes) -> tuple[Datapoint, ...]:
    try:
        return _unpack(packed)
    except msgspec.DecodeError as error:
        raise DecodeError(f"the datapoints of the detection are corrupt: {error}") from error


def encode_event(revision: EventRevision) -> bytes:
    """Encode a revision of an event."""
    record = _plain(revision)
    if revision.external is not None:
        record["external"] = _plain(revision.external)
    return _encode("event", record)


def decode_event(data: bytes) -> EventRevision:
    """Decode a revision of an event; DecodeError where it is none."""
    return _struct(_decode("event", data), EventRevision)


def encode_announcement(announcement: Announcement) -> bytes:
    """Encode a revision of an event with its sky map, for one partition of the objects."""
    where = announcement.where
    record = {
        "event": encode_event(announcement.revision),
        "skymap": announcement.skymap,
        "source": where.source,
        "partition": where.partition,
        "offset": where.offset,
        "member": announcement.member,
    }
    if announcement.parts == 1:
        return _encode("announcement", record)
    numbers = {"part": announcement.part, "parts": announcement.parts}
    return _encode("announcement_part", record | numbers)


def encode_tick(tick: Tick) -> bytes:
    """Encode a tick of event time."""
    return _encode("tick", _plain(tick))


def is_tick(data: bytes) -> bool:
    """Whether a message is a tick of event time."""
    return data.startswith((_schema("tick")[1], *_earlier("tick")))


def decode_tick(data: bytes) -> Tick:
    """Decode a tick of event time; DecodeError where it is none.

    Topics may hold some of an earlier version, which name no source.
    """
    return _struct(_decode("tick", data), Tick)


def encode_backfilled(mark: Backfilled) -> bytes:
    """Encode the news that earlier alerts have been filtered anew."""
    return _encode("backfilled", _plain(mark))


def is_backfilled(data: bytes) -> bool:
    """Whether a message is the news that earlier alerts have been filtered anew."""
    return data.startswith(_schema("backfilled")[1])


def decode_backfilled(data: bytes) -> Backfilled:
    """Decode that news; DecodeError where it is none."""
    return _struct(_decode("backfilled", data), Backfilled)


def decode_announcement(data: bytes) -> Announcement:
    """Decode a revision of an event; DecodeError where it is none."""
    in_parts = data.startswith(_schema("announcement_part")[1])
    record = _decode("announcement_part" if in_parts else "announcement", data)
    where = Coordinates(record["source"], record["partition"], record["offset"])
    part, parts = record.get("part", 0), record.get("parts", 1)
    event = decode_event(record["event"])
    if not 0 <= part < parts:
        raise DecodeError(f"the announcement is corrupt: it is part {part} of {parts}")
    return Announcement(event, record["skymap"], where, record["member"], part, parts)


def _result(one: UnitResult) -> tuple[Any, ...]:
    *names, body, error = _fields(one)
    text = None if body is None else msgspec.json.encode(body).decode()
    return (*names, text, error)


def encode_candidate(candidate: Candidate) -> bytes:
    """Encode a revision of a candidate."""
    *key, status, provenance, t0, ra, dec, rank, results, points, scatter, strays, beside = _fields(
        candidate
    )
    *source, records = _fields(provenance)
    return _written(
        "candidate",
        (
            *key,
            status.value,
            (*source, [_fields(one) for one in records]),
            *(t0, ra, dec, rank),
            [_result(one) for one in results],
            [_fields(one) for one in points],
            *(scatter, strays, list(beside)),
        ),
    )


def decode_candidate(data: bytes) -> Candidate:
    """Decode a revision of a candidate; DecodeError where it is none."""
    record = _decode("candidate", data)
    for one in record["results"]:
        one["body"] = None if one["body"] is None else _json(one["body"])
    provenance = record["provenance"]
    provenance["records"] = [_coordinates(one) for one in provenance["records"]]
    record["lightcurve"] = [_datapoint(one) for one in record["lightcurve"]]
    return _struct(record, Candidate)


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise DecodeError(f"a JSON part of the message is corrupt: {error}") from error


def encode_dead_letter(letter: DeadLetter) -> bytes:
    """Encode a dead letter."""
    return _encode("dead_letter", {**_plain(letter), "where": _plain(letter.where)})


def decode_dead_letter(data: bytes) -> DeadLetter:
    """Decode a dead letter; DecodeError where it is none."""
    record = _decode("dead_letter", data)
    return _struct({**record, "where": _coordinates(record["where"])}, DeadLetter)


def encode_reaction(reaction: Reaction) -> bytes:
    """Encode a reaction."""
    payload = msgspec.json.encode(reaction.payload).decode()
    return _encode("reaction", {**_plain(reaction), "payload": payload})


def decode_reaction(data: bytes) -> Reaction:
    """Decode a reaction; DecodeError where it is none."""
    record = _decode("reaction", data)
    return _struct({**record, "payload": _json(record["payload"])}, Reaction)

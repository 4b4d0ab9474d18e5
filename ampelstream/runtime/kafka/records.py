"""Records of Kafka to what the processors take, and what they give to records of our topics.

The three agents (``runtime/faust/app.py``) call this on both sides of a processor: `source_record`
before ingest, `record_of` before objects and react, `encode` behind all three.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka.structs import ConsumerRecord

from ampelstream.codecs import own
from ampelstream.model.announcement import Announcement, Backfilled, Tick
from ampelstream.model.candidate import Candidate
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.deadletter import DeadLetter
from ampelstream.model.detection import Detection
from ampelstream.model.reaction import Reaction
from ampelstream.model.record import SourceRecord, Stream
from ampelstream.model.streams import Output, Parked, Record, StreamName
from ampelstream.runtime.kafka.headers import SINCE, decode_origin, decode_time, encode_origin
from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.runtime.safefaust.outbox import Outgoing
from ampelstream.runtime.safefaust.unreadable import fault_of

__all__ = ["encode", "record_of", "source_record"]

_ENCODERS: Mapping[type[Any], Any] = {
    Announcement: own.encode_announcement,
    Backfilled: own.encode_backfilled,
    Candidate: own.encode_candidate,
    DeadLetter: own.encode_dead_letter,
    Detection: own.encode_detection,
    Reaction: own.encode_reaction,
    Tick: own.encode_tick,
}


def source_record(record: ConsumerRecord, stream: Stream, *, ours: bool) -> SourceRecord:
    """Record of an input.

    Parameters
    ----------
    record
        As it was read.
    stream
        What the input holds.
    ours
        Whether it lies on our own cluster: only there headers are believed that say where a record
        came from first, and since when it waits.
    """
    where = Coordinates(record.topic, record.partition, record.offset)
    position, member, since = where, "", 0.0
    if ours and record.headers:
        where, member = decode_origin(record.headers) or (where, member)
        since = decode_time(record.headers, SINCE)
    fault, value = fault_of(record), record.value or b""
    return SourceRecord(where, stream, value, member, fault, since, position, expires=True)


def record_of(record: ConsumerRecord, names: TopicNames) -> Record:
    """Record of one of our own streams."""
    where = Coordinates(record.topic, record.partition, record.offset)
    stream: StreamName
    if record.topic == names.detections:
        stream = "detections"
    else:
        stream = "events" if record.topic == names.events else "candidates"
    return Record(where, stream, record.value, fault_of(record))


def encode(
    outputs: Iterable[Output],
    names: TopicNames,
    partitions: int,
    *,
    partition: int | None = None,
) -> list[Outgoing]:
    """Give the records of the outputs, in their order.

    Parameters
    ----------
    outputs
        Of a processor.
    names
        Topics of the topology.
    partitions
        Number of partitions of the objects: each gets a copy of what concerns all.
    partition
        That of the objects that the outputs came of; candidates stay in it. None for ingest.
    """
    topics = _topics(names)
    records: list[Outgoing] = []
    for output in outputs:
        topic, key, value = topics[output.stream], output.key.encode(), output.value
        if isinstance(value, Parked):
            since = (SINCE, str(value.since).encode())
            headers = (*encode_origin(value.where, value.member), since)
            records.append(Outgoing(topic, key, value.value, headers=headers))
            continue
        data = None if value is None else _ENCODERS[type(value)](value)
        if isinstance(value, Announcement | Backfilled | Tick):
            records.extend(Outgoing(topic, key, data, number) for number in range(partitions))
        elif output.stream == "candidates":
            records.append(Outgoing(topic, key, data, partition))
        else:
            records.append(Outgoing(topic, key, data))
    return records


def _topics(names: TopicNames) -> Mapping[StreamName, str]:
    return {
        "detections": names.detections,
        "events": names.events,
        "candidates": names.candidates,
        "reactions": names.reactions,
        "dead-letters": names.dead_letters,
        "parked": names.parked,
    }

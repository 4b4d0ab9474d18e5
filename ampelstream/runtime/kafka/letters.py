"""Dead letters as records."""

from typing import Protocol

import msgspec

from ampelstream.codecs import own
from ampelstream.core.boundary import Failure
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.deadletter import DeadLetter
from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.runtime.kafka.outbox import Outgoing

__all__ = ["KafkaRecord", "dead_letter", "letter_of"]


class KafkaRecord(Protocol):
    """What a client hands over, whichever it is."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


def dead_letter(names: TopicNames, letter: DeadLetter) -> Outgoing:
    """Make a dead letter a record; one that is too large loses the value, not the coordinates."""
    key = str(letter.where).encode()
    record = Outgoing(names.dead_letters, key, own.encode_dead_letter(letter))
    if record.too_large:
        short = msgspec.structs.replace(
            letter,
            value=b"",
            reason=f"{letter.reason} (its {len(letter.value)} bytes are too many to be kept)",
        )
        record = Outgoing(names.dead_letters, key, own.encode_dead_letter(short))
    return record


def letter_of(record: KafkaRecord, stream: str, step: str, failure: Failure) -> DeadLetter:
    """Dead letter of a record of one of our own topics."""
    return DeadLetter(
        where=Coordinates(record.topic, record.partition, record.offset),
        stream=stream,
        step=step,
        error=failure.error,
        reason=failure.reason,
        value=record.value or b"",
    )

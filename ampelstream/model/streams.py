"""The streams between the steps: what a processor takes and what it gives.

Each stream is one Kafka topic where the topology runs on Kafka, and a list where it runs in one
process. A processor names the stream; where that lies is the runtime's business.
"""

from dataclasses import dataclass
from typing import Literal

from ampelstream.model.announcement import Announcement, Backfilled, Tick
from ampelstream.model.candidate import Candidate
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.deadletter import DeadLetter
from ampelstream.model.detection import Detection
from ampelstream.model.reaction import Reaction

__all__ = [
    "KEY_SEPARATOR",
    "MAP_PART_BYTES",
    "MAX_RECORD_BYTES",
    "Output",
    "Parked",
    "Record",
    "StreamName",
    "candidate_key",
]

StreamName = Literal["detections", "events", "candidates", "reactions", "dead-letters", "parked"]

MAX_RECORD_BYTES = (16 << 20) - (16 << 10)
"""Largest record of any stream [byte]: what a topic of ours takes (16 MiB), less room for the key,
the headers and the batch around it. It holds without Kafka too, so that both runtimes refuse the
same records."""

MAP_PART_BYTES = 4 << 20
"""A packed sky map that is larger travels, and is kept, in parts of this size [byte]."""

KEY_SEPARATOR = "\x1f"
"""Between the parts of a candidate's key."""


def candidate_key(candidate: Candidate) -> str:
    """Key of a candidate on its stream: the last record of a key is its last revision."""
    return KEY_SEPARATOR.join(candidate.key)


@dataclass(frozen=True, slots=True)
class Parked:
    """An alert that waits for the schema that it names.

    Attributes
    ----------
    where, member, value
        As in the source that it came from.
    since
        When it was first parked [s, Unix time].
    """

    where: Coordinates
    member: str
    value: bytes
    since: float


@dataclass(frozen=True, slots=True)
class Record:
    """One record of one of our own streams.

    Attributes
    ----------
    where
        Its coordinates; the offset is negative where the stream is a list in memory.
    stream
        Which stream.
    value
        What it says, or its bytes, which the processor decodes within its record boundary; None
        where the key was deleted.
    fault
        Why it could not be read, and which offsets it stands for; empty where nothing is wrong.
    """

    where: Coordinates
    stream: StreamName
    value: bytes | Detection | Announcement | Tick | Backfilled | Candidate | None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Output:
    """A record for a stream.

    An `Announcement`, a `Tick` and a `Backfilled` concern every partition of the objects: a runtime
    with several sends each of them a copy, the latter two behind the detections that came before.

    Attributes
    ----------
    stream
        Which stream.
    key
        Records of one key stay in order.
    value
        What to say; None deletes the key.
    """

    stream: StreamName
    key: str
    value: (
        Detection
        | Announcement
        | Tick
        | Backfilled
        | Candidate
        | Reaction
        | DeadLetter
        | Parked
        | None
    )

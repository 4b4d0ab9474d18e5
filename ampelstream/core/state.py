"""What the store remembers: of an object, of an event, of a reaction."""

import msgspec

from ampelstream.model.candidate import Candidate
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.event import EventRevision
from ampelstream.model.lightcurve import Datapoint

__all__ = ["AcceptedAlert", "EventState", "KnownRevision", "ObjectState", "decode", "encode"]


class AcceptedAlert(msgspec.Struct, frozen=True, array_like=True):
    """An alert that at least one channel accepted.

    Attributes
    ----------
    candid, jd, ra, dec
        Of the alert's own detection [JD UTC; deg, ICRS].
    pixel
        Nested HEALPix pixel of order 29 of that position.
    channels
        Names of the channels that accepted it, sorted.
    where
        Coordinates of its record; the smallest where it came more than once.
    """

    candid: int
    jd: float
    ra: float
    dec: float
    pixel: int
    channels: tuple[str, ...]
    where: Coordinates


class ObjectState(msgspec.Struct, array_like=True):
    """Everything known of one object.

    Attributes
    ----------
    object_id, survey
        Its name and who gave it.
    datapoints
        All of them by id, superseded ones included, sorted by id.
    alerts
        Accepted alerts, sorted by candid.
    candidates
        Last revision of each of its candidates, without light curve and record coordinates (both
        follow from the rest of the state), sorted by key.
    """

    object_id: str
    survey: str
    datapoints: tuple[Datapoint, ...] = ()
    alerts: tuple[AcceptedAlert, ...] = ()
    candidates: tuple[Candidate, ...] = ()


class KnownRevision(msgspec.Struct, frozen=True):
    """A revision of an event and the record that it came in."""

    revision: EventRevision
    where: Coordinates
    member: str = ""


class EventState(msgspec.Struct):
    """Everything known of one event: its revisions, sorted by ``EventRevision.key``."""

    event_id: str
    revisions: tuple[KnownRevision, ...] = ()


_ENCODER = msgspec.msgpack.Encoder()
_OBJECT = msgspec.msgpack.Decoder(ObjectState)
_EVENT = msgspec.msgpack.Decoder(EventState)
_CANDIDATE = msgspec.msgpack.Decoder(Candidate)


def encode(value: ObjectState | EventState | Candidate) -> bytes:
    """State to bytes (MessagePack)."""
    return _ENCODER.encode(value)


class decode:  # noqa: N801  (reads as decode.object(...))
    """Bytes to state."""

    object = staticmethod(_OBJECT.decode)
    event = staticmethod(_EVENT.decode)
    candidate = staticmethod(_CANDIDATE.decode)

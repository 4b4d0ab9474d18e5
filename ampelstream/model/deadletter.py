"""A record that could not be handled: its coordinates, the reason, and itself where needed."""

import msgspec

from ampelstream.model.coordinates import Coordinates

__all__ = ["DeadLetter"]


class DeadLetter(msgspec.Struct, frozen=True):
    """One record that failed.

    Attributes
    ----------
    where
        Its coordinates.
    stream
        ``"alerts"`` or ``"notices"``.
    member
        File or archive member, for people.
    step
        Which step refused it: ``read``, ``decode``, ``filter``, ``objects``, ``events``.
    error
        Kind of the error (class name).
    reason
        What is wrong, and what to do where that is known.
    value
        The record's bytes, where it cannot be read again from its coordinates: of a stream of ours
        (detections, events, candidates), of what was parked, and of what could not be read or
        decoded of a topic, which lets go of its records. Empty of what lies in a file, and of an
        alert of a topic that a filter failed on: a backfill reads it again.
    """

    where: Coordinates
    stream: str
    step: str
    error: str
    reason: str
    member: str = ""
    value: bytes = b""

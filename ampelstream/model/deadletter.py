"""A record that could not be handled: kept whole, with its coordinates and the reason."""

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
        The record's bytes, to try it again.
    """

    where: Coordinates
    stream: str
    step: str
    error: str
    reason: str
    member: str = ""
    value: bytes = b""

"""A record as a source hands it over, before anyone has understood it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ampelstream.model.alert import Alert
from ampelstream.model.coordinates import Coordinates

__all__ = ["SourceRecord", "Stream"]

Stream = Literal["alerts", "notices"]


@dataclass(slots=True)
class SourceRecord:
    """One undecoded record.

    Attributes
    ----------
    where
        Its coordinates.
    stream
        Which input of the topology it belongs to.
    value
        The bytes of the packet, or the row of a columnar file, already a mapping.
    member
        Name of the archive member or file that the value was read from, for people.
    alert
        The decoded alert, left here by whoever had to look at it first (to sort by time), so that
        it is not decoded twice.
    """

    where: Coordinates
    stream: Stream
    value: bytes | Mapping[str, Any]
    member: str = ""
    alert: Alert | None = field(default=None, compare=False, repr=False)

"""A record as a source hands it over, before anyone has understood it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ampelstream.model.coordinates import Coordinates

__all__ = ["SourceRecord", "Stream"]

Stream = Literal["alerts", "notices"]


@dataclass(frozen=True, slots=True)
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
    """

    where: Coordinates
    stream: Stream
    value: bytes | Mapping[str, Any]
    member: str = ""

"""A record as a source hands it over, before anyone has understood it."""

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from ampelstream.model.coordinates import Coordinates

__all__ = ["SourceRecord", "Stream", "record_bytes"]

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
    fault
        Why the source could not give the whole record; it then goes to the dead letters, with what
        could be read as its value. Empty where nothing is wrong.
    since
        When the record was first put aside [s, Unix time]; 0 where it comes from its source.
    position
        Where it was read, if it came there from elsewhere: a source goes on behind this, while
        ``where`` names its first source; None where they are the same.
    unread
        Whether the fault is one of reading, such as of a disk or a network: another try may give
        what is there.
    expires
        Whether its source lets go of it after a time, as a topic does and a file does not: then it
        cannot always be read again.
    """

    where: Coordinates
    stream: Stream
    value: bytes | Mapping[str, Any]
    member: str = ""
    fault: str = ""
    since: float = 0.0
    position: Coordinates | None = None
    unread: bool = False
    expires: bool = False

    @property
    def source(self) -> tuple[str, int]:
        """What has one clock: the topic and partition that it was read from, or the directory.

        The first part of a file's name is the directory that the user named, or the file itself.
        """
        if self.position is not None:
            return self.position.source, self.position.partition
        return self.where.source.partition("/")[0], self.where.partition

    @property
    def read_at(self) -> Coordinates:
        """Where its source goes on behind: ``position``, or else ``where``."""
        return self.position or self.where


def _plain(value: Any) -> Any:
    """Data that JSON can say: bytes in base64, NaN as null."""
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(one) for one in value]
    return value


def record_bytes(record: SourceRecord) -> bytes:
    """Bytes of a record, for the dead letters; a row of a table becomes JSON."""
    if isinstance(record.value, bytes):
        return record.value
    return msgspec.json.encode(_plain(record.value), enc_hook=str)

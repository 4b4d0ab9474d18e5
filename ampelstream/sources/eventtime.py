"""When a record's event happened, found without decoding it where that is possible."""

import re

from ampelstream.codecs.alerts import decode
from ampelstream.errors import DecodeError
from ampelstream.model.record import SourceRecord
from ampelstream.model.times import jd_from_iso

__all__ = ["created_time", "event_time"]

_CREATED = re.compile(rb'"time_created"\s*:\s*"([^"]{4,40})"')


def created_time(value: bytes) -> float | None:
    """Time of creation [JD, UTC] of a notice; None where it does not tell."""
    found = _CREATED.search(value)
    if found is None:
        return None
    try:
        return jd_from_iso(found[1].decode("ascii"))
    except (ValueError, OverflowError):
        return None


def event_time(record: SourceRecord) -> float | None:
    """Event time of a record [JD, UTC]: of an alert its detection's, of a notice its creation's."""
    value = record.value
    if record.stream == "notices":
        return created_time(value) if isinstance(value, bytes) else None
    try:
        record.alert = decode(value)
    except DecodeError:
        return None  # whoever handles the record will find the same, and say so
    return record.alert.jd

"""How the state is laid out in an ordered key-value store.

One letter for the table, then the parts of the key. Numbers are big-endian, so that they sort.
"""

import struct

__all__ = [
    "ARCHIVE",
    "CENSUS",
    "EVENT",
    "IDENTITY",
    "INDEX",
    "OBJECT",
    "SWEEP",
    "SWEPT",
    "archive_key",
    "commit_order",
    "event_key",
    "index_key",
    "index_start",
    "index_value",
    "map_key",
    "object_key",
    "split_index",
    "split_time",
    "stop_of",
    "time_key",
    "time_start",
]

OBJECT = b"o"
"""Object id -> ObjectState."""
INDEX = b"x"
"""Cell of the sky, object id -> first and last time of the object's alerts in the cell."""
TIME = b"t"
"""Day of an object's last alert, object id -> nothing: finds what has expired."""
EVENT = b"e"
"""Event id -> EventState."""
MAP = b"m"
"""Event id, digest -> sky map."""
ARCHIVE = b"a"
"""Event id, object id, channel -> last revision of a candidate whose object has expired."""
CENSUS = b"s"
"""Event id -> counts of an event that has expired."""
SWEEP = b"q"
"""Event id -> last object that was matched against its new revision; until all of them were."""
SWEPT = b"w"
"""Day of the last forgetting: a restart must not forget at other times than an undisturbed run."""
IDENTITY = b"v"
"""Digest of the topology that the state of a partition belongs to."""

_STATES = (OBJECT[0], EVENT[0])
_MARKS = (SWEEP[0], SWEPT[0])

_SEPARATOR = b"\x00"
_CELL = struct.Struct(">I")
_DAY = struct.Struct(">I")
_SPAN = struct.Struct(">dd")


def commit_order(key: bytes, value: bytes | None) -> tuple[int, bytes]:
    """Sort key of a change, for stores that write a batch one key after the other.

    A store that is killed in the middle of a batch must not hold a state without what finds it, nor
    a mark that something is done which is not: first what finds states, then states, then removals
    (the other way round), and marks last. What was left out is done again.
    """
    if key[0] in _MARKS:
        return 4, key
    if value is not None:
        return int(key[0] in _STATES), key
    return (2 if key[0] in _STATES else 3), key


def stop_of(prefix: bytes) -> bytes:
    """First key behind all keys with that prefix."""
    return prefix[:-1] + bytes([prefix[-1] + 1])


def object_key(object_id: str) -> bytes:
    """Key of an object's state."""
    return OBJECT + object_id.encode()


def event_key(event_id: str) -> bytes:
    """Key of an event's state."""
    return EVENT + event_id.encode()


def map_key(event_id: str, digest: str) -> bytes:
    """Key of a sky map; with an empty digest, the prefix of all maps of the event."""
    return MAP + event_id.encode() + _SEPARATOR + digest.encode()


def index_start(cell: int) -> bytes:
    """Key before all entries of the cell and behind those of the cells before it."""
    return INDEX + _CELL.pack(cell)


def index_key(cell: int, object_id: str) -> bytes:
    """Key of an object's entry in a cell."""
    return INDEX + _CELL.pack(cell) + object_id.encode()


def index_value(first_jd: float, last_jd: float) -> bytes:
    """Value of an index entry: time range of the object's alerts in the cell [JD]."""
    return _SPAN.pack(first_jd, last_jd)


def split_index(key: bytes, value: bytes) -> tuple[str, float, float]:
    """(object id, first JD, last JD) of an index entry."""
    first, last = _SPAN.unpack(value)
    return key[1 + _CELL.size :].decode(), first, last


def time_start(day: int) -> bytes:
    """Key before all entries of the day."""
    return TIME + _DAY.pack(day)


def time_key(day: int, object_id: str) -> bytes:
    """Key of an object's entry under the day of its last alert."""
    return TIME + _DAY.pack(day) + object_id.encode()


def split_time(key: bytes) -> str:
    """Object id of an entry under a day."""
    return key[1 + _DAY.size :].decode()


def archive_key(event_id: str, object_id: str, channel: str) -> bytes:
    """Key of an archived candidate."""
    return ARCHIVE + _SEPARATOR.join(part.encode() for part in (event_id, object_id, channel))

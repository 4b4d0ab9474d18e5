"""What the store remembers, and under which keys.

The store is one ordered key-value map for each partition (one in all where the topology runs in one
process). A key is one letter for the table, then its parts; numbers are big-endian, so that they
sort.
"""

import struct

import msgspec

from ampelstream.model.alertfacts import Fact
from ampelstream.model.candidate import Candidate
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.event import EventRevision
from ampelstream.model.lightcurve import Datapoint
from ampelstream.model.reaction import Reaction
from ampelstream.topology import Identity

__all__ = [
    "FORMAT",
    "AcceptedAlert",
    "Backfill",
    "EventState",
    "KnownRevision",
    "LedgerEntry",
    "Matter",
    "ObjectState",
    "Owner",
    "commit_order",
    "decode",
    "encode",
    "keys",
]

FORMAT = 4
"""Version of this layout; a state of another version is refused, not misread."""


# --- structures ---------------------------------------------------------------------------------


class AcceptedAlert(msgspec.Struct, frozen=True, array_like=True):
    """An alert that at least one channel accepted.

    Attributes
    ----------
    candid, jd, ra, dec
        Of the alert's own detection [JD UTC; deg, ICRS].
    channels
        Names of the channels that accepted it, sorted.
    where
        Coordinates of its record; the smallest where it came more than once, and then the time and
        position are that record's too.
    facts
        Fields of that detection, as the survey names them, that units of the topology asked for
        when the alert was accepted; None where it has no such value.
    """

    candid: int
    jd: float
    ra: float
    dec: float
    channels: tuple[str, ...]
    where: Coordinates
    facts: dict[str, Fact] = {}


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
    pixel
        Nested HEALPix pixel of order 29 of the object's position, under which it is found; -1 where
        it has not been matched.
    """

    object_id: str
    survey: str
    datapoints: tuple[Datapoint, ...] = ()
    alerts: tuple[AcceptedAlert, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    pixel: int = -1


class KnownRevision(msgspec.Struct, frozen=True):
    """A revision of an event and the record that it came in; the smallest where it came twice."""

    revision: EventRevision
    where: Coordinates
    member: str = ""


class EventState(msgspec.Struct):
    """Everything known of one event: its revisions, the latest last (``in_order``)."""

    event_id: str
    revisions: tuple[KnownRevision, ...] = ()


class LedgerEntry(msgspec.Struct):
    """A message and what became of it.

    Attributes
    ----------
    reaction
        What was or is to be sent. That of a matter's last message says what is known now, so that
        it does not depend on when the message was decided.
    sent
        Names of the sinks that have taken it.
    sinks
        Names of those that it is for: one that the rule was given later does not get what was
        decided before. None where nobody knew the sinks.
    """

    reaction: Reaction
    sent: tuple[str, ...] = ()
    sinks: tuple[str, ...] | None = None


class Matter(msgspec.Struct, array_like=True):
    """What a rule has to say of one candidate (see ``core/react.py``).

    Attributes
    ----------
    active
        Whether the rule's condition holds now.
    turn
        How many messages there were so far.
    message
        Id of the last one.
    offset
        Of the last candidate record that was looked at; -1 where records have no offsets. One that
        a restart repeats is not looked at again.
    missed
        Whether the candidate came again while the rule was not in the topology: what the rule says
        of it now is not known.
    """

    active: bool
    turn: int
    message: str
    offset: int = -1
    missed: bool = False


class Owner(msgspec.Struct):
    """Whose state this is.

    Attributes
    ----------
    topology
        Name of the topology.
    content
        The topology's content; None in a state of an earlier format.
    format
        Version of the layout.
    inputs
        Digest of the names of a replay's inputs; empty otherwise.
    finished
        Whether a replay came to its end.
    backfill
        Name of the last backfill that the state took part in, or takes part in; may be empty.
    """

    topology: str
    content: Identity | None = None
    format: int = FORMAT
    inputs: str = ""
    finished: bool = False
    backfill: str = ""

    @property
    def of_replay(self) -> bool:
        """Whether a replay made it."""
        return bool(self.inputs) or self.finished


class Backfill(msgspec.Struct, frozen=True):
    """Earlier alerts are being filtered anew (see ``core/backfill.py``).

    Attributes
    ----------
    id
        Tells it from others, also from one with the same filters.
    filters
        Digest of the filters that they are filtered with.
    since_jd
        Accepted alerts that are older [JD] are not filtered anew, and stay as they are.
    held
        So do those of topics that an expression here matches and does not name (see `Backfilled`).
    read
        Whether all of them have been.
    done
        Last object that was brought over.
    number
        Under which its shadows are: those of other numbers are of backfills that were given up.
    """

    id: str
    filters: str
    since_jd: float | None = None
    read: bool = False
    done: str = ""
    number: int = 0
    held: dict[str, tuple[str, ...]] = {}


_ENCODER = msgspec.msgpack.Encoder()
encode = _ENCODER.encode
"""State to bytes (MessagePack)."""


class decode:  # noqa: N801  (reads as decode.object(...))
    """Bytes to state."""

    object = staticmethod(msgspec.msgpack.Decoder(ObjectState).decode)
    event = staticmethod(msgspec.msgpack.Decoder(EventState).decode)
    candidate = staticmethod(msgspec.msgpack.Decoder(Candidate).decode)
    entry = staticmethod(msgspec.msgpack.Decoder(LedgerEntry).decode)
    matter = staticmethod(msgspec.msgpack.Decoder(Matter).decode)
    backfill = staticmethod(msgspec.msgpack.Decoder(Backfill).decode)
    owner = staticmethod(msgspec.msgpack.Decoder(Owner).decode)


# --- keys ---------------------------------------------------------------------------------------

_SEPARATOR = b"\x00"
_CELL = struct.Struct(">I")
_PART = struct.Struct(">I")
_DAY = struct.Struct(">I")
_LAST_DAY = (1 << 32) - 1
_SPAN = struct.Struct(">dd")
_NUMBER = struct.Struct(">I")


class keys:  # noqa: N801  (reads as keys.object(...))
    """Keys of the tables, and what their values are."""

    OBJECT = b"o"
    """Object id -> ObjectState."""
    INDEX = b"x"
    """Cell of the sky, object id -> first and last time of the object's alerts in the cell."""
    TIME = b"t"
    """Day of an object's last alert, object id -> nothing: finds what has expired."""
    EVENT = b"e"
    """Event id -> EventState."""
    MAP = b"m"
    """Event id, digest -> sky map. A large one is under several keys: event id, digest, part."""
    CANDIDATE = b"c"
    """Event id, object id -> nothing: finds the candidates of an event."""
    ARCHIVE = b"a"
    """Event id, object id, channel -> last revision of a candidate whose object has expired."""
    CENSUS = b"s"
    """Event id -> counts of an event that has expired."""
    SWEEP = b"q"
    """Event id -> last object that was matched against its new revision; until all of them were."""
    FORGOTTEN = b"w"
    """Day of event time when the retention was applied last: a restart must not forget at other
    times than an undisturbed run."""
    WATERMARK = b"y"
    """Source and partition -> event time that it has reached, and when it was heard."""
    TIMES = b"k"
    """Source and partition -> times of its last alerts; only where ingest has a state."""
    LEDGER = b"r"
    """Reaction id -> LedgerEntry."""
    MATTER = b"j"
    """Matter id -> Matter."""
    IDENTITY = b"v"
    """-> Owner."""
    SHADOW = b"b"
    """Number of a backfill, object id -> ObjectState as it makes it anew; without candidates. An
    earlier version wrote no number, which counts as 0."""
    BACKFILL = b"z"
    """-> Backfill, while one is under way."""

    @staticmethod
    def stop(prefix: bytes) -> bytes:
        """First key behind all keys with that prefix."""
        return prefix[:-1] + bytes([prefix[-1] + 1])

    @staticmethod
    def object(object_id: str) -> bytes:
        """Of an object's state."""
        return keys.OBJECT + object_id.encode()

    @staticmethod
    def event(event_id: str) -> bytes:
        """Of an event's state."""
        return keys.EVENT + event_id.encode()

    @staticmethod
    def census(event_id: str) -> bytes:
        """Of the counts of an event that was forgotten."""
        return keys.CENSUS + event_id.encode()

    @staticmethod
    def shadow(object_id: str, number: int = 0) -> bytes:
        """Of an object's state as the backfill of that number makes it."""
        numbered = _SEPARATOR + _NUMBER.pack(number) if number else b""
        return keys.SHADOW + numbered + object_id.encode()

    @staticmethod
    def shadows(number: int) -> tuple[bytes, bytes]:
        """First key of the shadows of a backfill, and the first behind them."""
        if number == 0:  # behind all that have a number
            return keys.stop(keys.SHADOW + _SEPARATOR), keys.stop(keys.SHADOW)
        return keys.shadow("", number), keys.shadow("", number + 1)

    @staticmethod
    def split_shadow(entry: bytes) -> int:
        """Number of the backfill that a shadow is of."""
        numbered = entry[1:].startswith(_SEPARATOR)
        return int(_NUMBER.unpack_from(entry, 2)[0]) if numbered else 0

    @staticmethod
    def map(event_id: str, digest: str = "") -> bytes:
        """Of a sky map; without a digest, the prefix of all maps of the event."""
        return keys.MAP + event_id.encode() + _SEPARATOR + digest.encode()

    @staticmethod
    def map_part(event_id: str, digest: str, part: int | None = None) -> bytes:
        """Of a part of a sky map; without a number, the prefix of all parts."""
        number = b"" if part is None else _PART.pack(part)
        return keys.map(event_id, digest) + _SEPARATOR + number

    @staticmethod
    def candidate(event_id: str, object_id: str = "") -> bytes:
        """Of an event's entry for an object; without the object, the prefix of all of them."""
        return keys.CANDIDATE + event_id.encode() + _SEPARATOR + object_id.encode()

    @staticmethod
    def split_candidate(entry: bytes) -> str:
        """Object id of an event's entry."""
        return entry.rpartition(_SEPARATOR)[2].decode()

    @staticmethod
    def archive(event_id: str, object_id: str = "", channel: str = "") -> bytes:
        """Of an archived candidate; with the event alone, the prefix of all of them."""
        if not object_id:
            return keys.ARCHIVE + event_id.encode() + _SEPARATOR
        parts = (event_id, object_id, channel)
        return keys.ARCHIVE + _SEPARATOR.join(part.encode() for part in parts)

    @staticmethod
    def cell(cell: int, object_id: str = "") -> bytes:
        """Of an object's entry in a cell; without the object, before all entries of the cell."""
        return keys.INDEX + _CELL.pack(cell) + object_id.encode()

    @staticmethod
    def span(first_jd: float, last_jd: float) -> bytes:
        """Value of an entry in a cell: time range of the object's alerts there [JD]."""
        return _SPAN.pack(first_jd, last_jd)

    @staticmethod
    def split_cell(entry: bytes, span: bytes) -> tuple[str, float, float]:
        """(object id, first JD, last JD) of an entry in a cell."""
        first, last = _SPAN.unpack(span)
        return entry[1 + _CELL.size :].decode(), first, last

    @staticmethod
    def day(day: int, object_id: str = "") -> bytes:
        """Of an object's entry under a day; without the object, before all entries of the day.

        A day before the first Julian day, or some million years hence, is taken for the first or
        last one: codecs let none pass, and a retention may be longer than time.
        """
        return keys.TIME + _DAY.pack(min(max(day, 0), _LAST_DAY)) + object_id.encode()

    @staticmethod
    def mark(source: tuple[str, int]) -> bytes:
        """Of what a source and partition says of event time."""
        return keys.WATERMARK + encode(source)

    @staticmethod
    def times(source: tuple[str, int]) -> bytes:
        """Of the times of a source and partition."""
        return keys.TIMES + encode(source)

    @staticmethod
    def split_day(entry: bytes) -> str:
        """Object id of an entry under a day."""
        return entry[1 + _DAY.size :].decode()


_STATES = (keys.OBJECT[0], keys.EVENT[0], keys.MATTER[0])
_MARKS = (keys.SWEEP[0], keys.FORGOTTEN[0], keys.WATERMARK[0], keys.BACKFILL[0])


def commit_order(name: bytes, value: bytes | None) -> tuple[int, bytes]:
    """Sort key of a change, for stores that write a batch one key after the other.

    A store that is killed in the middle of a batch must not hold a state without what finds it, nor
    a mark that something is done which is not: first what finds states, or what they name (maps,
    messages), then states, then removals (the other way round), then marks. A shadow is removed
    after the mark that its object was brought over: an object without one counts as rejected. Last
    comes whose state it is, since what follows from a change is marked. What was left out is done
    again.
    """
    if name == keys.IDENTITY:
        return 6, name
    if name[0] == keys.SHADOW[0] and value is None:
        return 5, name
    if name[0] in _MARKS:
        return 4, name
    if value is not None:
        return int(name[0] in _STATES), name
    return (2 if name[0] in _STATES else 3), name

"""What a source is, when its records happened, and several sources as one stream."""

import heapq
import math
import re
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from types import MappingProxyType
from typing import Generic, NamedTuple, Protocol, Self, TypeVar

from ampelstream.codecs.alerts import Schemas, observed
from ampelstream.errors import AmpelstreamError
from ampelstream.model.record import SourceRecord, Stream
from ampelstream.model.times import jd_from_iso
from ampelstream.sources.window import Skipped

__all__ = [
    "After",
    "Removed",
    "Source",
    "SourceAround",
    "Waiting",
    "created_time",
    "event_time",
    "event_times",
    "merge",
    "timed",
]

After = Mapping[tuple[str, int], int]
"""(source, partition) -> last offset that has been handled."""

_AHEAD = 8
"""Records of a source that are looked at before the first one goes on: as many are in memory, and
may be of some megabytes each."""
_TOGETHER = 32
"""Records whose times are found together, if they do not have more bytes than that."""
_TOGETHER_BYTES = 4 << 20
_ROW_BYTES = 10_000
"""What a row of a table takes, about."""
_CREATED = re.compile(
    rb'"(?:time_created|alert_datetime)"\s*:\s*"([^"]{4,40})"|<Date>\s*([^<]{4,40}?)\s*</Date>'
)
"""When an IGWN alert, a notice of GCN's schema, or a VOEvent was made."""
_TRIGGER = re.compile(rb'"trigger_time"\s*:\s*"([^"]{4,40})"')
"""When what it is about happened; for a notice that does not say when it was made."""


class Waiting(NamedTuple):
    """What an input has that was not handled yet.

    Attributes
    ----------
    what
        Of what there are so many: ``files`` or ``records``.
    number
        How many; None where that cannot be known now.
    """

    what: str
    number: int | None


class Removed(NamedTuple):
    """What an input no longer holds of what was handled once.

    Attributes
    ----------
    places
        (source, partition) of which nothing that was handled is left behind what was reached.
    since_jd
        Alerts that are older [JD] may be among what is gone; None where nothing is.
    held
        Where topics are gone: those that are there, by an expression for all (see `Backfilled`).
    """

    places: Collection[tuple[str, int]] = ()
    since_jd: float | None = None
    held: Mapping[str, tuple[str, ...]] = MappingProxyType({})


class Source(Protocol):
    """An input: records in a fixed order, each with coordinates that never change.

    Attributes
    ----------
    name
        How the user called it.
    skipped
        Files and archive members that were met and hold no records of a known kind, so far.
    """

    @property
    def name(self) -> str: ...  # noqa: D102  (see the class)

    @property
    def skipped(self) -> Sequence[Skipped]: ...  # noqa: D102  (see the class)

    def read(self, after: After) -> Iterator[SourceRecord]:
        """Give the records in a fixed order, without those up to the offsets in ``after``."""
        ...

    def estimate(self) -> int | None:
        """Number of records, where that is cheaply known."""
        ...

    def waiting(self, after: After) -> Waiting:
        """How much lies behind the offsets in ``after``; asked about once a minute."""
        ...

    def holds(self, source: str) -> Stream | None:
        """What the records of that source of coordinates are, if they are of this input."""
        ...

    def removed(self, handled: After, reached: After) -> Removed:
        """What is gone for good of what was handled, behind what was reached of it by now."""
        ...

    def following(self) -> "Source":
        """Give the same records to one reader who asks again and again: each time what is new."""
        ...


S = TypeVar("S", bound=Source)


class SourceAround(Generic[S]):
    """What a source that reads another one in its own way has of that; it is the one to follow.

    Parameters
    ----------
    source
        The other.
    """

    def __init__(self, source: S) -> None:
        self._source = source

    @property
    def name(self) -> str:
        """How the user called it."""
        return self._source.name

    @property
    def skipped(self) -> Sequence[Skipped]:
        """Files and archive members that were met and not read."""
        return self._source.skipped

    def estimate(self) -> int | None:
        """Number of records, where that is cheaply known."""
        return self._source.estimate()

    def holds(self, source: str) -> Stream | None:
        """What the records of that source of coordinates are, if they are of this input."""
        return self._source.holds(source)

    def removed(self, handled: After, reached: After) -> Removed:
        """What is gone for good of what was handled."""
        return self._source.removed(handled, reached)

    def following(self) -> Self:
        """Itself."""
        return self


def created_time(value: bytes) -> float | None:
    """Time of creation [JD, UTC] of a notice; None where it does not say."""
    found = _CREATED.search(value) or _TRIGGER.search(value)
    if found is None:
        return None
    try:
        return jd_from_iso(next(filter(None, found.groups())).decode("ascii"))
    except (ValueError, OverflowError):
        return None


def event_times(
    records: Sequence[SourceRecord], schemas: Schemas | None = None
) -> list[float | None]:
    """Event times of records [JD, UTC]: of an alert its detection's, of a notice its creation's.

    An alert that only names its schema has one where that is among ``schemas``.
    """
    times: list[float | None] = [None] * len(records)
    alerts = [n for n, one in enumerate(records) if one.stream == "alerts" and not one.fault]
    # what is wrong with an alert will be found, and said, by whoever handles it
    found = observed([records[n].value for n in alerts], schemas)
    for number, time in zip(alerts, found, strict=True):
        times[number] = time
    for number, record in enumerate(records):
        if record.stream == "notices" and not record.fault and isinstance(record.value, bytes):
            times[number] = created_time(record.value)
    return times


def event_time(record: SourceRecord, schemas: Schemas | None = None) -> float | None:
    """Event time of one record [JD, UTC]; None where it has none."""
    return event_times([record], schemas)[0]


def _with_times(
    records: Iterable[SourceRecord], schemas: Schemas | None
) -> Iterator[tuple[float | None, SourceRecord]]:
    """Records with their event times, which are found for some of them together."""
    some: list[SourceRecord] = []
    size = 0
    try:
        for record in records:
            some.append(record)
            size += len(record.value) if isinstance(record.value, bytes) else _ROW_BYTES
            if len(some) >= _TOGETHER or size >= _TOGETHER_BYTES:
                held, some, size = some, [], 0
                yield from zip(event_times(held, schemas), held, strict=True)
    except AmpelstreamError:  # the source has failed; what it gave before is not lost
        yield from zip(event_times(some, schemas), some, strict=True)
        raise
    yield from zip(event_times(some, schemas), some, strict=True)


def timed(
    records: Iterable[SourceRecord], schemas: Schemas | None = None
) -> Iterator[tuple[float, SourceRecord]]:
    """Give the records of one source with the times [JD] at which they are due.

    That is their own time, but no later than the second earliest of the `_AHEAD` records behind:
    one that says that it is a year younger than all that follows waits no longer than they do. It
    takes two that are wrong, close to each other, to bring some records forward, and more than
    `_AHEAD` in a row to hold any back. A record that has no time goes with the one before it.
    """
    ahead: deque[tuple[float | None, SourceRecord]] = deque()
    due = -math.inf
    for one in _with_times(records, schemas):
        ahead.append(one)
        if len(ahead) > _AHEAD:
            due, first = _due(ahead, due)
            yield due, first
    while ahead:
        due, first = _due(ahead, due)
        yield due, first


def _due(
    ahead: deque[tuple[float | None, SourceRecord]], before: float
) -> tuple[float, SourceRecord]:
    """Take the first record, with the time at which it is due."""
    time, record = ahead.popleft()
    if time is None:
        return before, record
    behind = sorted(other for other, _ in ahead if other is not None)
    return (min(time, behind[1]) if len(behind) > 1 else time), record


def merge(
    sources: Iterable[Source], after: After, schemas: Schemas | None = None
) -> Iterator[SourceRecord]:
    """Merge sources by the event time of their next records (see `timed`).

    Within a source the order stays. The same sources give the same order, always; at equal times
    the earlier source goes first.

    Parameters
    ----------
    sources
        What to merge.
    after
        Offsets that have been handled.
    schemas
        Of packets that only name theirs: without, these have no time.
    """
    inputs = list(sources)
    if len(inputs) == 1:  # nothing to compare with: spare the look at the time
        yield from inputs[0].read(after)
        return
    streams = [timed(source.read(after), schemas) for source in inputs]
    for _, record in heapq.merge(*streams, key=itemgetter(0)):  # which is stable
        yield record

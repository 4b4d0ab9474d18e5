"""How far event time has come: a rule that no single record and no single source can break.

*Within a source* (a partition of a topic, or a directory with all below it) event time is the
median of what the last 200 alerts say of their own time, once there are 50. So one record, or any
minority of them, does not move it, and it lags behind the stream by a hundred alerts. An alert that
says it is younger than the clock of this machine is refused: it does not count. `Ticker`, in
ingest, finds this and gives a tick when a source has entered a new day, or has not given one for a
day.

*Of a topology* it is, first, that of the slowest partition of each source, and of the sources the
lower middle one: of one that one, of two the slower, of three the middle one. A source with a clock
of its own moves it only where it is alone; one that nothing was heard of for three days on which
others were does not count, until it is heard again. `Watermark`, in the objects step, keeps what
each source has said last, in the state, so that it does not matter which of several workers read
which partition.

*Days on which others were heard* are told by the clock of ingest, which each tick carries, since
the objects step has none. No single clock is trusted with it: from one tick to the next there
passes a day at the most, whatever the clock says, and ticks are compared with those of about the
same clock. So neither a machine whose clock is days ahead nor a week in which nobody listened makes
all others silent at once: each source that is alive is heard again within a day.
"""

import math
from collections.abc import Iterator
from statistics import median_low

import msgspec

from ampelstream.core.state import encode, keys
from ampelstream.model.announcement import Tick
from ampelstream.state.store import KeyValue

__all__ = ["FEWEST", "LOOK_EVERY", "SILENT_DAYS", "TOLERANCE_DAYS", "WINDOW", "Ticker", "Watermark"]

WINDOW = 200
"""Alerts of a source whose times are looked at: a hundred wrong ones in a row must come before they
are the bulk, and a survey sends two hundred within minutes."""
FEWEST = 50
"""Fewer say nothing of how far a source is: two dozen wrong ones could be most of them."""
LOOK_EVERY = 25
"""Alerts between two looks at the median: together they take 0.25 microseconds an alert."""
TOLERANCE_DAYS = 1.0 / 24.0
"""So much may an alert be younger than our clock: clocks of machines differ by seconds, times that
are no UTC by an hour or more [d]."""
SILENT_DAYS = 3.0
"""A source that was not heard for longer, while others were, does not count: a bad night or a
broken link must not, the topic of a night that is over must be let go. Clocks that differ by more
are not compared [d]."""
_TICK_DAYS = 1.0
"""A source whose event time stands still gives a tick as often all the same; so between two ticks
no more counts as time in which somebody listened [d, wall clock]."""
_FORGET_DAYS = 365.0
"""What a source said is dropped after so long: topics of single nights would add up [d on which
others were heard]."""


class _Window(msgspec.Struct, array_like=True):
    """What a source said lately.

    Attributes
    ----------
    times
        Of its last alerts, in their order [JD].
    fresh
        How many of them came since the last look at the median.
    day
        Last day of event time that was given.
    given, heard
        When the last tick was given, and the last alert came [JD, wall clock].
    """

    times: list[float]
    fresh: int = 0
    day: int = 0
    given: float = 0.0
    heard: float = 0.0


class _Mark(msgspec.Struct, array_like=True, frozen=True):
    """What a source said last.

    Attributes
    ----------
    jd, at
        Event time that it has reached, and when it said so by the clock of ingest [JD].
    heard
        The same in days on which anything was heard, from the first tick of all on.
    """

    jd: float
    at: float
    heard: float = 0.0


_Source = tuple[str, int]
"""Topic and partition; or directory, and 0."""
_source = msgspec.msgpack.Decoder(tuple[str, int])
_window = msgspec.msgpack.Decoder(_Window)
_mark = msgspec.msgpack.Decoder(_Mark)


def _entries(tables: KeyValue, table: bytes) -> Iterator[tuple[_Source, bytes]]:
    for key, value in tables.scan(table, keys.stop(table)):
        yield _source.decode(key[1:]), value


class Ticker:
    """Event time of each source that one ingest reads.

    Parameters
    ----------
    tables
        Where the times are kept between two runs, so that one that is interrupted goes on as if it
        had not been; None where ingest has no state, and begins anew with 50 alerts.
    """

    def __init__(self, tables: KeyValue | None = None) -> None:
        self._tables = tables
        self._changed: set[_Source] = set()
        self._windows: dict[_Source, _Window] = {}
        if tables is not None:
            for source, value in _entries(tables, keys.TIMES):
                self._windows[source] = _window.decode(value)

    def add(self, source: _Source, jd: float, now: float) -> Tick | None:
        """Take in the time of an alert.

        Parameters
        ----------
        source
            Where it was read.
        jd
            Its time [JD, UTC], not beyond ``now`` by more than `TOLERANCE_DAYS`.
        now
            The clock of this machine [JD, UTC].

        Returns
        -------
        Tick or None
            What to pass on; None where there is nothing new.
        """
        window = self._windows.get(source)
        if window is None:
            self._drop_silent(now)
            window = self._windows[source] = _Window([])
        self._changed.add(source)
        window.heard = now
        window.fresh += 1
        times = window.times
        times.append(jd)
        if len(times) > WINDOW:
            del times[0]
        if window.fresh < LOOK_EVERY or len(times) < FEWEST:
            return None
        window.fresh = 0
        reached = min(median_low(times), now)
        day = math.floor(reached)
        if day <= window.day and 0.0 <= now - window.given < _TICK_DAYS:
            return None  # where the last one was given later than now, the clock was wrong then
        window.day, window.given = max(day, window.day), now
        return Tick(reached, *source, now)

    def _drop_silent(self, now: float) -> None:
        for source, window in list(self._windows.items()):
            if now - window.heard > SILENT_DAYS:
                del self._windows[source]
                self._changed.add(source)

    def save(self) -> None:
        """Put what has changed since the last time into the tables, if there are any."""
        if self._tables is not None:
            for source in self._changed:
                window = self._windows.get(source)
                if window is None:
                    self._tables.delete(keys.times(source))
                else:
                    self._tables.put(keys.times(source), encode(window))
        self._changed.clear()


class Watermark:
    """Event time of the topology, in one partition of the objects.

    Parameters
    ----------
    tables
        The partition's store.

    Attributes
    ----------
    jd
        As far as the last tick says [JD, UTC]; None before the first.
    """

    def __init__(self, tables: KeyValue) -> None:
        self._tables = tables
        self._marks = {
            source: _mark.decode(value) for source, value in _entries(tables, keys.WATERMARK)
        }
        self._heard = max((mark.heard for mark in self._marks.values()), default=0.0)
        last = max((mark.at for mark in self._marks.values()), default=None)
        self.jd: float | None = None if last is None else self._reached(last)

    def take(self, tick: Tick) -> float:
        """Take in what a source says; give the event time of all of them [JD, UTC].

        Raises
        ------
        ValueError
            The tick says what ingest never does: no number, or a time beyond its own clock.
        """
        if not -math.inf < tick.jd <= tick.at < math.inf:
            raise ValueError(f"a tick of {tick.jd!r} at {tick.at!r}: event time is never ahead")
        self._heard = max(self._heard, self._heard_by(tick.at))
        source = (tick.source, tick.partition)
        known = self._marks.get(source)
        jd, at = tick.jd, tick.at
        # else of a worker whose clock was ahead, once
        if known is not None and known.jd <= at + TOLERANCE_DAYS and known.at <= at + SILENT_DAYS:
            jd, at = max(known.jd, jd), max(known.at, at)
        self._put(source, _Mark(jd, at, self._heard))
        for other, mark in list(self._marks.items()):
            if mark.heard < self._heard - _FORGET_DAYS:
                del self._marks[other]
                self._tables.delete(keys.mark(other))
        reached = self._reached(tick.at)
        self.jd = reached
        return reached

    def _heard_by(self, now: float) -> float:
        """Days on which anything was heard, by a clock that says it is now [d]."""
        alike = [mark for mark in self._marks.values() if mark.at <= now + SILENT_DAYS]
        last = max(alike, key=lambda mark: (mark.at, mark.heard), default=None)
        if last is None:
            return 0.0
        return last.heard + min(max(now - last.at, 0.0), _TICK_DAYS)

    def _put(self, source: _Source, mark: _Mark) -> None:
        if self._marks.get(source) != mark:
            self._marks[source] = mark
            self._tables.put(keys.mark(source), encode(mark))

    def _reached(self, now: float) -> float:
        slowest: dict[str, float] = {}
        for (name, _), mark in self._marks.items():
            # what says more than the clock is of a worker whose clock was ahead
            if mark.heard >= self._heard - SILENT_DAYS and mark.jd <= now + TOLERANCE_DAYS:
                slowest[name] = min(slowest.get(name, math.inf), mark.jd)
        return median_low(slowest.values())

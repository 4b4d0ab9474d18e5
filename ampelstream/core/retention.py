"""Forgetting, by event time: what the stream itself says of time, never the wall clock.

Objects without an alert for longer than the topology keeps them, and events whose window closed
longer ago than that, leave the state. Their candidates go into the archive, so that a listing at
the end of a long replay still has them.
"""

import math
from collections.abc import Iterable

import msgspec

from ampelstream.core.census import census
from ampelstream.core.events import EventStore
from ampelstream.core.objectstore import ObjectStore
from ampelstream.core.state import encode, keys
from ampelstream.model.candidate import Candidate
from ampelstream.state.store import KeyValue
from ampelstream.topology import Topology

__all__ = ["Retention"]


class Retention:
    """Forgets what is older than the topology keeps it.

    Parameters
    ----------
    topology
        Says for how long [d of event time].
    tables, events, objects
        The state.
    """

    def __init__(
        self, topology: Topology, tables: KeyValue, events: EventStore, objects: ObjectStore
    ) -> None:
        self._keep = topology.retention
        self._tables = tables
        self._events = events
        self._objects = objects
        self._topology = topology
        stored = tables.get(keys.FORGOTTEN)
        self._last_day = int(stored) if stored is not None else None

    @property
    def reached_jd(self) -> float | None:
        """Event time reached [JD], at its last new day; None before any."""
        return None if self._last_day is None else float(self._last_day)

    def advance(self, watermark_jd: float) -> None:
        """Forget when the watermark [JD] has entered a new day."""
        day = math.floor(watermark_jd)
        if self._last_day is not None and day <= self._last_day:
            return
        self._last_day = day
        self._tables.put(keys.FORGOTTEN, str(day).encode())
        self._forget_events(day)
        self._forget_objects(day)

    def _forget_events(self, day: int) -> None:
        for event in self._events.expired(day):
            counts = census(self._topology, event, self._objects)
            self._tables.put(keys.census(event.event_id), msgspec.msgpack.encode(counts))
            self._archive(self._objects.release(event.event_id))
            self._events.forget(event.event_id)

    def _forget_objects(self, day: int) -> None:
        limit = math.floor(day - self._keep.objects)
        for entry, _ in list(self._tables.scan(keys.TIME, keys.day(limit))):
            object_id = keys.split_day(entry)
            last = self._objects.last_day(object_id)
            if last is not None and last < limit:
                self._archive(self._objects.forget(object_id))
            # also where the object has gone already, or has moved on and the entry was left behind
            # by a store that was killed in the middle of a batch
            self._tables.delete(entry)

    def _archive(self, candidates: Iterable[Candidate]) -> None:
        for candidate in candidates:
            self._tables.put(keys.archive(*candidate.key), encode(candidate))

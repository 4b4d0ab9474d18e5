"""Matching a new revision of an event against many objects, slice by slice.

A region may hold tens of thousands of objects, and alerts must not wait for them all. What is left
to do is part of the state: a sweep that a kill interrupted goes on where its last commit was.
"""

from dataclasses import dataclass

from ampelstream.core import keys
from ampelstream.core.boundary import Failure, attempt
from ampelstream.core.events import Event, EventBook
from ampelstream.core.objects import Change, ObjectBook
from ampelstream.state.store import KeyValue

__all__ = ["Sweeps", "Swept"]


@dataclass(frozen=True, slots=True)
class Swept:
    """What a slice of a sweep gave.

    Attributes
    ----------
    changes
        Candidates that are new or different.
    failures
        (event, object, what went wrong) where an object could not be matched.
    """

    changes: list[Change]
    failures: list[tuple[str, str, Failure]]


class Sweeps:
    """Events whose objects have yet to be matched.

    Parameters
    ----------
    tables, events, objects
        The state.
    """

    def __init__(self, tables: KeyValue, events: EventBook, objects: ObjectBook) -> None:
        self._tables = tables
        self._events = events
        self._objects = objects
        self._open = {
            key[1:].decode(): value.decode()
            for key, value in tables.scan(keys.SWEEP, keys.stop_of(keys.SWEEP))
        }
        self._ahead: dict[str, list[str]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, event_id: str) -> None:
        """Note that all objects near the event are to be matched (again)."""
        self._ahead.pop(event_id, None)
        self._mark(event_id, "")

    def step(self, limit: int) -> Swept:
        """Match up to ``limit`` objects; one that fails keeps nothing else back."""
        swept = Swept([], [])
        if not self._open:
            return swept
        event_id = next(iter(self._open))
        event = self._events.get(event_id)
        if event is None:  # forgotten meanwhile
            self._end(event_id)
            return swept
        ahead = self._objects_ahead(event)
        now = [ahead.pop() for _ in range(min(limit, len(ahead)))]
        for name in now:
            changes = attempt(self._objects.rematch_one, name, event)
            if isinstance(changes, Failure):
                swept.failures.append((event_id, name, changes))
            else:
                swept.changes.extend(changes)
        if ahead:
            self._mark(event_id, now[-1])
        else:
            self._end(event_id)
        return swept

    def _objects_ahead(self, event: Event) -> list[str]:
        """Objects that are left, the next one last.

        Those that come near while the sweep runs are matched when their alert is taken in.
        """
        if event.event_id not in self._ahead:
            done = self._open[event.event_id]
            names = [name for name in self._objects.ids_near(event) if name > done]
            self._ahead[event.event_id] = names[::-1]
        return self._ahead[event.event_id]

    def _mark(self, event_id: str, done: str) -> None:
        self._open[event_id] = done
        self._tables.put(keys.SWEEP + event_id.encode(), done.encode())

    def _end(self, event_id: str) -> None:
        del self._open[event_id]
        self._ahead.pop(event_id, None)
        self._tables.delete(keys.SWEEP + event_id.encode())

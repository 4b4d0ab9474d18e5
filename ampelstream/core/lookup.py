"""Reading a state without changing it: objects, and the candidates of an object or an event.

The stores read through this, and so does whoever answers questions about a state that a processor
works on (committed state only, from another thread).
"""

from collections.abc import Iterable, Iterator

from ampelstream.core.association import Associations
from ampelstream.core.matching import placed, with_evidence
from ampelstream.core.state import EventState, ObjectState, decode, keys
from ampelstream.model.candidate import Candidate
from ampelstream.state.store import Readable
from ampelstream.topology import Topology

__all__ = ["Lookup"]


class Lookup:
    """Read-only access to the objects of a partition and what is known of events there.

    Parameters
    ----------
    topology
        The workflow.
    tables
        The store.
    """

    def __init__(self, topology: Topology, tables: Readable) -> None:
        self._topology = topology
        self._reading = tables
        self._channels = {channel.name: channel for channel in topology.channels}
        self._associations = Associations(topology, tables, self.get)

    def get(self, object_id: str) -> ObjectState | None:
        """State of an object, or None."""
        value = self._reading.get(keys.object(object_id))
        return None if value is None else decode.object(value)

    def event(self, event_id: str) -> EventState | None:
        """What is known of an event, or None."""
        value = self._reading.get(keys.event(event_id))
        return None if value is None else decode.event(value)

    def has(self, channel: str, event_id: str) -> bool:
        """Whether the topology has a channel of that name with candidates of (no) events."""
        known = self._channels.get(channel)
        return known is not None and known.follows is bool(event_id)

    def knows(self, event_id: str) -> bool:
        """Whether the event is or was in the state: of a forgotten one its counts are left."""
        held = self._reading.get(keys.event(event_id))
        return held is not None or self._reading.get(keys.census(event_id)) is not None

    def __iter__(self) -> Iterator[ObjectState]:
        """Objects in the order of their names."""
        for _, value in self._reading.scan(keys.OBJECT, keys.stop(keys.OBJECT)):
            yield decode.object(value)

    def candidates_of(self, state: ObjectState) -> Iterator[Candidate]:
        """Last revisions of an object's candidates, with light curve and coordinates."""
        return self._evidence(state, state.candidates)

    def candidate(self, key: tuple[str, str, str]) -> Candidate | None:
        """Last revision of one candidate (event, object, channel), or None; archived ones too."""
        state = self.get(key[1])
        found = () if state is None else tuple(one for one in state.candidates if one.key == key)
        if state is not None and found:
            return next(self._evidence(state, found))
        value = self._reading.get(keys.archive(*key))
        return None if value is None else decode.candidate(value)

    def candidates_for(self, event_id: str) -> Iterator[Candidate]:
        """Last revisions of an event's candidates, with light curve and coordinates.

        Those without an event where the name is empty.

        Found through the event's own entries: what else the store holds is not read. Those of
        objects or events that were forgotten are the archived ones.
        """
        prefix = keys.candidate(event_id)
        entries = self._reading.scan(prefix, keys.stop(prefix))
        states = (self.get(keys.split_candidate(entry)) for entry, _ in entries)
        yield from self._with_archived(states, keys.archive(event_id), event_id)

    def candidates(self) -> Iterator[Candidate]:
        """Last revision of every candidate, with light curve and coordinates, archived ones too."""
        yield from self._with_archived(self, keys.ARCHIVE)

    def _with_archived(
        self, states: Iterable[ObjectState | None], archived: bytes, event_id: str | None = None
    ) -> Iterator[Candidate]:
        """Candidates of these objects, and archived ones that did not come back since."""
        live: set[tuple[str, str, str]] = set()
        for state in states:
            if state is not None:
                mine = tuple(c for c in state.candidates if event_id in {None, c.event_id})
                live.update(one.key for one in mine)
                yield from self._evidence(state, mine)
        for _, value in self._reading.scan(archived, keys.stop(archived)):
            candidate = decode.candidate(value)
            if candidate.key not in live:
                yield candidate

    def _evidence(
        self, state: ObjectState, candidates: tuple[Candidate, ...]
    ) -> Iterator[Candidate]:
        if not candidates:
            return
        curve = placed(state)
        names = {one.event_id for one in candidates}
        events = {name: self.event(name) if name else None for name in names}
        for candidate in candidates:
            channel, event = self._channels.get(candidate.channel), events[candidate.event_id]
            if channel is None or (event is None and candidate.event_id):
                yield candidate
            else:
                seen = curve
                if candidate.associated:
                    seen = self._associations.again(curve, candidate.associated)
                yield with_evidence(channel, candidate, state, seen, event)

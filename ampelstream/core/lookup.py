"""Reading a state without changing it: objects, and the candidates of an object or an event.

The stores read through this, and so does whoever answers questions about a state that a processor
works on (committed state only, from another thread).
"""

from collections.abc import Iterator

from ampelstream.core.lightcurves import light_curve
from ampelstream.core.matching import with_evidence
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

    def get(self, object_id: str) -> ObjectState | None:
        """State of an object, or None."""
        value = self._reading.get(keys.object(object_id))
        return None if value is None else decode.object(value)

    def event(self, event_id: str) -> EventState | None:
        """What is known of an event, or None."""
        value = self._reading.get(keys.event(event_id))
        return None if value is None else decode.event(value)

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

    def candidates_for(self, event_id: str) -> Iterator[Candidate]:
        """Last revisions of an event's candidates, with light curve and coordinates.

        Found through the event's own entries: what else the store holds is not read. Those of
        objects or events that were forgotten are the archived ones.
        """
        prefix = keys.archive(event_id)
        for _, value in self._reading.scan(prefix, keys.stop(prefix)):
            yield decode.candidate(value)
        prefix = keys.candidate(event_id)
        for entry, _ in self._reading.scan(prefix, keys.stop(prefix)):
            state = self.get(keys.split_candidate(entry))
            if state is not None:
                mine = tuple(one for one in state.candidates if one.event_id == event_id)
                yield from self._evidence(state, mine)

    def candidates(self) -> Iterator[Candidate]:
        """Last revision of every candidate, with light curve and coordinates, archived ones too."""
        for _, value in self._reading.scan(keys.ARCHIVE, keys.stop(keys.ARCHIVE)):
            yield decode.candidate(value)
        for state in self:
            yield from self.candidates_of(state)

    def _evidence(
        self, state: ObjectState, candidates: tuple[Candidate, ...]
    ) -> Iterator[Candidate]:
        if not candidates:
            return
        curve = light_curve(state.object_id, state.datapoints)
        events = {name: self.event(name) for name in {one.event_id for one in candidates}}
        for candidate in candidates:
            channel, event = self._channels.get(candidate.channel), events[candidate.event_id]
            if channel is None or event is None:
                yield candidate
            else:
                yield with_evidence(channel, candidate, state, curve, event)

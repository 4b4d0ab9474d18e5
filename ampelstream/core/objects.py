"""The second processor: detections and events become candidates.

One for each partition of the objects (one in all where the topology runs in one process), with the
objects of that partition and a copy of every event. A detection is matched against the events at
once: `Objects.process` -> `ObjectStore.add` (``objectstore.py``) -> `evaluate` (``matching.py``). A
new revision of an event concerns many objects: they are matched in slices, by `Objects.advance`,
which the runtime calls while `Objects.pending` says that something is left, so that alerts need not
wait for them all. What is left to do is part of the state: a sweep that a kill interrupted goes on
where its last commit was.
"""

from collections.abc import Callable, Iterable, Sequence

import msgspec

from ampelstream.codecs import own
from ampelstream.core.accounting import Tally
from ampelstream.core.boundary import Failure, attempt, dead_letter
from ampelstream.core.census import EventCensus, census
from ampelstream.core.events import EventStore, MapCache
from ampelstream.core.objectstore import Matched, ObjectStore
from ampelstream.core.retention import Retention
from ampelstream.core.state import claim, keys
from ampelstream.model.announcement import Announcement, Tick
from ampelstream.model.candidate import Candidate
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.detection import Detection
from ampelstream.model.streams import KEY_SEPARATOR, Output, Record, candidate_key
from ampelstream.sky.skymap import SkyMap
from ampelstream.state.store import KeyValue
from ampelstream.topology import Topology

__all__ = ["Objects", "Sweeps"]

_LOOK_EVERY = 25
"""Objects between two looks at the time."""


class Objects:
    """Objects and events of one partition.

    Parameters
    ----------
    topology
        The workflow.
    state
        The partition's store; what is changed waits there until the runtime commits it.
    tally
        What happened is counted here.
    maps
        Sky maps in memory; shared by the partitions of a process.
    clock
        Seconds that never go back.
    inputs
        Digest of the inputs, for a replay (see `claim`).

    Raises
    ------
    ConfigError
        The state belongs to another topology.
    """

    def __init__(
        self,
        topology: Topology,
        state: KeyValue,
        tally: Tally,
        clock: Callable[[], float],
        *,
        maps: MapCache | None = None,
        inputs: str = "",
    ) -> None:
        claim(state, topology, inputs)
        self.events = EventStore(topology, state, maps)
        self.store = ObjectStore(topology, state, self.events)
        self._topology = topology
        self._tables = state
        self._retention = Retention(topology, state, self.events, self.store)
        self._sweeps = Sweeps(state)
        self._tally = tally
        self._clock = clock

    @property
    def pending(self) -> int:
        """Events whose objects have yet to be matched."""
        return len(self._sweeps)

    @property
    def watermark_jd(self) -> float | None:
        """Event time reached [JD, to the day]; None where no alert has said anything of it."""
        return self._retention.reached_jd

    def committed(self) -> None:
        """What was done since the last time is durable."""
        self._tally.commit()

    # --- records --------------------------------------------------------------------------------

    def process(self, batch: Sequence[Record]) -> list[Output]:
        """Take in detections, events and ticks of event time, in order."""
        outputs: list[Output] = []
        for record in batch:
            value = attempt(_decoded, record)
            if not isinstance(value, Failure):
                done = attempt(self._take, value)
                if not isinstance(done, Failure):
                    outputs.extend(done)
                    continue
                outputs.append(self._failed(record, value, done))
            else:
                outputs.append(self._failed(record, None, value))
        return outputs

    def _take(self, value: Detection | Announcement | Tick) -> list[Output]:
        if isinstance(value, Detection):
            return self._detection(value)
        if isinstance(value, Announcement):
            return self._announcement(value)
        self._retention.advance(value.jd)
        return []

    def _detection(self, detection: Detection) -> list[Output]:
        merged = self.store.add(detection)
        new = [name for name in detection.channels if name not in merged.known]
        if new:
            self._tally.count("accepted")
        else:
            self._tally.count("known", "alerts")
        for name in detection.channels:
            self._tally.count("channel_accepted" if name in new else "channel_known", name)
        return self._outputs(merged.matched, detection.where, "detections")

    def _announcement(self, announcement: Announcement) -> list[Output]:
        """Take in a revision of an event; the objects near it are matched by the sweeps.

        One that is known is swept again: a store that failed in the middle of a batch may hold the
        event without the note that its objects have yet to be matched.
        """
        skymap = SkyMap.from_bytes(announcement.skymap) if announcement.skymap else None
        revision = announcement.revision
        before = self.events.get(revision.event_id)
        event, new = self.events.add(revision, skymap, announcement.where, announcement.member)
        self._sweeps.begin(revision.event_id, moved=not new and event is not before)
        if new:
            self._tally.count("revised")
        else:
            self._tally.count("known", "notices")
        return []

    # --- sweeps ---------------------------------------------------------------------------------

    def advance(self, budget_seconds: float | None = None) -> list[Output]:
        """Match objects against events that are new or have a new revision.

        Parameters
        ----------
        budget_seconds
            For how long at the most, about [s]; None until nothing is left to match.
        """
        outputs: list[Output] = []
        until = None if budget_seconds is None else self._clock() + budget_seconds
        while len(self._sweeps):
            outputs.extend(self._slice(_LOOK_EVERY))
            if until is not None and self._clock() >= until:
                break
        return outputs

    def _slice(self, limit: int) -> list[Output]:
        event_id, moved = self._sweeps.next()
        event = self.events.get(event_id)
        if event is None:  # forgotten meanwhile
            self._sweeps.end(event_id)
            return []
        outputs: list[Output] = []
        names = self._sweeps.take(event_id, limit, lambda: self.store.ids_near(event))
        where = event.state.revisions[-1].where
        for name in names:
            matched = attempt(self.store.rematch, name, event, moved=moved)
            if isinstance(matched, Failure):
                failures = [((event_id, name, ""), matched)]
                matched = Matched([], failures)
            outputs.extend(self._outputs(matched, where, "events"))
        return outputs

    # --- outputs --------------------------------------------------------------------------------

    def _outputs(self, matched: Matched, where: Coordinates, stream: str) -> list[Output]:
        outputs = [Output("candidates", candidate_key(one), one) for one in matched.candidates]
        self._tally.count("candidates", n=len(outputs))
        for (event_id, object_id, channel), failure in matched.failures:
            named = f"channel {channel}: " if channel else ""
            reason = f"object {object_id} against event {event_id}: {named}{failure.reason}"
            whole = Failure(failure.error, reason)
            outputs.append(dead_letter(self._tally, where, stream, "match", whole))
        return outputs

    def _failed(
        self, record: Record, value: Detection | Announcement | Tick | None, failure: Failure
    ) -> Output:
        """Dead letter of a whole record; it names the record of the survey where that is known."""
        where = record.where if value is None or isinstance(value, Tick) else value.where
        data = record.value if isinstance(record.value, bytes) else _encoded(value)
        if not isinstance(value, Tick):
            self._tally.count("failed", record.stream)
        return dead_letter(self._tally, where, record.stream, "objects", failure, value=data or b"")

    # --- what is known --------------------------------------------------------------------------

    def candidates(self) -> list[Candidate]:
        """Last revision of each candidate, sorted by event, object and channel."""
        return sorted(self.store.candidates(), key=lambda candidate: candidate.key)

    def censuses(self) -> list[EventCensus]:
        """Counts of each event, sorted by name; of those that were forgotten, as they were then."""
        found = [census(self._topology, event, self.store) for event in self.events]
        for _, value in self._tables.scan(keys.CENSUS, keys.stop(keys.CENSUS)):
            found.append(msgspec.msgpack.decode(value, type=EventCensus))
        return sorted(found, key=lambda one: one.event_id)

    def skymap(self, event_id: str) -> SkyMap | None:
        """Sky map of an event's current revision; None without one."""
        event = self.events.get(event_id)
        return None if event is None else event.skymap()

    def again(self, keys_: Sequence[str]) -> list[Output]:
        """Make the candidates of these keys anew; one that the state does not have is removed."""
        outputs: list[Output] = []
        for name in keys_:
            event_id, object_id, channel = name.split(KEY_SEPARATOR)
            found = self.store.candidate((event_id, object_id, channel))
            outputs.append(Output("candidates", name, found))
        return outputs


def _decoded(record: Record) -> Detection | Announcement | Tick:
    value = record.value
    if isinstance(value, bytes):
        if own.is_tick(value):
            return own.decode_tick(value)
        if record.stream == "detections":
            return own.decode_detection(value)
        return own.decode_announcement(value)
    if isinstance(value, Detection | Announcement | Tick):
        return value
    raise TypeError(f"a record of {record.stream} holds {type(value).__name__}")


def _encoded(value: Detection | Announcement | Tick | None) -> bytes:
    if isinstance(value, Detection):
        return own.encode_detection(value)
    if isinstance(value, Announcement):
        return own.encode_announcement(value)
    return b"" if value is None else own.encode_tick(value)


_PROGRESS = msgspec.msgpack.Decoder(tuple[str, bool])
"""Of a sweep in the state: last object that was matched, and ``moved`` (see `Sweeps.begin`)."""


class Sweeps:
    """Events whose objects have yet to be matched, and how far each has come.

    Parameters
    ----------
    tables
        The store.
    """

    def __init__(self, tables: KeyValue) -> None:
        self._tables = tables
        self._open: dict[str, tuple[str, bool]] = {
            entry[1:].decode(): _PROGRESS.decode(value)
            for entry, value in tables.scan(keys.SWEEP, keys.stop(keys.SWEEP))
        }
        self._ahead: dict[str, list[str]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, event_id: str, *, moved: bool) -> None:
        """Note that all objects near the event are to be matched (again).

        Parameters
        ----------
        event_id
            Which event.
        moved
            Whether candidates count as changed although they say the same (see `rematch`).
        """
        self._ahead.pop(event_id, None)
        _, before = self._open.get(event_id, ("", False))
        self._mark(event_id, "", moved=moved or before)

    def next(self) -> tuple[str, bool]:
        """Event whose turn it is, and whether its candidates count as changed."""
        event_id = next(iter(self._open))
        return event_id, self._open[event_id][1]

    def take(self, event_id: str, limit: int, near: Callable[[], Iterable[str]]) -> list[str]:
        """Give up to ``limit`` objects to match next, and note that they are.

        Parameters
        ----------
        event_id, limit
            Of which event, and how many.
        near
            Gives all objects near the event, sorted; asked once. Those that come near while the
            sweep runs are matched when their alert is taken in.
        """
        done, moved = self._open[event_id]
        if event_id not in self._ahead:
            self._ahead[event_id] = [name for name in near() if name > done][::-1]
        ahead = self._ahead[event_id]
        taken = [ahead.pop() for _ in range(min(limit, len(ahead)))]
        if ahead:
            self._mark(event_id, taken[-1], moved=moved)
        else:
            self.end(event_id)
        return taken

    def end(self, event_id: str) -> None:
        """Nothing is left to match for this event."""
        del self._open[event_id]
        self._ahead.pop(event_id, None)
        self._tables.delete(keys.SWEEP + event_id.encode())

    def _mark(self, event_id: str, done: str, *, moved: bool) -> None:
        self._open[event_id] = (done, moved)
        self._tables.put(keys.SWEEP + event_id.encode(), msgspec.msgpack.encode((done, moved)))

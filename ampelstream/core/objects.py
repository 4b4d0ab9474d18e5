"""The second processor: detections and events become candidates.

One for each partition of the objects (one in all where the topology runs in one process), with the
objects of that partition and a copy of every event. A detection is matched against the events at
once: `Objects.process` -> `ObjectStore.add` (``objectstore.py``) -> `evaluate` (``matching.py``). A
new revision of an event concerns many objects: they are matched in slices, by `Objects.advance`,
which the runtime calls while `Objects.pending` says that something is left, so that alerts need not
wait for them all. What is left to do is part of the state: a sweep that a kill interrupted goes on
where its last commit was. A topology that has changed since the state was used last is followed in
the same way: all events are swept, which gives every candidate as the topology now has it.

Where units are heavy, several objects are evaluated at the same time (``evaluation.py``).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec

from ampelstream.codecs import own
from ampelstream.core.accounting import Tally
from ampelstream.core.backfill import Refiltering
from ampelstream.core.boundary import Failure, attempt, attempting, dead_letter
from ampelstream.core.census import EventCensus, census
from ampelstream.core.evaluation import ALONE, Evaluation, Task, nothing, side_by_side
from ampelstream.core.events import Event, EventStore, MapCache
from ampelstream.core.inhand import WORKER_DIED, InHand, Unwatched
from ampelstream.core.objectstore import Matched, ObjectStore
from ampelstream.core.ownership import Word, claim
from ampelstream.core.retention import Retention
from ampelstream.core.sharing import Sharing
from ampelstream.core.state import keys
from ampelstream.errors import SourceError
from ampelstream.model.announcement import Announcement, Backfilled, Tick
from ampelstream.model.candidate import Candidate
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.detection import Detection
from ampelstream.model.streams import KEY_SEPARATOR, Output, Record, candidate_key
from ampelstream.sky.skymap import SkyMap
from ampelstream.state.store import KeyValue
from ampelstream.topology import Topology

__all__ = ["Objects", "Sweeps"]

_CLEARED_AT_ONCE = 500
"""Shadows that are removed between two looks at the clock."""
_NO_RECORD = Coordinates("backfill", 0, -1)
"""Where a dead letter comes from that no record caused."""
_NO_EVENT = Coordinates("sweep", 0, -1)
"""Where one comes from that a change of the topology caused, in a channel without events."""
_ALONE = (keys.candidate(""), keys.stop(keys.candidate("")))
"""Range of what finds candidates without an event."""

Value = Detection | Announcement | Tick | Backfilled


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
    word
        From when on changed filters count, where the topology has changed (see `claim`).
    backfill
        Name of the backfill, where there is to be one.
    in_hand
        Is told which record or object is about to be handled.
    at_once
        How many objects are evaluated at the same time, where units are heavy.

    Raises
    ------
    ConfigError
        The state belongs to another topology, or a word is needed.
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
        word: Word | None = None,
        backfill: str = "",
        in_hand: InHand | None = None,
        at_once: int = 1,
    ) -> None:
        claimed = claim(state, topology, inputs, word=word, backfill=backfill)
        self.events = EventStore(topology, state, maps)
        self.store = ObjectStore(topology, state, self.events)
        self._topology = topology
        self._tables = state
        self._retention = Retention(topology, state, self.events, self.store)
        self._sweeps = Sweeps(state)
        self._refiltering = Refiltering(state)
        self._tally = tally
        self._clock = clock
        self._in_hand = in_hand or Unwatched()
        self._at_once = at_once
        self.changes = claimed.changes
        self.gave_up = False
        """Whether a backfill was under way, and none is any longer."""
        if claimed.changes:
            for event in self.events:  # rules have changed, too: `React` sees every candidate
                self._sweeps.begin(event.event_id, moved=True)
            if topology.alone or any(True for _ in state.scan(*_ALONE)):
                self._sweeps.begin("", moved=True)
        # one that is under way for other filters: a channel went, which asks for no word; also one
        # whose beginning was cut short, so that shadows of the one before may be left
        other = claimed.filters_differ or self._refiltering.filters != topology.filters
        stale = self._refiltering.filters != "" and other
        # missed: this partition never saw the topology that was in force in between
        asked = claimed.refilters or not claimed.used or claimed.missed
        again = word is Word.BACKFILL or backfill != ""
        if (again and asked) or (stale and (again or word is not Word.FROM_NOW_ON)):
            self._refiltering.begin(backfill, topology.filters)
        elif not self._refiltering.pending and (
            stale or claimed.refilters or (word is Word.FROM_NOW_ON and not again)
        ):
            # one that has been read is finished first: it was asked for
            self.gave_up = self._refiltering.filters != ""
            self._refiltering.end()

    @property
    def pending(self) -> int:
        """Events whose objects have yet to be matched; and one more for a backfill."""
        refiltering = self._refiltering
        return len(self._sweeps) + (refiltering.pending or refiltering.littered)

    @property
    def awaits_backfill(self) -> bool:
        """Whether earlier alerts are to be read again, for the filters of the topology."""
        filters = self._topology.filters
        return self._refiltering.filters == filters and not self._refiltering.pending

    @property
    def watermark(self) -> float | None:
        """Event time by which is forgotten [JD, UTC]; None before the first tick."""
        return self._retention.watermark.jd

    def keep(self, since_jd: float | None, held: Mapping[str, tuple[str, ...]]) -> None:
        """Note what the backfill cannot read again (see `Backfilled`)."""
        self._refiltering.keep(since_jd, held)

    def committed(self) -> None:
        """What was done since the last time is durable."""
        self._tally.commit()
        self._in_hand.committed()

    # --- records --------------------------------------------------------------------------------

    def process(self, batch: Iterable[Record]) -> list[Output]:
        """Take in detections, events and ticks of event time, in order."""
        outputs: list[Output] = []
        for done in side_by_side(self._records(batch), self._at_once):
            outputs.extend(done)
        return outputs

    def _records(self, batch: Iterable[Record]) -> Iterator[Task[list[Output]]]:
        for record in batch:
            doubtful = self._in_hand.doubtful(record.where)
            if doubtful:
                yield ALONE, nothing([])  # nothing else is to be in hand from here on
            fault = self._in_hand.begin(record.where)
            value = Failure(WORKER_DIED, fault) if fault else attempt(_decoded, record)
            if not isinstance(value, Detection):
                yield ALONE, self._handled(record, value, record.where)
                continue
            # named by the alert: after a death it may lie on the stream once more
            self._in_hand.end(record.where)
            if self._in_hand.doubtful(value.where):
                doubtful = True
                yield ALONE, nothing([])
            fault = self._in_hand.begin(value.where)
            given = Failure(WORKER_DIED, fault) if fault else value
            key = ALONE if doubtful or self.store.joins else value.object_id
            yield key, self._handled(record, given, value.where, value)

    def _handled(
        self,
        record: Record,
        value: Value | Failure,
        what: Coordinates,
        decoded: Value | None = None,
    ) -> Evaluation[list[Output]]:
        if isinstance(value, Failure):
            known = record.value if isinstance(record.value, Value) else decoded
            done = [self._failed(record, known, value)]
        else:
            taken = yield from attempting(self._take, value)
            done = [self._failed(record, value, taken)] if isinstance(taken, Failure) else taken
        self._in_hand.end(what)
        return done

    def _take(self, value: Value) -> Evaluation[list[Output]]:
        if isinstance(value, Detection):
            return (yield from self._detection(value))
        if isinstance(value, Announcement):
            return self._announcement(value)
        if isinstance(value, Backfilled):
            self._refiltering.read(value)
            return []
        self._retention.advance(value)
        return []

    def _detection(self, detection: Detection) -> Evaluation[list[Output]]:
        shadow = attempt(self._refiltering.add, detection)
        if detection.backfill:
            if shadow is None:
                self._tally.count("backfilled")
            return self._not_in_shadow(detection, shadow)
        merged = yield from self.store.add(detection)
        new = [name for name in detection.channels if name not in merged.known]
        if new:
            self._tally.count("accepted")
        else:
            self._tally.count("known", "alerts")
        for name in detection.channels:
            self._tally.count("channel_accepted" if name in new else "channel_known", name)
        outputs = self._outputs(merged.matched, detection.where, "detections")
        return self._not_in_shadow(detection, shadow) + outputs

    def _not_in_shadow(self, detection: Detection, failure: Failure | None) -> list[Output]:
        """Dead letter of what a backfill will not have; the object itself may have it."""
        if failure is None:
            return []
        value = own.encode_detection(detection)
        where, step = detection.where, "backfill"
        return [dead_letter(self._tally, where, "detections", step, failure, value=value)]

    def _announcement(self, announcement: Announcement) -> list[Output]:
        """Take in a revision of an event; the objects near it are matched by the sweeps.

        One whose sky map comes in parts waits, in the state, for the last of them.

        One that is known is swept again: a store that failed in the middle of a batch may hold the
        event without the note that its objects have yet to be matched.
        """
        if announcement.part + 1 < announcement.parts:
            self.events.keep_part(announcement)
            return []
        revision = announcement.revision
        before = self.events.get(revision.event_id)
        event, new = self.events.add(announcement)
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
        for done in side_by_side(self._objects(until), self._at_once):
            outputs.extend(done)
        return outputs

    def _objects(self, until: float | None) -> Iterator[Task[list[Output]]]:
        """Objects to match next, as long as there is time."""
        while self.pending:
            if len(self._sweeps):
                yield from self._next_of_sweep()
            elif self._refiltering.pending:
                yield from self._next_of_backfill()
            else:
                self._refiltering.clear(_CLEARED_AT_ONCE)
            if until is not None and self._clock() >= until:
                break

    def _next_of_sweep(self) -> Iterator[Task[list[Output]]]:
        event_id, moved = self._sweeps.next()
        event = self.events.get(event_id) if event_id else None
        if event is None and event_id:  # forgotten meanwhile
            self._sweeps.end(event_id)
            return
        for name in self._taken(event):
            doubtful = self._in_hand.doubtful((event_id, name))
            yield ALONE if doubtful else name, self._rematch(name, event, moved=moved)

    def _next_of_backfill(self) -> Iterator[Task[list[Output]]]:
        for name in self._refiltering.take(1):
            doubtful = self._in_hand.doubtful(("", name))
            yield ALONE if doubtful or self.store.joins else name, self._bring_over(name)

    def _taken(self, event: Event | None) -> list[str]:
        if event is None:
            return self._sweeps.take("", 1, self.store.ids_alone)
        return self._sweeps.take(event.event_id, 1, lambda: self.store.ids_near(event))

    def _rematch(self, name: str, event: Event | None, *, moved: bool) -> Evaluation[list[Output]]:
        what = ("" if event is None else event.event_id, name)
        fault = self._in_hand.begin(what)
        matched: Matched | Failure = Failure(WORKER_DIED, fault)
        if not fault:
            matched = yield from attempting(self.store.rematch, name, event, moved=moved)
        if isinstance(matched, Failure):
            matched = Matched([], [((*what, ""), matched)])
        where, stream = _NO_EVENT, "detections"
        if event is not None:
            where, stream = event.state.revisions[-1].where, "events"
        outputs = self._outputs(matched, where, stream)
        self._in_hand.end(what)
        return outputs

    def _bring_over(self, name: str) -> Evaluation[list[Output]]:
        """Let an object become what a backfill made of it."""
        what = ("", name)
        fault = self._in_hand.begin(what)
        shadow = self._refiltering.taken(name)
        matched: Matched | Failure = Failure(WORKER_DIED, fault)
        if not fault:
            stays = self._refiltering.stays
            matched = yield from attempting(self.store.refilter, name, shadow, stays)
        if isinstance(matched, Failure):
            matched = Matched([], [((*what, ""), matched)])
        outputs = self._outputs(matched, _NO_RECORD, "detections")
        self._in_hand.end(what)
        return outputs

    # --- outputs --------------------------------------------------------------------------------

    def _outputs(self, matched: Matched, where: Coordinates, stream: str) -> list[Output]:
        outputs = [Output("candidates", candidate_key(one), one) for one in matched.candidates]
        self._tally.count("candidates", n=len(outputs))
        for key, number in matched.counts.items():
            self._tally.count(*key, n=number)
        for (event_id, object_id, channel), failure in matched.failures:
            named = f"channel {channel}: " if channel else ""
            alone = "brought over by a backfill" if where == _NO_RECORD else "without an event"
            about = f"against event {event_id}" if event_id else alone
            reason = f"object {object_id} {about}: {named}{failure.reason}"
            whole = Failure(failure.error, reason)
            outputs.append(dead_letter(self._tally, where, stream, "match", whole))
        return outputs

    def _failed(self, record: Record, value: Value | None, failure: Failure) -> Output:
        """Dead letter of a whole record; it names the record of the survey where that is known."""
        where = value.where if isinstance(value, Detection | Announcement) else record.where
        data = record.value if isinstance(record.value, bytes) else _encoded(value)
        again = isinstance(value, Detection) and value.backfill  # counted when it was new
        if not (again or isinstance(value, Tick | Backfilled)):
            self._tally.count("failed", record.stream)
        return dead_letter(self._tally, where, record.stream, "objects", failure, value=data or b"")

    # --- what is known --------------------------------------------------------------------------

    def candidates(self) -> list[Candidate]:
        """Last revision of each candidate, sorted by event, object and channel."""
        return sorted(map(Sharing(), self.store.candidates()), key=lambda candidate: candidate.key)

    def censuses(self) -> list[EventCensus]:
        """Counts of each event, sorted by name; of those that were forgotten, as they were then."""
        found = [census(self._topology, event, self.store) for event in self.events]
        for _, value in self._tables.scan(keys.CENSUS, keys.stop(keys.CENSUS)):
            found.append(msgspec.msgpack.decode(value, type=EventCensus))
        return sorted(found, key=lambda one: one.event_id)

    def skymap(self, event_id: str) -> SkyMap | None:
        """Sky map of the last revision that has one, followed or not; None without one."""
        event = self.events.get(event_id)
        return None if event is None else event.last_skymap()

    def again(self, keys_: Sequence[str]) -> list[Output]:
        """Make the candidates of these keys anew; one that the state does not have is removed."""
        outputs: list[Output] = []
        for name in keys_:
            event_id, object_id, channel = name.split(KEY_SEPARATOR)
            found = self.store.candidate((event_id, object_id, channel))
            outputs.append(Output("candidates", name, found))
        return outputs


def _decoded(record: Record) -> Value:
    value = record.value
    if record.fault:
        raise SourceError(record.fault)
    if isinstance(value, bytes):
        if own.is_tick(value):
            return own.decode_tick(value)
        if own.is_backfilled(value):
            return own.decode_backfilled(value)
        if record.stream == "detections":
            return own.decode_detection(value)
        return own.decode_announcement(value)
    if isinstance(value, Value):
        return value
    raise TypeError(f"a record of {record.stream} holds {type(value).__name__}")


def _encoded(value: Value | None) -> bytes:
    if isinstance(value, Detection):
        return own.encode_detection(value)
    if isinstance(value, Announcement):
        return own.encode_announcement(value)
    if isinstance(value, Backfilled):
        return own.encode_backfilled(value)
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

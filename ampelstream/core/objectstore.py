"""Objects: their alerts, their light curves and their candidates.

A detection is matched against the events known (`ObjectStore.add`); an event, or its new revision,
is matched against the objects known (`ObjectStore.rematch`), which are found through an index of
the sky, not by reading them all. Channels that follow no events have their say of each object, too:
where an event stands below, None stands for their candidates. Both end in `ObjectStore._match`,
which evaluates each channel and event (``matching.py``) and writes the object where something has
changed. ``objects.py`` calls all this. All three are generators: they stop while a heavy unit
computes (``evaluation.py``), and meanwhile other objects may be matched, but not the same one.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from ampelstream.codecs.own import encode_candidate
from ampelstream.core.accounting import CountKey
from ampelstream.core.boundary import Failure, attempting
from ampelstream.core.evaluation import Evaluation
from ampelstream.core.events import CELL_BITS, Event, EventStore
from ampelstream.core.lightcurves import merge_datapoints
from ampelstream.core.lookup import Lookup
from ampelstream.core.matching import evaluate, placed, results_of, with_evidence
from ampelstream.core.state import AcceptedAlert, EventState, ObjectState, encode, keys
from ampelstream.errors import StateError
from ampelstream.model.candidate import Candidate, CandidateStatus
from ampelstream.model.detection import Detection
from ampelstream.model.streams import MAX_RECORD_BYTES
from ampelstream.sky.healpix import pixel29
from ampelstream.state.store import KeyValue
from ampelstream.topology import Channel, Topology

__all__ = ["Matched", "Merged", "ObjectStore", "merge_detection"]

_CERTAINLY_SMALL = 1 << 20
"""A candidate of an object whose state is smaller [byte] fits any stream: the state holds all that
the candidate holds, in a form that is at most a few times more compact."""


@dataclass(slots=True)
class Matched:
    """What matching an object gave.

    Attributes
    ----------
    candidates
        Those that are new or different, with light curve and coordinates.
    failures
        (candidate key, what went wrong) of those that could not be evaluated, or are too large.
    counts
        What units and match filters did.
    """

    candidates: list[Candidate]
    failures: list[tuple[tuple[str, str, str], Failure]]
    counts: Counter[CountKey] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Merged:
    """What a detection did.

    Attributes
    ----------
    known
        Channels that had accepted this very alert before, sorted.
    matched
        What became of its candidates.
    """

    known: tuple[str, ...]
    matched: Matched


def _merge_alert(known: AcceptedAlert | None, fresh: AcceptedAlert) -> AcceptedAlert:
    """An alert that came once more.

    The record with the smaller coordinates says when and where the detection was, whichever came
    first; the channels are those of both. Of one record that was read twice, between which units
    began to ask for more of its fields, what was read of more stands.
    """
    if known is None:
        return fresh
    channels = tuple(sorted({*known.channels, *fresh.channels}))
    first = min(known, fresh, key=lambda one: (one.where, one.jd, one.ra, one.dec, _fewest(one)))
    return msgspec.structs.replace(first, channels=channels)


def _fewest(alert: AcceptedAlert) -> int:
    return -len(alert.facts)


def merge_detection(
    state: ObjectState | None, detection: Detection
) -> tuple[ObjectState, tuple[str, ...]]:
    """Object with the detection, and the channels that had it already.

    Nothing of the result depends on which of two records came first.
    """
    if state is None:
        state = ObjectState(detection.object_id, detection.survey)
    alerts = {alert.candid: alert for alert in state.alerts}
    known = alerts.get(detection.candid)
    fresh = AcceptedAlert(
        candid=detection.candid,
        jd=detection.jd,
        ra=detection.ra,
        dec=detection.dec,
        channels=detection.channels,
        where=detection.where,
        facts=detection.facts,
    )
    alerts[detection.candid] = _merge_alert(known, fresh)
    merged = ObjectState(
        state.object_id,
        min(state.survey, detection.survey),
        merge_datapoints(state.datapoints, detection.datapoints),
        tuple(alerts[candid] for candid in sorted(alerts)),
        state.candidates,
        state.pixel,
    )
    before = known.channels if known else ()
    return merged, tuple(name for name in detection.channels if name in before)


def _last_day(state: ObjectState) -> int:
    """Day [JD, floored] of an object's last alert."""
    return math.floor(max(alert.jd for alert in state.alerts))


def _cell(state: ObjectState) -> int:
    """Cell of the index in which the object lies."""
    return state.pixel >> CELL_BITS


def _span(state: ObjectState) -> tuple[float, float]:
    """First and last time [JD] of the object's alerts."""
    times = [alert.jd for alert in state.alerts]
    return min(times), max(times)


def _moved(known: ObjectState | None, state: ObjectState) -> bool:
    """Whether an alert that was known is now known from an earlier record.

    Then its candidates are given again though nothing else of them has changed: they name records.
    """
    records = {alert.candid: alert.where for alert in state.alerts}
    return any(records[one.candid] != one.where for one in (known.alerts if known else ()))


class ObjectStore(Lookup):
    """All objects of a partition; reading them (`get`, `candidates_of`) is `Lookup`'s.

    Parameters
    ----------
    topology
        The workflow.
    tables
        The store.
    events
        The events to match against.
    """

    def __init__(self, topology: Topology, tables: KeyValue, events: EventStore) -> None:
        super().__init__(topology, tables)
        self._tables = tables
        self._events = events
        self._following, self._alone = topology.following, topology.alone

    @property
    def joins(self) -> bool:
        """Whether what changes an object also writes those beside it."""
        return self._associations.asked

    # --- taking in ------------------------------------------------------------------------------

    def add(self, detection: Detection) -> Evaluation[Merged]:
        """Take in a detection and match its object against the events around its alerts.

        Raises
        ------
        StateError
            The object would be larger than what a store keeps; it stays as it was.
        """
        known = self.get(detection.object_id)
        state, had = merge_detection(known, detection)
        if state == known:
            return Merged(had, Matched([], []))
        # also as it was known: where an alert moved, an event may have lost the object
        times = [alert.jd for one in (known, state) if one is not None for alert in one.alerts]
        near: list[Event | None] = [*self._events.around(min(times), max(times)), None]
        moved = _moved(known, state)
        before = self._associations.beside(known)
        state, matched = yield from self._match(known, state, near, moved=moved, again=False)
        self._index(known, state)
        yield from self._match_beside(before, state, matched)
        return Merged(had, matched)

    def rematch(
        self, object_id: str, event: Event | None, *, moved: bool = False
    ) -> Evaluation[Matched]:
        """Match one object against an event that is new or has a new revision.

        Parameters
        ----------
        object_id, event
            What to match; an object that is gone gives nothing. Without an event: with the channels
            that follow none.
        moved
            Whether candidates count as changed although they say the same: the record of the
            revision, which they name, is another one.
        """
        known = self.get(object_id)
        if known is None:
            return Matched([], [])
        return (yield from self._match(known, known, [event], moved=moved))[1]

    def refilter(
        self,
        object_id: str,
        shadow: ObjectState | None,
        stays: Callable[[AcceptedAlert], bool] = lambda _alert: False,
    ) -> Evaluation[Matched]:
        """Let an object hold what changed filters accept (see ``backfill.py``).

        Parameters
        ----------
        object_id
            Which one; it need not be known yet.
        shadow
            What the filters accept of what was read again; None where that is nothing.
        stays
            Says which of its accepted alerts were not read again, and stay.
        """
        known = self.get(object_id)
        state = _refiltered(known, shadow, stays)
        before = self._associations.beside(known)
        if state is None:
            gone = () if known is None else known.candidates
            withdrawn = [] if known is None else [_rejected(c) for c in self._evidence(known, gone)]
            self.forget(object_id)
            matched = Matched(withdrawn, [])
            yield from self._match_beside(before, None, matched)
            return matched
        times = [alert.jd for one in (known, state) if one is not None for alert in one.alerts]
        near: dict[str, Event | None] = {
            event.event_id: event for event in self._events.around(min(times), max(times))
        }
        near[""] = None
        for event_id in {one.event_id for one in state.candidates} - near.keys():
            event = self._events.get(event_id)
            near |= {} if event is None else {event_id: event}
        events = [near[name] for name in sorted(near)]
        state, matched = yield from self._match(known, state, events)
        self._index(known, state)
        yield from self._match_beside(before, state, matched)
        return matched

    def _match_beside(
        self, before: Iterable[str], state: ObjectState | None, matched: Matched
    ) -> Evaluation[None]:
        """Match what lies, or lay, beside an object that has changed: its light curve has, too."""
        for name in sorted({*before, *self._associations.beside(state)}):
            other = self.get(name)
            if other is None:
                continue
            times = [alert.jd for alert in other.alerts]
            near = [*self._events.around(min(times), max(times)), None]
            _, also = yield from self._match(other, other, near, again=False)
            matched.candidates.extend(also.candidates)
            matched.failures.extend(also.failures)
            matched.counts.update(also.counts)

    def _match(
        self,
        known: ObjectState | None,
        state: ObjectState,
        events: list[Event | None],
        *,
        moved: bool = False,
        again: bool = True,
    ) -> Evaluation[tuple[ObjectState, Matched]]:
        """Evaluate the object for these events in all channels, and keep it.

        One candidate that cannot be evaluated stays as it was, and keeps no other back. ``again``
        as in `results_of`.
        """
        matched = Matched([], [])
        cache = results_of(state.candidates, again=again)
        candidates = {candidate.key: candidate for candidate in state.candidates}
        held = {event_id for event_id, _, _ in candidates}
        curve = placed(state)
        if curve.place is not None:
            state = msgspec.structs.replace(state, pixel=pixel29(curve.place.ra, curve.place.dec))
        # for the others there is no candidate, and was none before
        events = [one for one in events if self._may_have(one, held, state.pixel)]
        beside = self._associations.beside(state) if events else {}
        for event in events:
            known_event = None if event is None else event.state
            for channel in self._channels_for(event):
                key = (_name(event), state.object_id, channel.name)
                before = candidates.get(key)
                seen, names = self._associations.for_channel(channel, curve, beside)
                given = (channel, state, seen, event, cache, matched.counts, names)
                after = yield from attempting(evaluate, self._topology, *given)
                if isinstance(after, Failure):
                    matched.failures.append((key, after))
                    continue
                if after == before and (after is None or not moved):
                    continue
                if after is not None:
                    candidates[key] = after
                elif before is not None:  # a match filter took it back, or the topology did
                    del candidates[key]
                    after = _rejected(before)
                else:
                    continue
                matched.candidates.append(with_evidence(channel, after, state, seen, known_event))
            matched.candidates.extend(self._without_channel(state, event, candidates))
        kept = tuple(candidates[key] for key in sorted(candidates))
        state = msgspec.structs.replace(state, candidates=kept)
        if state != known:
            self._keep(known, state, matched)
        return state, matched

    def _channels_for(self, event: Event | None) -> tuple[Channel, ...]:
        return self._alone if event is None else self._following

    def _may_have(self, event: Event | None, held: set[str], pixel: int) -> bool:
        """Whether an object may have a candidate of the event, or has one."""
        if _name(event) in held:
            return True
        return bool(self._alone) if event is None else event.reaches((pixel,))

    def _without_channel(
        self,
        state: ObjectState,
        event: Event | None,
        candidates: dict[tuple[str, str, str], Candidate],
    ) -> list[Candidate]:
        """Take out candidates of channels that the topology has no longer; give them, rejected."""
        name = _name(event)
        gone = [key for key in candidates if key[0] == name and not self.has(key[2], key[0])]
        return list(self._evidence(state, tuple(_rejected(candidates.pop(key)) for key in gone)))

    def _keep(self, known: ObjectState | None, state: ObjectState, matched: Matched) -> None:
        """Write the object, and what finds its candidates."""
        value = encode(state)
        if len(value) > MAX_RECORD_BYTES:
            raise StateError(
                f"object {state.object_id} would take {len(value)} bytes with {len(state.alerts)} "
                f"alerts, and a store keeps {MAX_RECORD_BYTES}; shorten retention.objects"
            )
        if len(value) > _CERTAINLY_SMALL:
            _set_aside_large(matched)
        self._tables.put(keys.object(state.object_id), value)
        before = {one.event_id for one in known.candidates} if known is not None else set()
        after = {one.event_id for one in state.candidates}
        for event_id in after - before:
            self._tables.put(keys.candidate(event_id, state.object_id), b"")
        for event_id in before - after:
            self._tables.delete(keys.candidate(event_id, state.object_id))

    def _index(self, known: ObjectState | None, state: ObjectState) -> None:
        """Bring the object's entries in its cell of the sky and under its day up to date.

        Every alert may move the object, and with that into another cell.
        """
        cell = _cell(state)
        self._tables.put(keys.cell(cell, state.object_id), keys.span(*_span(state)))
        day = _last_day(state)
        if known is not None:
            if _cell(known) != cell:
                self._tables.delete(keys.cell(_cell(known), state.object_id))
            old = _last_day(known)
            if old == day:
                return
            self._tables.delete(keys.day(old, state.object_id))
        self._tables.put(keys.day(day, state.object_id), b"")

    # --- looking up -----------------------------------------------------------------------------

    def event(self, event_id: str) -> EventState | None:
        """What is known of an event, from memory; None where it is not known."""
        known = self._events.get(event_id)
        return None if known is None else known.state

    def last_day(self, object_id: str) -> int | None:
        """Day [JD, floored] of an object's last alert; None without the object."""
        state = self.get(object_id)
        return None if state is None else _last_day(state)

    def ids_alone(self) -> list[str]:
        """All objects, sorted: channels that follow no events concern each of them."""
        held = self._tables.scan(keys.OBJECT, keys.stop(keys.OBJECT))
        return [entry[len(keys.OBJECT) :].decode() for entry, _ in held]

    def near(self, event: Event) -> Iterator[ObjectState]:
        """Objects that may have an alert in a region and the widest window of the event."""
        for object_id in self.ids_near(event):
            state = self.get(object_id)
            if state is not None:
                yield state

    def ids_near(self, event: Event) -> list[str]:
        """Objects with an entry in a region of the event and in its widest window, sorted.

        All that have a candidate of the event are among them: while the topology is the same they
        are inside anyway, since every revision keeps its region.
        """
        prefix = keys.candidate(event.event_id)
        held = self._tables.scan(prefix, keys.stop(prefix))
        found = {keys.split_candidate(entry) for entry, _ in held}
        channels = self._following
        if not channels:
            return sorted(found)
        first = min(channel.window[0] for channel in channels)
        last = max(channel.window[1] for channel in channels)
        level = max(channel.region for channel in channels)
        for (t0, _), regions in event.localisations.items():
            for lo, hi in regions[level].cells():
                for entry in self._tables.scan(keys.cell(lo), keys.cell(hi)):
                    object_id, earliest, latest = keys.split_cell(*entry)
                    if earliest <= t0 + last and latest >= t0 + first:
                        found.add(object_id)
        return sorted(found)

    # --- forgetting -----------------------------------------------------------------------------

    def release(self, event_id: str) -> list[Candidate]:
        """Take an event's candidates out of their objects; give them, with evidence."""
        released: list[Candidate] = []
        prefix = keys.candidate(event_id)
        for entry, _ in list(self._tables.scan(prefix, keys.stop(prefix))):
            state = self.get(keys.split_candidate(entry))
            if state is not None:
                mine = tuple(one for one in state.candidates if one.event_id == event_id)
                released.extend(self._evidence(state, mine))
                state.candidates = tuple(c for c in state.candidates if c.event_id != event_id)
                self._tables.put(keys.object(state.object_id), encode(state))
            self._tables.delete(entry)
        return released

    def forget(self, object_id: str) -> list[Candidate]:
        """Remove an object with its entries; give its candidates, with evidence.

        Those of an event that is not known were released with it, by a commit that a kill cut
        short before the object lost them.
        """
        state = self.get(object_id)
        if state is None:
            return []
        held = self.candidates_of(state)
        released = [one for one in held if not one.event_id or self.event(one.event_id) is not None]
        self._delete(keys.candidate(one.event_id, object_id) for one in state.candidates)
        self._delete([keys.cell(_cell(state), object_id)])
        self._delete([keys.day(_last_day(state), object_id), keys.object(object_id)])
        return released

    def _delete(self, entries: Iterable[bytes]) -> None:
        for entry in entries:
            self._tables.delete(entry)


def _name(event: Event | None) -> str:
    """What the keys of an event's candidates begin with; nothing without an event."""
    return "" if event is None else event.event_id


def _rejected(candidate: Candidate) -> Candidate:
    """Last revision of what is a candidate no longer: sent downstream, and not kept."""
    status = CandidateStatus.REJECTED
    return msgspec.structs.replace(candidate, status=status, results=(), rank=None)


def _refiltered(
    known: ObjectState | None,
    shadow: ObjectState | None,
    stays: Callable[[AcceptedAlert], bool],
) -> ObjectState | None:
    """An object with what changed filters accept; None where nothing is left of it.

    Datapoints of alerts that are accepted no longer go, unless older alerts stay: which of them
    they came with is not known.
    """
    older = () if known is None else tuple(filter(stays, known.alerts))
    first = shadow or known
    if first is None or (shadow is None and not older):
        return None
    fresh = () if shadow is None else shadow.alerts
    alerts = {alert.candid: alert for alert in (*older, *fresh)}
    points = () if shadow is None else shadow.datapoints
    if known is not None and older:
        points = merge_datapoints(known.datapoints, points)
    return ObjectState(
        first.object_id,
        first.survey,
        points,
        tuple(alerts[candid] for candid in sorted(alerts)),
        () if known is None else known.candidates,
        -1 if known is None else known.pixel,
    )


def _set_aside_large(matched: Matched) -> None:
    """Candidates that no stream takes become failures."""
    for candidate in list(matched.candidates):
        size = len(encode_candidate(candidate))
        if size > MAX_RECORD_BYTES:
            matched.candidates.remove(candidate)
            reason = f"the candidate takes {size} bytes, and a stream takes {MAX_RECORD_BYTES}"
            matched.failures.append((candidate.key, Failure("StateError", reason)))

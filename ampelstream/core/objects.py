"""Third step: objects, their light curves and their candidates.

A detection is matched against the events known; an event, or its new revision, is matched against
the objects known, which are found through an index of the sky, not by reading them all.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from ampelstream.core import keys
from ampelstream.core.events import Event, EventBook
from ampelstream.core.lightcurves import light_curve, merge_datapoints
from ampelstream.core.matching import evaluate, with_evidence
from ampelstream.core.region import CELL_BITS
from ampelstream.core.results import results_of
from ampelstream.core.state import AcceptedAlert, ObjectState, decode, encode
from ampelstream.model.candidate import Candidate, CandidateStatus
from ampelstream.model.detection import Detection
from ampelstream.model.lightcurve import LightCurve
from ampelstream.sky.healpix import pixel29
from ampelstream.state.store import KeyValue
from ampelstream.topology import Channel, Topology

__all__ = ["Change", "Merged", "ObjectBook", "merge_detection"]


@dataclass(frozen=True, slots=True)
class Change:
    """A candidate that is new or different.

    Attributes
    ----------
    before
        Its last revision so far; None where it is new.
    after
        The new revision, with light curve and coordinates.
    """

    before: Candidate | None
    after: Candidate


@dataclass(frozen=True, slots=True)
class Merged:
    """What a detection did.

    Attributes
    ----------
    state
        The object with it.
    duplicate_of
        Channels that had accepted this very alert before, sorted.
    changes
        Candidates that are new or different.
    """

    state: ObjectState
    duplicate_of: tuple[str, ...]
    changes: tuple[Change, ...]


def merge_detection(
    state: ObjectState | None, detection: Detection
) -> tuple[ObjectState, tuple[str, ...]]:
    """Object with the detection, and the channels that had it already."""
    if state is None:
        state = ObjectState(detection.object_id, detection.survey)
    alerts = {alert.candid: alert for alert in state.alerts}
    known = alerts.get(detection.candid)
    before = known.channels if known else ()
    alerts[detection.candid] = AcceptedAlert(
        candid=detection.candid,
        jd=detection.jd,
        ra=detection.ra,
        dec=detection.dec,
        pixel=pixel29(detection.ra, detection.dec),
        channels=tuple(sorted({*before, *detection.channels})),
        where=min(known.where, detection.where) if known else detection.where,
    )
    merged = ObjectState(
        state.object_id,
        state.survey,
        merge_datapoints(state.datapoints, detection.datapoints),
        tuple(alerts[candid] for candid in sorted(alerts)),
        state.candidates,
    )
    return merged, tuple(name for name in detection.channels if name in before)


def _moved(known: ObjectState | None, state: ObjectState) -> bool:
    """Whether an alert that was known is now known from an earlier record."""
    records = {alert.candid: alert.where for alert in state.alerts}
    return any(records[one.candid] != one.where for one in (known.alerts if known else ()))


class ObjectBook:
    """All objects, in the store.

    Parameters
    ----------
    topology
        The workflow.
    tables
        The store.
    events
        The events to match against.
    """

    def __init__(self, topology: Topology, tables: KeyValue, events: EventBook) -> None:
        self._topology = topology
        self._tables = tables
        self._events = events
        self._channels = {channel.name: channel for channel in topology.channels}

    def get(self, object_id: str) -> ObjectState | None:
        """State of an object, or None."""
        value = self._tables.get(keys.object_key(object_id))
        return None if value is None else decode.object(value)

    def last_day(self, object_id: str) -> int | None:
        """Day [JD, floored] of an object's last alert; None without the object."""
        state = self.get(object_id)
        return None if state is None else math.floor(max(alert.jd for alert in state.alerts))

    def __iter__(self) -> Iterator[ObjectState]:
        """Objects in the order of their names."""
        for _, value in self._tables.scan(keys.OBJECT, keys.stop_of(keys.OBJECT)):
            yield decode.object(value)

    def add(self, detection: Detection) -> Merged:
        """Take in a detection and match its object against the events around its alerts."""
        known = self.get(detection.object_id)
        state, duplicate_of = merge_detection(known, detection)
        if known is not None and state == known:
            self._mend_index(state)
            return Merged(state, duplicate_of, ())
        times = [alert.jd for alert in state.alerts]
        near = self._events.around(min(times), max(times))
        state, changes = self._match(state, near, moved=_moved(known, state))
        self._index(known, state)  # last: if matching fails, nothing has been changed
        self._tables.put(keys.object_key(state.object_id), encode(state))
        return Merged(state, duplicate_of, changes)

    def rematch(self, event: Event) -> Iterator[Change]:
        """Match an event that is new or has a new revision against the objects that it may concern.

        Those inside any of its regions; its candidates so far are among them, since every revision
        keeps its region.
        """
        for object_id in self.ids_near(event):
            yield from self.rematch_one(object_id, event)

    def rematch_one(self, object_id: str, event: Event) -> tuple[Change, ...]:
        """Match one object against an event that is new or has a new revision."""
        known = self.get(object_id)
        if known is None:
            return ()
        state, changes = self._match(known, [event])
        if changes:
            self._tables.put(keys.object_key(object_id), encode(state))
        return changes

    def near(self, event: Event) -> Iterator[ObjectState]:
        """Objects that may have an alert in a region and the widest window of the event."""
        for object_id in self.ids_near(event):
            state = self.get(object_id)
            if state is not None:
                yield state

    def ids_near(self, event: Event) -> list[str]:
        """Objects with an index entry in a region of the event and in its widest window, sorted."""
        found: set[str] = set()
        first = min(channel.window[0] for channel in self._topology.channels)
        last = max(channel.window[1] for channel in self._topology.channels)
        level = max(channel.region for channel in self._topology.channels)
        for (t0, _), regions in event.places.items():
            for lo, hi in regions[level].cells():
                for entry in self._tables.scan(keys.index_start(lo), keys.index_start(hi)):
                    object_id, earliest, latest = keys.split_index(*entry)
                    if earliest <= t0 + last and latest >= t0 + first:
                        found.add(object_id)
        return sorted(found)

    def _mend_index(self, state: ObjectState) -> None:
        """Put in again what finds the object, where a store that failed in a batch has lost it."""
        cells = {alert.pixel >> CELL_BITS for alert in state.alerts}
        if any(self._tables.get(keys.index_key(cell, state.object_id)) is None for cell in cells):
            self._index(None, state)

    def _index(self, known: ObjectState | None, state: ObjectState) -> None:
        """Bring the object's index entries up to date."""
        spans: dict[int, tuple[float, float]] = {}
        for alert in state.alerts:
            cell = alert.pixel >> CELL_BITS
            first, last = spans.get(cell, (alert.jd, alert.jd))
            spans[cell] = (min(first, alert.jd), max(last, alert.jd))
        for cell, span in spans.items():
            self._tables.put(keys.index_key(cell, state.object_id), keys.index_value(*span))
        day = math.floor(max(alert.jd for alert in state.alerts))
        if known is not None:
            old = math.floor(max(alert.jd for alert in known.alerts))
            if old == day:
                return
            self._tables.delete(keys.time_key(old, state.object_id))
        self._tables.put(keys.time_key(day, state.object_id), b"")

    def _match(
        self, state: ObjectState, events: list[Event], *, moved: bool = False
    ) -> tuple[ObjectState, tuple[Change, ...]]:
        """Evaluate the object for these events in all channels.

        Where the record of an alert has moved, candidates count as changed: they name their
        records.
        """
        if not events:
            return state, ()
        curve = light_curve(state.object_id, state.datapoints)
        cache = results_of(state.candidates)
        candidates = {candidate.key: candidate for candidate in state.candidates}
        changes: list[Change] = []
        for event in events:
            for channel in self._topology.channels:
                key = (event.event_id, state.object_id, channel.name)
                before = candidates.get(key)
                after = evaluate(self._topology, channel, state, curve, event, cache)
                if after == before and (after is None or not moved):
                    continue
                if after is not None:
                    candidates[key] = after
                elif before is not None:  # a match filter took it back
                    del candidates[key]
                    after = msgspec.structs.replace(
                        before, status=CandidateStatus.REJECTED, results=(), rank=None
                    )
                else:
                    continue
                changes.append(Change(before, with_evidence(channel, after, state, curve, event)))
        kept = tuple(candidates[key] for key in sorted(candidates))
        return msgspec.structs.replace(state, candidates=kept), tuple(changes)

    def release(self, event: Event) -> Iterator[Candidate]:
        """Take an event's candidates out of their objects; give them, with evidence."""
        for state in self.near(event):
            if all(one.event_id != event.event_id for one in state.candidates):
                continue
            curve = light_curve(state.object_id, state.datapoints)
            kept: list[Candidate] = []
            for candidate in state.candidates:
                if candidate.event_id == event.event_id:
                    yield self._evidence(candidate, state, curve)
                else:
                    kept.append(candidate)
            state.candidates = tuple(kept)
            self._tables.put(keys.object_key(state.object_id), encode(state))

    def forget(self, object_id: str) -> Iterator[Candidate]:
        """Remove an object with its index entries; give its candidates, with evidence."""
        state = self.get(object_id)
        if state is None:
            return
        curve = light_curve(object_id, state.datapoints)
        for candidate in state.candidates:
            yield self._evidence(candidate, state, curve)
        for cell in {alert.pixel >> CELL_BITS for alert in state.alerts}:
            self._tables.delete(keys.index_key(cell, object_id))
        last = math.floor(max(alert.jd for alert in state.alerts))
        self._tables.delete(keys.time_key(last, object_id))
        self._tables.delete(keys.object_key(object_id))

    def candidates_of(self, object_id: str) -> Iterator[Candidate]:
        """Last revisions of one object's candidates, with light curve and coordinates."""
        state = self.get(object_id)
        if state is not None:
            curve = light_curve(state.object_id, state.datapoints)
            for candidate in state.candidates:
                yield self._evidence(candidate, state, curve)

    def candidates(self) -> Iterator[Candidate]:
        """Last revision of every candidate, with light curve and coordinates, archived ones too."""
        for _, value in self._tables.scan(keys.ARCHIVE, keys.stop_of(keys.ARCHIVE)):
            yield decode.candidate(value)
        for state in self:
            curve = light_curve(state.object_id, state.datapoints)
            for candidate in state.candidates:
                yield self._evidence(candidate, state, curve)

    def _evidence(self, candidate: Candidate, state: ObjectState, curve: LightCurve) -> Candidate:
        channel: Channel | None = self._channels.get(candidate.channel)
        event = self._events.get(candidate.event_id)
        if channel is None or event is None:
            return candidate
        return with_evidence(channel, candidate, state, curve, event)

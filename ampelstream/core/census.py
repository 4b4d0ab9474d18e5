"""How many accepted alerts and objects each revision of an event holds."""

from collections.abc import Mapping

import msgspec

from ampelstream.core.events import Event
from ampelstream.core.matching import inside, placed, rejection
from ampelstream.core.objectstore import ObjectStore
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.event import EventRevision
from ampelstream.topology import Topology

__all__ = ["EventCensus", "Inside", "RevisionCensus", "census"]


class Inside(msgspec.Struct):
    """Counts for one channel.

    Attributes
    ----------
    alerts, objects
        Accepted alerts, and distinct objects, inside the channel's region and window.
    rejected
        Objects that a match filter rejected, by its name and reason (``FILTER: RULE``).
    """

    alerts: int = 0
    objects: int = 0
    rejected: dict[str, int] = msgspec.field(default_factory=dict)


class RevisionCensus(msgspec.Struct, frozen=True):
    """Counts for one revision.

    Attributes
    ----------
    revision
        What its notice said.
    where, member
        The record that it came in.
    selected
        Whether the topology selects it; without, or without a sky map, nothing is counted.
    area50_deg2, area90_deg2
        Areas of the 50 % and 90 % regions of its sky map [deg2]; None without a map.
    alerts, objects
        Distinct alerts and objects inside for at least one channel.
    channels
        Counts for each channel.
    why
        Why it is not selected, or why nothing can be inside of it; empty where there is no reason.
    """

    revision: EventRevision
    where: Coordinates
    member: str
    selected: bool
    area50_deg2: float | None
    area90_deg2: float | None
    alerts: int
    objects: int
    channels: Mapping[str, Inside]
    why: str = ""


class EventCensus(msgspec.Struct, frozen=True):
    """Counts for all revisions of an event, in their order."""

    event_id: str
    retracted: bool
    revisions: tuple[RevisionCensus, ...]


class _Tally:
    """Counts of one localisation (trigger time and sky map) while the objects pass by."""

    def __init__(self, topology: Topology) -> None:
        self.channels = {channel.name: Inside() for channel in topology.following}
        self.alerts = 0
        self.objects = 0


def _tally(
    topology: Topology, event: Event, objects: ObjectStore
) -> dict[tuple[float, str], _Tally]:
    """Counts for each localisation of the event."""
    tallies = {localisation: _Tally(topology) for localisation in event.localisations}
    for state in objects.near(event):
        curve = None
        for localisation, tally in tallies.items():
            seen: set[int] = set()
            for channel in topology.following:
                alerts = inside(channel, state, event, localisation)
                if not alerts:
                    continue
                seen.update(alert.candid for alert in alerts)
                counts = tally.channels[channel.name]
                counts.alerts += len(alerts)
                counts.objects += 1
                if channel.match:
                    curve = curve or placed(state)
                    reason, _ = rejection(channel, curve, event)
                    if reason:
                        counts.rejected[reason] = counts.rejected.get(reason, 0) + 1
            tally.alerts += len(seen)
            tally.objects += bool(seen)
    return tallies


def _why(topology: Topology, revision: EventRevision, digest: str) -> str:
    """Why nothing is counted for a revision; ``digest`` is that of its sky map, or the last one."""
    if revision.is_retraction:
        return "it is a retraction"
    rejected = topology.events.why_not(revision)
    if rejected:
        return rejected
    if not digest:
        return "it has no sky map"
    return "it has no trigger time" if revision.t0_jd is None else ""


def census(topology: Topology, event: Event, objects: ObjectStore) -> EventCensus:
    """Count, for each revision of the event, what is inside."""
    tallies = _tally(topology, event, objects)
    rows: list[RevisionCensus] = []
    digest = ""
    for known in event.state.revisions:
        revision = known.revision
        digest = revision.skymap_digest or digest
        skymap = event.map_of(digest) if digest and not revision.is_retraction else None
        localisation = (revision.t0_jd or 0.0, digest)
        tally = tallies.get(localisation) if not revision.is_retraction else None
        selected = tally is not None and topology.events.accepts(revision)
        if tally is None or not selected:
            tally = _Tally(topology)
        rows.append(
            RevisionCensus(
                revision=revision,
                where=known.where,
                member=known.member,
                selected=selected,
                area50_deg2=skymap.area(0.5) if skymap else None,
                area90_deg2=skymap.area(0.9) if skymap else None,
                alerts=tally.alerts,
                objects=tally.objects,
                channels=tally.channels,
                why=_why(topology, revision, digest),
            )
        )
    return EventCensus(event.event_id, event.retracted, tuple(rows))

"""Events: their revisions, and where in the sky they may lie.

An event is the set of its revisions. Which one is the latest follows from the notices' own time of
creation, not from their arrival. A notice that is known changes nothing.
"""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ampelstream.core.state import EventState, KnownRevision, decode, encode, keys
from ampelstream.errors import StateError
from ampelstream.model.announcement import Announcement
from ampelstream.model.digest import digest as digest_of
from ampelstream.model.event import EventRevision, Notice, in_order
from ampelstream.sky.skymap import SkyMap
from ampelstream.state.store import KeyValue
from ampelstream.topology import Topology

__all__ = ["CELL_BITS", "Event", "EventStore", "MapCache", "Region", "skymap_of"]

_MAPS_IN_MEMORY = 16
_TILES_IN_MEMORY = 4_000_000
"""Of all maps in memory, if there is more than one: about 80 bytes each."""

_MANY_RANGES = 100_000

CELL_BITS = 34
"""An index cell is a pixel of order 12 (52 arcsec): 2 x (29 - 12) bits below order 29. Small enough
to keep a search to what lies inside, large enough that an object's positions share one or two."""


class Region:
    """A union of half-open ranges of order-29 nested pixels.

    Parameters
    ----------
    ranges
        Shape (n, 2), sorted, not overlapping.
    """

    __slots__ = ("_starts", "_stops")

    def __init__(self, ranges: NDArray[np.int64]) -> None:
        self._starts, self._stops = _bounds(ranges[:, 0]), _bounds(ranges[:, 1])

    def __contains__(self, pixel: int) -> bool:
        at = bisect_right(self._starts, pixel) - 1
        return at >= 0 and pixel < self._stops[at]

    def cells(self) -> Iterator[tuple[int, int]]:
        """Give half-open ranges of index cells that cover the region, sorted and merged."""
        first = last = -1
        for start, stop in zip(self._starts, self._stops, strict=True):
            lo, hi = start >> CELL_BITS, ((stop - 1) >> CELL_BITS) + 1
            if lo <= last:
                last = max(last, hi)
                continue
            if last > first:
                yield first, last
            first, last = lo, hi
        if last > first:
            yield first, last


def _bounds(column: NDArray[np.int64]) -> Sequence[int]:
    """Numbers to bisect: a plain list takes a third of numpy's time for one position.

    It takes five times the memory, too, and of many numbers that is too much.
    """
    if len(column) < _MANY_RANGES:
        numbers: list[int] = column.tolist()
        return numbers
    return cast("Sequence[int]", np.ascontiguousarray(column).data)


class MapCache:
    """Sky maps and regions that were used lately; the event stores of one process may share it.

    Not to be used by two threads at once.
    """

    def __init__(self) -> None:
        self.maps: OrderedDict[tuple[str, str], SkyMap] = OrderedDict()
        self.regions: dict[tuple[str, str], dict[float, Region]] = {}
        self._tiles = 0

    def keep(self, key: tuple[str, str], skymap: SkyMap) -> SkyMap:
        """Keep a map, and let go of those that were not used for the longest time."""
        if key not in self.maps:
            self.maps[key] = skymap
            self._tiles += len(skymap.order)
        self.maps.move_to_end(key)
        while len(self.maps) > 1 and (
            len(self.maps) > _MAPS_IN_MEMORY or self._tiles > _TILES_IN_MEMORY
        ):
            self._tiles -= len(self.maps.popitem(last=False)[1].order)
        return skymap

    def drop(self, event_id: str) -> None:
        """Forget an event."""
        for held in [key for key in self.regions if key[0] == event_id]:
            del self.regions[held]
        for held in [key for key in self.maps if key[0] == event_id]:
            self._tiles -= len(self.maps.pop(held).order)


def skymap_of(topology: Topology, notice: Notice) -> SkyMap | None:
    """Sky map of a notice that the topology asks for: the combined one or its own; None without.

    Where the notice has a circle or an ellipse instead, a map is made of that.

    Raises
    ------
    SkyMapError
        It is unusable.
    """
    fits = notice.skymap
    if notice.combined_skymap and topology.events.skymap == "combined":
        fits = notice.combined_skymap
    if fits:
        return SkyMap.from_fits(fits, name=notice.revision.event_id)
    if notice.ellipses:
        return SkyMap.from_ellipses(
            notice.ellipses,
            name=notice.revision.event_id,
            digest=notice.revision.skymap_digest,
            t_obs_jd=notice.revision.t0_jd,
        )
    return None


class Event:
    """One event as the matching sees it; rebuilt whenever a revision arrives.

    Attributes
    ----------
    state
        All that is known.
    current
        Latest revision that is not a retraction; None where only a retraction is known.
    retracted
        Whether the latest revision of all is a retraction.
    localisations
        For each distinct (trigger time, sky map) of the revisions that the topology selects: the
        trigger time [JD] and the region of each credible level that a channel asks for.
    current_localisation
        That of ``current``; None where the topology does not select it or it never had a map.
    rejected
        Whether there are revisions, and the topology selects none of them.
    """

    def __init__(self, state: EventState, topology: Topology, store: "EventStore") -> None:
        self.state = state
        self._store = store
        revisions = [known.revision for known in state.revisions]
        self.retracted = bool(revisions) and revisions[-1].is_retraction
        standing = [known for known in state.revisions if not known.revision.is_retraction]
        self.current: EventRevision | None = standing[-1].revision if standing else None
        self.localisations: dict[tuple[float, str], dict[float, Region]] = {}
        self.current_localisation: tuple[float, str] | None = None
        self.rejected = bool(standing)
        digest = ""
        for known in standing:
            revision = known.revision
            accepted = topology.events.accepts(revision)
            self.rejected = self.rejected and not accepted
            digest = revision.skymap_digest or digest  # a notice without a map leaves the last one
            self.current_localisation = None
            if revision.t0_jd is None or not digest or not accepted:
                continue
            localisation = (revision.t0_jd, digest)
            if localisation not in self.localisations:
                self.localisations[localisation] = store.regions(state.event_id, digest)
            self.current_localisation = localisation

        self.triggers = tuple({t0 for t0, _ in self.localisations})
        """Trigger times of the localisations [JD]."""
        self._widest = tuple(
            regions[max(regions)] for regions in self.localisations.values() if regions
        )
        self.digest = ""
        """Of what units are told of the event: its current revision and sky map."""
        if self.current is not None and self.current_localisation is not None:
            named = [self.current.content_digest, self.current_localisation[1]]
            self.digest = digest_of(named)

    @property
    def event_id(self) -> str:
        """Name of the event."""
        return self.state.event_id

    def reaches(self, pixels: Iterable[int]) -> bool:
        """Whether one of these positions lies in the widest region of any revision.

        Where none does no channel finds an alert inside: smaller credible levels lie within larger
        ones. Most objects are so dismissed, at a fiftieth of what an evaluation costs.
        """
        for region in self._widest:
            for pixel in pixels:
                if pixel in region:
                    return True
        return False

    def skymap(self) -> SkyMap | None:
        """Sky map of the current revision."""
        if self.current_localisation is None:
            return None
        return self.map_of(self.current_localisation[1])

    def last_skymap(self) -> SkyMap | None:
        """Last sky map of its revisions, whether or not the topology follows them."""
        digests = [known.revision.skymap_digest for known in self.state.revisions]
        last = next((one for one in reversed(digests) if one), "")
        return self.map_of(last) if last else None

    def map_of(self, digest: str) -> SkyMap:
        """Sky map of that digest."""
        return self._store.skymap(self.event_id, digest)

    def last_time(self) -> float:
        """Latest trigger time of its revisions; without any, when the last one was made [JD]."""
        revisions = [known.revision for known in self.state.revisions]
        triggers = [one.t0_jd for one in revisions if one.t0_jd is not None]
        return max(triggers) if triggers else revisions[-1].key[0]


class EventStore:
    """All events, in the store and, what matching needs of them, in memory.

    Parameters
    ----------
    topology
        Selects events; its channels name the credible levels.
    tables
        The store.
    cache
        For maps and regions; by default one of its own. Stores that share it have one topology.
    """

    def __init__(self, topology: Topology, tables: KeyValue, cache: MapCache | None = None) -> None:
        self._topology = topology
        self._tables = tables
        self._levels = sorted({channel.region for channel in topology.following})
        self._cache = cache or MapCache()
        self._reach = (
            min((channel.window[0] for channel in topology.following), default=0.0),
            max((channel.window[1] for channel in topology.following), default=0.0),
        )
        self._events = {
            state.event_id: Event(state, topology, self)
            for _, value in tables.scan(keys.EVENT, keys.stop(keys.EVENT))
            for state in (decode.event(value),)
        }
        self._in_order = [self._events[name] for name in sorted(self._events)]

    def __iter__(self) -> Iterator[Event]:
        """Events in the order of their names."""
        return iter(self._in_order)

    def __len__(self) -> int:
        return len(self._events)

    def get(self, event_id: str) -> Event | None:
        """The event of that name, or None."""
        return self._events.get(event_id)

    def skymap(self, event_id: str, digest: str) -> SkyMap:
        """Sky map of an event.

        Raises
        ------
        StateError
            The store does not hold it.
        """
        key = (event_id, digest)
        if key in self._cache.maps:
            return self._cache.keep(key, self._cache.maps[key])
        stored = self._tables.get(keys.map(event_id, digest)) or self._parts(event_id, digest)
        if not stored:
            raise StateError(f"the state holds no sky map {digest} of event {event_id}; replay it")
        return self._cache.keep(key, SkyMap.from_bytes(stored))

    def _parts(self, event_id: str, digest: str) -> bytes:
        """All parts of a map that there are, joined."""
        prefix = keys.map_part(event_id, digest)
        return b"".join(value for _, value in self._tables.scan(prefix, keys.stop(prefix)))

    def regions(self, event_id: str, digest: str) -> dict[float, Region]:
        """Region of the map for each credible level that a channel asks for."""
        key = (event_id, digest)
        if key not in self._cache.regions:
            skymap = self.skymap(event_id, digest)
            self._cache.regions[key] = {
                level: Region(skymap.region(level)) for level in self._levels
            }
        return self._cache.regions[key]

    def keep_part(self, announcement: Announcement) -> None:
        """Keep a part of a sky map until the last one comes; one that comes again is the same."""
        revision, part = announcement.revision, announcement.part
        name = keys.map_part(revision.event_id, revision.skymap_digest, part)
        if self._tables.get(name) != announcement.skymap:
            self._tables.put(name, announcement.skymap)

    def add(self, announcement: Announcement) -> tuple[Event, bool]:
        """Take in what a notice says.

        Parameters
        ----------
        announcement
            The notice, or the last part of it.

        Returns
        -------
        Event
            The event as it is now.
        bool
            Whether the revision is new.

        Raises
        ------
        SkyMapError
            The sky map is none.
        StateError
            A part of it is missing.
        """
        revision, where, member = announcement.revision, announcement.where, announcement.member
        known = self._events.get(revision.event_id)
        revisions = {
            one.revision.content_digest: one for one in (known.state.revisions if known else ())
        }
        before = revisions.get(revision.content_digest)
        if known is not None and before is not None and before.where <= where:
            return known, False
        if announcement.skymap:
            self._keep_map(announcement)
        # a revision that comes twice is known from the smaller coordinates, whichever came first
        revisions[revision.content_digest] = KnownRevision(revision, where, member)
        ordered = in_order(revisions.values(), lambda one: one.revision)
        state = EventState(revision.event_id, tuple(ordered))
        event = Event(state, self._topology, self)  # first: if it fails, nothing has been changed
        self._tables.put(keys.event(state.event_id), encode(state))
        self._events[state.event_id] = event
        self._in_order = [self._events[name] for name in sorted(self._events)]
        return event, before is None

    def _keep_map(self, announcement: Announcement) -> None:
        """Put the map of a notice, or its last part, into the store, where it is one."""
        revision, parts = announcement.revision, announcement.parts
        event_id, digest = key = (revision.event_id, revision.skymap_digest)
        before: dict[bytes, bytes] = {}
        wanted = [keys.map(event_id, digest)]
        if parts > 1:
            prefix = keys.map_part(event_id, digest)
            before = dict(self._tables.scan(prefix, keys.stop(prefix)))
            wanted = [keys.map_part(event_id, digest, part) for part in range(parts)]
        missing = [part for part, name in enumerate(wanted[:-1]) if name not in before]
        if missing:
            raise StateError(
                f"of the sky map of event {event_id} the parts {missing} of {parts} never came: "
                "they had expired before they were read; send the notice again"
            )
        if key not in self._cache.maps:
            packed = [before[name] for name in wanted[:-1]] + [announcement.skymap]
            self._cache.keep(key, SkyMap.from_bytes(b"".join(packed)))
        self._tables.put(wanted[-1], announcement.skymap)
        for name in before.keys() - wanted:
            self._tables.delete(name)  # packed by another version, into more parts

    def around(self, first_jd: float, last_jd: float) -> list[Event]:
        """Events with a trigger whose widest window meets first_jd..last_jd."""
        before, behind = self._reach
        found: list[Event] = []
        for event in self._in_order:
            for t0 in event.triggers:
                if t0 + before <= last_jd and t0 + behind >= first_jd:
                    found.append(event)
                    break
        return found

    def expired(self, watermark_jd: float) -> list[Event]:
        """Events whose widest window closed more than the retention before the watermark [JD].

        An event of which only a retraction is known has no trigger time; the retraction's own time
        stands for it.
        """
        limit = watermark_jd - self._topology.retention.events - self._reach[1]
        return [event for event in self._in_order if event.last_time() < limit]

    def forget(self, event_id: str) -> None:
        """Remove an event and its sky maps."""
        self._in_order.remove(self._events.pop(event_id))
        self._tables.delete(keys.event(event_id))
        prefix = keys.map(event_id)
        for key, _ in list(self._tables.scan(prefix, keys.stop(prefix))):
            self._tables.delete(key)
        self._cache.drop(event_id)

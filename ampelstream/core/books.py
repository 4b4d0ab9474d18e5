"""All that one store holds, and what can happen to it: the state of one partition of the objects.

The embedded runtime has one such store, the production runtime one for each partition: the objects
of that partition, and a copy of every event.
"""

from ampelstream.core.events import Event, EventBook, MapCache
from ampelstream.core.objects import Merged, ObjectBook
from ampelstream.core.retention import Retention
from ampelstream.core.sweeps import Sweeps, Swept
from ampelstream.model.announcement import Announcement
from ampelstream.model.detection import Detection
from ampelstream.sky.skymap import SkyMap
from ampelstream.state.store import KeyValue
from ampelstream.topology import Topology

__all__ = ["Books"]


class Books:
    """Objects, events and what is left to do of them.

    Parameters
    ----------
    topology
        The workflow.
    tables
        The store.
    cache
        Of sky maps, where several stores share one.

    Attributes
    ----------
    events, objects, retention, sweeps
        Typed access to its parts.
    """

    def __init__(self, topology: Topology, tables: KeyValue, cache: MapCache | None = None) -> None:
        self.events = EventBook(topology, tables, cache)
        self.objects = ObjectBook(topology, tables, self.events)
        self.retention = Retention(topology, tables, self.events, self.objects)
        self.sweeps = Sweeps(tables, self.events, self.objects)

    def detection(self, detection: Detection) -> Merged:
        """Take in a detection and match its object."""
        return self.objects.add(detection)

    def announcement(self, announcement: Announcement) -> Event | None:
        """Take in a revision of an event; the objects near it are matched by the sweeps.

        One that is known is swept again: a store that failed in the middle of a batch may hold the
        event without the note that its objects have yet to be matched.

        Returns
        -------
        Event or None
            The event as it is now; None where the revision was known.
        """
        skymap = SkyMap.from_bytes(announcement.skymap) if announcement.skymap else None
        revision = announcement.revision
        event = self.events.add(revision, skymap, announcement.where, announcement.member)
        self.sweeps.begin(revision.event_id)
        return event

    def tick(self, jd: float) -> int:
        """Forget what is older than the topology keeps it at that event time [JD, UTC]."""
        return self.retention.advance(jd)

    def sweep(self, limit: int) -> Swept:
        """Match up to ``limit`` objects against revisions that they have not met."""
        return self.sweeps.step(limit)

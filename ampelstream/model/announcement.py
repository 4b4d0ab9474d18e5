"""What every partition of the objects gets a copy of, such as revisions of events."""

import msgspec

from ampelstream.model.coordinates import Coordinates
from ampelstream.model.event import EventRevision

__all__ = ["Announcement", "Backfilled", "Tick"]


class Announcement(msgspec.Struct, frozen=True):
    """A revision of an event.

    One whose sky map is larger than a record may be comes in several records, each with a part of
    the map; it is known with the last of them.

    Attributes
    ----------
    revision
        What the notice said.
    skymap
        Its sky map, in the form in which the state keeps it, or a part of that; empty without one.
    where, member
        The record of the notice.
    part, parts
        Which part of the map this is, from 0 on, and how many there are.
    """

    revision: EventRevision
    skymap: bytes
    where: Coordinates
    member: str = ""
    part: int = 0
    parts: int = 1

    def split(self, most: int) -> "list[Announcement]":
        """Give the same in parts whose maps have so many bytes at most."""
        begins = range(0, len(self.skymap), most) or range(1)
        return [
            msgspec.structs.replace(
                self, skymap=self.skymap[begin : begin + most], part=part, parts=len(begins)
            )
            for part, begin in enumerate(begins)
        ]


class Tick(msgspec.Struct, frozen=True):
    """How far event time has come in one source.

    Attributes
    ----------
    jd
        Julian date [d, UTC].
    source, partition
        Topic, or directory, that it is the time of; empty in what an earlier version wrote.
    at
        When ingest said so, by the clock of its machine: Julian date [d, UTC].
    """

    jd: float
    source: str = ""
    partition: int = 0
    at: float = 0.0


class Backfilled(msgspec.Struct, frozen=True):
    """All earlier alerts have been filtered anew, and what came of it lies before this.

    Attributes
    ----------
    id
        Of the backfill.
    since_jd
        Accepted alerts that are older [JD] stay as they were judged, since some of their records
        are there no longer; None where all are.
    held
        Regular expression of names of topics that were read again -> those that are still there.
        Alerts of others that it matches stay, too.
    """

    id: str
    since_jd: float | None = None
    held: dict[str, tuple[str, ...]] = {}

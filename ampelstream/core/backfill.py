"""Filtering earlier alerts anew, after a change of filters, beside the stream.

What a filter rejected is not in the state, so a changed filter, or a new channel, needs the alerts
themselves once more. A runtime reads them again and gives what is accepted as detections marked
``backfill``. They are gathered in *shadows* of the objects, which nobody looks at: candidates stay
what they are while the alerts are read, and nothing is withdrawn and given again on the way. When
all have been read, each object becomes its shadow, and its candidates are evaluated once.

New alerts go into both, object and shadow: they are accepted by the new filters already. Accepted
alerts that are older than what was read again stay as they were judged. Where the topology changes
once more when all have been read, the objects are brought over all the same.
"""

import heapq
from collections.abc import Iterator
from itertools import groupby, islice

import msgspec

from ampelstream.core.objectstore import merge_detection
from ampelstream.core.state import Backfill, ObjectState, decode, encode, keys
from ampelstream.errors import StateError
from ampelstream.model.announcement import Backfilled
from ampelstream.model.detection import Detection
from ampelstream.model.streams import MAX_RECORD_BYTES
from ampelstream.state.store import KeyValue

__all__ = ["Refiltering"]


class Refiltering:
    """A backfill of one partition of the objects; none most of the time.

    Parameters
    ----------
    tables
        The store.
    """

    def __init__(self, tables: KeyValue) -> None:
        self._tables = tables
        found = tables.get(keys.BACKFILL)
        self._now = None if found is None else decode.backfill(found)
        if self._now is None:
            self.end()  # a kill may have left shadows of one that had ended

    @property
    def filters(self) -> str:
        """Digest of the filters of the backfill that is under way; empty without one."""
        return "" if self._now is None else self._now.filters

    @property
    def since_jd(self) -> float | None:
        """Accepted alerts that are older [JD] were not read again; None where all were."""
        return None if self._now is None else self._now.since_jd

    @property
    def pending(self) -> bool:
        """Whether objects wait to become their shadows."""
        return self._now is not None and self._now.read

    def begin(self, name: str, filters: str, since_jd: float | None) -> None:
        """Begin anew.

        Parameters
        ----------
        name
            Tells this backfill from others.
        filters
            Digest of the filters.
        since_jd
            Accepted alerts that are older [JD] stay as they were judged; None where all are read
            again.
        """
        self.end()
        self._mark(Backfill(name, filters, since_jd))

    def end(self) -> None:
        """End it, or give it up; what it gathered goes."""
        for entry, _ in list(self._tables.scan(keys.SHADOW, keys.stop(keys.SHADOW))):
            self._tables.delete(entry)
        if self._now is not None:
            self._tables.delete(keys.BACKFILL)
        self._now = None

    def add(self, detection: Detection) -> None:
        """Take in a detection, if the filters of the backfill accepted it.

        Raises
        ------
        StateError
            The shadow would be larger than what a store keeps; it stays as it was.
        """
        now = self._now
        if now is None or detection.object_id <= now.done:
            return
        # what is new behind the mark was accepted by these filters, or by those of a later topology
        late = now.read and not detection.backfill
        if detection.filters != now.filters and not late:
            return
        entry = keys.shadow(detection.object_id)
        found = self._tables.get(entry)
        known = None if found is None else decode.object(found)
        state, _ = merge_detection(known, detection)
        if state == known:
            return
        value = encode(state)
        if len(value) > MAX_RECORD_BYTES:
            raise StateError(
                f"object {detection.object_id} would take {len(value)} bytes with what changed "
                f"filters accept, and a store keeps {MAX_RECORD_BYTES}; accept less, or shorten "
                "retention.objects"
            )
        self._tables.put(entry, value)

    def read(self, mark: Backfilled) -> None:
        """Note that all earlier alerts have been read again."""
        if self._now is not None and self._now.id == mark.id and not self._now.read:
            known = [one for one in (self._now.since_jd, mark.since_jd) if one is not None]
            since = max(known, default=None)
            self._mark(msgspec.structs.replace(self._now, read=True, since_jd=since))

    def take(self, limit: int) -> list[str]:
        """Give the next objects that are to become their shadows; none at the end."""
        now = self._now
        if now is None or not now.read:
            return []
        names = list(islice(self._names(now.done), limit))
        if not names:
            self.end()
        return names

    def taken(self, object_id: str) -> ObjectState | None:
        """Note that an object is brought over; gives its shadow."""
        entry = keys.shadow(object_id)
        found = self._tables.get(entry)
        if self._now is not None:
            self._mark(msgspec.structs.replace(self._now, done=object_id))
        self._tables.delete(entry)
        return None if found is None else decode.object(found)

    def _names(self, done: str) -> Iterator[str]:
        """Objects and shadows behind that one, in the order of their names."""
        scans = (
            (
                key[1:].decode()
                for key, _ in self._tables.scan(table + done.encode() + b"\x00", keys.stop(table))
            )
            for table in (keys.OBJECT, keys.SHADOW)
        )
        return (name for name, _ in groupby(heapq.merge(*scans)))

    def _mark(self, now: Backfill) -> None:
        self._now = now
        self._tables.put(keys.BACKFILL, encode(now))

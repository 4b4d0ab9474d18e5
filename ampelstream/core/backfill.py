"""Filtering earlier alerts anew, after a change of filters, beside the stream.

What a filter rejected is not in the state, so a changed filter, or a new channel, needs the alerts
themselves once more. A runtime reads them again and gives what is accepted as detections marked
``backfill``. They are gathered in *shadows* of the objects, which nobody looks at: candidates stay
what they are while the alerts are read, and nothing is withdrawn and given again on the way. When
all have been read, each object becomes its shadow, and its candidates are evaluated once.

New alerts go into both, object and shadow: they are accepted by the new filters already. Accepted
alerts that were not read again, since they are there no longer, stay as they were judged. Where the
topology changes once more when all have been read, the objects are brought over all the same.

Shadows lie under the number of their backfill. Those of one that is given up are seen by nobody
from then on; they are removed slice by slice, as the objects are brought over: there may be as many
as there are objects. What lies under another number is itself the mark that this is still to be
done.
"""

import heapq
import re
from collections.abc import Iterator, Mapping
from itertools import chain, groupby, islice

import msgspec

from ampelstream.core.objectstore import merge_detection
from ampelstream.core.state import AcceptedAlert, Backfill, ObjectState, decode, encode, keys
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

    Attributes
    ----------
    littered
        Whether shadows are left of a backfill that has ended or was given up.
    """

    def __init__(self, tables: KeyValue) -> None:
        self._tables = tables
        found = tables.get(keys.BACKFILL)
        self._now = None if found is None else decode.backfill(found)
        self._removed = b""
        self.littered = False
        self._look_for_litter()

    @property
    def filters(self) -> str:
        """Digest of the filters of the backfill that is under way; empty without one."""
        return "" if self._now is None else self._now.filters

    def stays(self, alert: AcceptedAlert) -> bool:
        """Whether an accepted alert stays as it was judged, since it may not have been read."""
        now = self._now
        if now is None:
            return False
        topic = alert.where.source
        return (now.since_jd is not None and alert.jd < now.since_jd) or any(
            topic not in there and re.fullmatch(names, topic) for names, there in now.held.items()
        )

    @property
    def pending(self) -> bool:
        """Whether objects wait to become their shadows."""
        return self._now is not None and self._now.read

    def begin(self, name: str, filters: str) -> None:
        """Begin anew; what was gathered before is seen no longer.

        Parameters
        ----------
        name
            Tells this backfill from others.
        filters
            Digest of the filters.
        """
        self._mark(Backfill(name, filters, None, number=self._unused_number()))
        self._look_for_litter()

    def end(self) -> None:
        """End it, or give it up; what it gathered is seen no longer."""
        if self._now is not None:
            self._tables.delete(keys.BACKFILL)
        self._now = None
        self._look_for_litter()

    def keep(self, since_jd: float | None, held: Mapping[str, tuple[str, ...]]) -> None:
        """Note what cannot be read again of the accepted alerts, as in `Backfilled`: it stays."""
        if self._now is not None and not self._now.read:
            self._note(self._now, since_jd, held)

    def _note(
        self,
        now: Backfill,
        since_jd: float | None,
        held: Mapping[str, tuple[str, ...]],
        *,
        read: bool = False,
    ) -> None:
        since = max((one for one in (now.since_jd, since_jd) if one is not None), default=None)
        held = {**now.held, **held}
        after = msgspec.structs.replace(now, since_jd=since, held=held, read=read)
        if after != now:
            self._mark(after)

    def clear(self, limit: int) -> None:
        """Remove the next shadows of backfills that were given up."""
        entries = self._litter(limit)
        for entry in entries:
            self._tables.delete(entry)
        self.littered = len(entries) == limit
        # what is removed is still met by a scan of the store: it begins behind that
        self._removed = entries[-1] if self.littered else b""

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
        entry = keys.shadow(detection.object_id, now.number)
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
            self._note(self._now, mark.since_jd, mark.held, read=True)

    def take(self, limit: int) -> list[str]:
        """Give the next objects that are to become their shadows; none at the end."""
        now = self._now
        if now is None or not now.read:
            return []
        names = list(islice(self._names(now), limit))
        if not names:
            self.end()
        return names

    def taken(self, object_id: str) -> ObjectState | None:
        """Note that an object is brought over; gives its shadow."""
        now = self._now
        if now is None:
            return None
        entry = keys.shadow(object_id, now.number)
        found = self._tables.get(entry)
        self._mark(msgspec.structs.replace(now, done=object_id))
        self._tables.delete(entry)
        return None if found is None else decode.object(found)

    def _names(self, now: Backfill) -> Iterator[str]:
        """Objects and shadows behind the last one, in the order of their names."""
        first, stop = keys.shadows(now.number)
        ranges = (
            (keys.OBJECT, keys.object(now.done) + b"\x00", keys.stop(keys.OBJECT)),
            (
                keys.shadow("", now.number),
                max(first, keys.shadow(now.done, now.number) + b"\x00"),
                stop,
            ),
        )
        scans = (self._scanned(*one) for one in ranges)
        return (name for name, _ in groupby(heapq.merge(*scans)))

    def _scanned(self, prefix: bytes, start: bytes, stop: bytes) -> Iterator[str]:
        return (key[len(prefix) :].decode() for key, _ in self._tables.scan(start, stop))

    # --- what was given up ----------------------------------------------------------------------

    def _litter(self, limit: int) -> list[bytes]:
        """Keys of shadows that are seen no longer, so many at most."""
        begin, end = keys.SHADOW, keys.stop(keys.SHADOW)
        ours = (end, end) if self._now is None else keys.shadows(self._now.number)
        ranges = ((begin, ours[0]), (ours[1], end))
        scans = (self._tables.scan(max(start, self._removed), stop) for start, stop in ranges)
        return [key for key, _ in islice(chain.from_iterable(scans), limit)]

    def _look_for_litter(self) -> None:
        self._removed = b""
        self.littered = bool(self._litter(1))

    def _unused_number(self) -> int:
        """One under which there is no shadow."""
        last = 0 if self._now is None else self._now.number
        at, stop = keys.shadow("", last + 1), keys.stop(keys.SHADOW + b"\x00")
        while (found := next(self._tables.scan(at, stop), None)) is not None:
            last = keys.split_shadow(found[0])
            at = keys.shadow("", last + 1)
        return last + 1

    def _mark(self, now: Backfill) -> None:
        self._now = now
        self._tables.put(keys.BACKFILL, encode(now))

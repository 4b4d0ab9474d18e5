"""Alerts that wait for the schema that they name: what is kept of each, and what becomes of it.

A telescope may send its first packets before their schema is in the registry. Ingest puts such a
packet on a stream of its own (``parked``), once and whole. This processor reads that stream, and
keeps a note of each packet whose schema is not there yet: its offset, and since when it waits. When
the schema is known, or the patience ends, the runtime fetches the packet by its offset, and it is
handled as any alert, or is a dead letter.

So a packet is written once, is read twice, and holds up no other. How much there is to remember
does not depend on how large the packets are.
"""

import math
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ampelstream.codecs.alerts import Schemas, schema_id_of
from ampelstream.core.ingest import Ingest
from ampelstream.model.record import SourceRecord
from ampelstream.model.streams import Output
from ampelstream.state.store import KeyValue

__all__ = ["MANY_SCHEMAS", "Note", "Waiting", "is_note"]

MANY_SCHEMAS = 100
"""So many different schemas are waited for in one partition; what names another one is a dead
letter. Surveys have a few; garbage names a new one in every record."""
_DAY_SECONDS = 86_400.0
_PREFIX, _PREFIX_STOP = b"s", b"t"
_LAST_OFFSET = (1 << 63) - 1
_KEY = struct.Struct(">cIQ")
_SINCE = struct.Struct(">d")


class Note(NamedTuple):
    """A packet that waits.

    Attributes
    ----------
    schema_id
        The schema that it names.
    offset
        Of its record on the stream.
    since
        When it was put there [s, Unix time].
    """

    schema_id: int
    offset: int
    since: float


class Waiting:
    """The alerts of one partition that wait for their schema.

    Parameters
    ----------
    ingest
        Handles those whose schema is known.
    state
        The partition's store; what is changed waits there until the runtime commits it.
    schemas
        Those that are known.
    now
        Unix time [s].
    limit_seconds
        For how long an alert waits [s] before it becomes a dead letter.
    """

    def __init__(
        self,
        ingest: Ingest,
        state: KeyValue,
        schemas: Schemas,
        now: Callable[[], float],
        *,
        limit_seconds: float,
    ) -> None:
        self._ingest = ingest
        self._state = state
        self._schemas = schemas
        self._now = now
        self._limit = limit_seconds
        self._counts: dict[int, int] = {}
        self._oldest: dict[int, float] = {}
        """Since when the first of each schema waits; those behind it have hardly waited longer."""
        for note in self._notes():
            self._counted(note)

    @property
    def schema_ids(self) -> list[int]:
        """The schemas that are waited for."""
        return list(self._counts)

    @property
    def count(self) -> int:
        """How many alerts wait."""
        return sum(list(self._counts.values()))

    @property
    def pending(self) -> int:
        """For how many schemas something can be done: known by now, or waited for too long."""
        return sum(self._is_ready(schema_id) for schema_id in self.schema_ids)

    def committed(self) -> None:
        """What was done since the last time is durable."""
        self._ingest.committed()

    # --- what comes in --------------------------------------------------------------------------

    def process(self, batch: Iterable[SourceRecord]) -> list[Output]:
        """Take in records of the stream, in order: those that have to wait are noted."""
        outputs: list[Output] = []
        for record in batch:
            schema_id = schema_id_of(record.value)
            if schema_id is None or self._schemas.known(schema_id) is not None:
                outputs.extend(self._ingest.process([record]))
            elif len(self._counts) >= MANY_SCHEMAS and schema_id not in self._counts:
                why = f"schema {schema_id} is not known, and {MANY_SCHEMAS} others are waited for"
                outputs.append(self._ingest.give_up(record, why))
            else:
                self._note(Note(schema_id, record.read_at.offset, record.since or self._now()))
        return outputs

    def _note(self, note: Note) -> None:
        key = _key(note.schema_id, note.offset)
        if self._state.get(key) is None:  # a batch that was half written is done again
            self._state.put(key, _SINCE.pack(note.since))
            self._counted(note)

    def _counted(self, note: Note) -> None:
        self._counts[note.schema_id] = self._counts.get(note.schema_id, 0) + 1
        self._oldest.setdefault(note.schema_id, note.since)

    # --- what need not wait any longer ----------------------------------------------------------

    def due(self, many: int) -> list[Note]:
        """Alerts to fetch and to hand to `resume`, so many at most; one schema after the other."""
        found: list[Note] = []
        for schema_id in sorted(self.schema_ids):
            known = self._schemas.known(schema_id) is not None
            for note in self._notes(schema_id) if self._is_ready(schema_id) else ():
                if len(found) >= many or not (known or self._is_late(note.since)):
                    break
                found.append(note)
        return found

    def resume(self, notes: Sequence[Note], records: Mapping[int, SourceRecord]) -> list[Output]:
        """Handle alerts that have waited.

        Parameters
        ----------
        notes
            As `due` gave them.
        records
            Their records, by offset; of one that the stream has no longer, what is left of it.
        """
        outputs: list[Output] = []
        for note in notes:
            record = records[note.offset]
            if record.fault or self._schemas.known(note.schema_id) is not None:
                outputs.extend(self._ingest.process([record]))
            else:
                days = (self._now() - note.since) / _DAY_SECONDS
                why = f"schema {note.schema_id} was never known: it was waited for {days:.1f} days"
                outputs.append(self._ingest.give_up(record, why))
        self._forget(notes)
        return outputs

    def forget(self) -> int:
        """Forget all of them, because the stream was made anew; give how many there were."""
        notes = list(self._notes())
        self._forget(notes)
        return len(notes)

    def _forget(self, notes: Sequence[Note]) -> None:
        for note in notes:
            self._state.delete(_key(note.schema_id, note.offset))
            self._counts[note.schema_id] -= 1
        for schema_id in {note.schema_id for note in notes}:
            del self._oldest[schema_id]
            first = next(self._notes(schema_id), None)
            if first is None:
                del self._counts[schema_id]
            else:
                self._oldest[schema_id] = first.since

    def _is_ready(self, schema_id: int) -> bool:
        known = self._schemas.known(schema_id) is not None
        return known or self._is_late(self._oldest.get(schema_id, math.inf))

    def _is_late(self, since: float) -> bool:
        return self._now() - since > self._limit

    # --- the notes ------------------------------------------------------------------------------

    def _notes(self, schema_id: int | None = None) -> Iterator[Note]:
        """Notes of one schema, or of all, in the order of their offsets."""
        start, stop = _PREFIX, _PREFIX_STOP
        if schema_id is not None:
            start, stop = _key(schema_id, 0), _key(schema_id, _LAST_OFFSET) + b"\x00"
        for key, value in self._state.scan(start, stop):
            _, number, offset = _KEY.unpack(key)
            yield Note(number, offset, _SINCE.unpack(value)[0])


def is_note(key: bytes) -> bool:
    """Whether a key of the store is that of an alert that waits."""
    return len(key) == _KEY.size and key.startswith(_PREFIX)


def _key(schema_id: int, offset: int) -> bytes:
    return _KEY.pack(_PREFIX, schema_id, offset)

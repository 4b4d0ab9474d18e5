"""The objects step: detections and events of one partition become candidates."""

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from faust.types import Message

from ampelstream.codecs import own
from ampelstream.core import keys
from ampelstream.core.books import Books
from ampelstream.core.boundary import Failure, attempt
from ampelstream.core.events import MapCache
from ampelstream.core.objects import Change
from ampelstream.errors import ConfigError
from ampelstream.model.candidate import Candidate
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.deadletter import DeadLetter
from ampelstream.runtime.kafka.letters import dead_letter, letter_of
from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.runtime.kafka.outbox import Outgoing
from ampelstream.runtime.service.metrics import Metrics
from ampelstream.state.store import Backend, Transaction
from ampelstream.topology import Topology

__all__ = ["ObjectsTask", "candidate_key"]

_SLICE = 25
_SLICE_SECONDS = 0.1
"""How long a sweep goes on at a time [s]: alerts may have to wait for it."""


KEY_SEPARATOR = "\x1f"
"""Between the parts of a candidate's key."""


def candidate_key(candidate: Candidate) -> bytes:
    """Key of a candidate on its topic: the last record of a key is its last revision."""
    return KEY_SEPARATOR.join(candidate.key).encode()


def _claim(tables: Transaction, topology: Topology) -> None:
    """Mark a new state as the topology's, or see that it is.

    Raises
    ------
    ConfigError
        It belongs to another content of the topology: its candidates would be a mixture.
    """
    known = tables.get(keys.IDENTITY)
    if known is None:
        tables.put(keys.IDENTITY, topology.hash.encode())
    elif known.decode() != topology.hash:
        raise ConfigError(
            f"the state on Kafka belongs to {topology.name} with hash {known.decode()}, and this "
            f"file has {topology.hash}: go on with the former file, or give the new one another "
            "name, create its topics, and let it read the alerts and notices again"
        )


class ObjectsTask:
    """Objects and events of one partition.

    Parameters
    ----------
    topology, names
        The workflow and its topics.
    partition, backend
        Which one, and its database.
    metrics
        Told how long sweeps take.
    cache
        Of sky maps; shared by the partitions of a worker.
    clock
        Seconds that only go forward.

    Raises
    ------
    ConfigError
        The state belongs to another content of the topology.
    """

    def __init__(
        self,
        topology: Topology,
        names: TopicNames,
        partition: int,
        backend: Backend,
        metrics: Metrics,
        *,
        cache: MapCache | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.tables = Transaction(backend)
        _claim(self.tables, topology)
        self.books = Books(topology, self.tables, cache)
        self._names = names
        self._partition = partition
        self._metrics = metrics
        self._clock = clock
        self._sweep_began: float | None = clock() if len(self.books.sweeps) else None

    @property
    def pending(self) -> int:
        """Events whose objects have yet to be matched."""
        return len(self.books.sweeps)

    def handle(self, messages: Sequence[Message]) -> list[Outgoing]:
        """Merge detections, take in events and ticks; give candidates and dead letters."""
        out: list[Outgoing] = []
        duplicates = 0
        for message in messages:
            if own.is_tick(message.value or b""):
                done = attempt(self._tick, message)
                if isinstance(done, Failure):
                    out.append(self._bury(message, "detections", "objects", done))
            elif message.topic == self._names.detections:
                merged = attempt(self._detection, message)
                if isinstance(merged, Failure):
                    out.append(self._bury(message, "detections", "objects", merged))
                    continue
                records, known = merged
                duplicates += known
                bury = partial(self._bury_detection, message)
                out.extend(self._fitting(records, bury))
            else:
                done = attempt(self._event, message)
                if isinstance(done, Failure):
                    out.append(self._bury(message, "events", "events", done))
        self._metrics.duplicates(duplicates)
        return out

    def _detection(self, message: Message) -> tuple[list[Outgoing], int]:
        detection = own.decode_detection(message.value or b"")
        merged = self.books.detection(detection)
        known = len(merged.duplicate_of) == len(detection.channels)
        return self._candidates(merged.changes), int(known)

    def _event(self, message: Message) -> None:
        self.books.announcement(own.decode_announcement(message.value or b""))
        self._sweep_began = self._sweep_began or self._clock()

    def _tick(self, message: Message) -> None:
        self.books.tick(own.decode_tick(message.value or b"").jd)

    def background(self) -> list[Outgoing] | None:
        """Match some objects against events that are new."""
        if not len(self.books.sweeps):
            return None
        until = self._clock() + _SLICE_SECONDS
        records: list[Outgoing] = []
        while len(self.books.sweeps) and self._clock() < until:
            swept = self.books.sweep(_SLICE)
            records.extend(self._fitting(self._candidates(swept.changes), self._bury_swept))
            records.extend(self._unswept(*failure) for failure in swept.failures)
        if not len(self.books.sweeps) and self._sweep_began is not None:
            self._metrics.sweep_seconds(self._clock() - self._sweep_began)
            self._sweep_began = None
        return records

    def _unswept(self, event_id: str, object_id: str, failure: Failure) -> Outgoing:
        """Dead letter of an object that could not be matched against a new revision."""
        self._metrics.dead_letter("objects")
        event = self.books.events.get(event_id)
        where = event.state.revisions[-1].where if event is not None else None
        letter = DeadLetter(
            where=where or Coordinates(self._names.events, self._partition, -1),
            stream="events",
            step="objects",
            error=failure.error,
            reason=f"object {object_id} against event {event_id}: {failure.reason}",
        )
        return dead_letter(self._names, letter)

    def again(self, keys: Sequence[bytes]) -> list[Outgoing]:
        """Make the candidates of these keys anew; one that the state does not have is removed."""
        found: dict[bytes, bytes | None] = dict.fromkeys(keys)
        for name in {key.decode().split(KEY_SEPARATOR)[1] for key in found}:
            for candidate in self.books.objects.candidates_of(name):
                if candidate_key(candidate) in found:
                    found[candidate_key(candidate)] = own.encode_candidate(candidate)
        return [
            Outgoing(self._names.candidates, key, value, self._partition)
            for key, value in found.items()
        ]

    def _candidates(self, changes: Iterable[Change]) -> list[Outgoing]:
        records = [
            Outgoing(
                self._names.candidates,
                candidate_key(change.after),
                own.encode_candidate(change.after),
                self._partition,
            )
            for change in changes
        ]
        self._metrics.candidates(len(records))
        return records

    @staticmethod
    def _fitting(
        records: Iterable[Outgoing], bury: Callable[[Outgoing, Failure], Outgoing]
    ) -> Iterable[Outgoing]:
        """Candidates that a topic takes; a dead letter for one that none would."""
        for record in records:
            if record.too_large:
                size = len(record.value or b"")
                failure = Failure("ProduceError", f"a candidate of {size} bytes is too large")
                yield bury(record, failure)
            else:
                yield record

    def _bury_detection(self, message: Message, _record: Outgoing, failure: Failure) -> Outgoing:
        return self._bury(message, "detections", "objects", failure)

    def _bury_swept(self, record: Outgoing, failure: Failure) -> Outgoing:
        event_id, object_id, _ = (record.key or b"").decode().split(KEY_SEPARATOR)
        return self._unswept(event_id, object_id, failure)

    def _bury(self, message: Message, stream: str, step: str, failure: Failure) -> Outgoing:
        self._metrics.dead_letter(step)
        return dead_letter(self._names, letter_of(message, stream, step, failure))

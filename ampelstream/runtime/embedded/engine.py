"""The embedded runtime: one process that carries records to the processors, and commits.

The outputs of one processor go to the next as lists. State, source offsets, counts, dead letters
and the messages to send go into the store in one WriteBatch. A process killed at any moment finds,
when started again, a state that holds exactly the records up to its offsets, and goes on there.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

import msgspec

from ampelstream.core.accounting import Accounting, CountKey
from ampelstream.core.ingest import Ingest
from ampelstream.core.objects import Objects
from ampelstream.core.react import Deliverer, React
from ampelstream.core.state import finish
from ampelstream.model.announcement import Announcement
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.deadletter import DeadLetter
from ampelstream.model.record import SourceRecord
from ampelstream.model.streams import Output, Record
from ampelstream.state.store import Backend, KeyValue, Transaction
from ampelstream.topology import Topology

__all__ = ["BATCH", "Engine", "Progress", "next_batch"]

BATCH = 500
"""Records that are handled, and committed, together."""
_BATCH_BYTES = 64 << 20
"""Fewer of them, where their values come to so much [byte]: they may all end as dead letters."""
_NOWHERE = Coordinates("memory", 0, -1)
"""Streams in memory have no offsets."""


def next_batch(records: Iterator[SourceRecord], most: int = BATCH) -> list[SourceRecord]:
    """Take records that are to be handled together; none at the end."""
    batch: list[SourceRecord] = []
    size = 0
    for record in records:
        batch.append(record)
        size += len(record.value)  # of a row of a table, that many columns
        if len(batch) >= most or size >= _BATCH_BYTES:
            break
    return batch


class Engine:
    """Topology, processors and store, driven by batches of records.

    Synchronous and without threads, so that it serves as test driver too.

    Parameters
    ----------
    topology
        The workflow.
    backend
        The store.
    commit_every
        Records after which the state is committed.
    deliverer
        Sends messages after each commit; without one they are only decided and kept.
    inputs
        Digest of the inputs, for a replay.
    now
        Unix time [s].
    clock
        Seconds that never go back.

    Raises
    ------
    ConfigError
        The state belongs to another topology.
    """

    def __init__(
        self,
        topology: Topology,
        backend: Backend,
        *,
        commit_every: int = BATCH,
        deliverer: Deliverer | None = None,
        inputs: str = "",
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.topology = topology
        self.tables = Transaction(backend)
        self.progress = Progress(self.tables)
        self.accounting = Accounting(self.progress.counts())
        tally = self.accounting.tally
        self.ingest = Ingest(topology, tally(), now)
        self.objects = Objects(topology, self.tables, tally(), clock, inputs=inputs)
        self.react = React(topology, self.tables, tally(), clock, deliverer)
        self._commit_every = commit_every
        self._since_commit = self._bytes_since = 0

    def process(self, batch: Sequence[SourceRecord]) -> list[Output]:
        """Handle records: each ends in the state, in the counts or in the dead letters.

        Returns
        -------
        list of Output
            What the processors gave: candidates, reactions and dead letters.
        """
        outputs: list[Output] = []
        for of_notices, part in groupby(batch, lambda record: record.stream == "notices"):
            if of_notices and self._since_commit:
                self.commit()  # the sweep then reads objects from the store, in key order
            records = list(part)
            outputs.extend(self._carry(self.ingest.process(records)))
            for record in records:
                self.progress.handled(record.read_at)
            self._since_commit += len(records)
            self._bytes_since += sum(len(record.value) for record in records)
        if self._since_commit >= self._commit_every or self._bytes_since >= _BATCH_BYTES:
            self.commit()
        return outputs

    def _carry(self, ingested: Iterable[Output]) -> list[Output]:
        """Let the objects take in what ingest gave, and the rules look at what came of it."""
        found: list[Output] = []
        waiting: list[Record] = []
        for output in ingested:
            if output.stream == "dead-letters":
                found.append(output)
                continue
            waiting.append(_record(output))
            if isinstance(output.value, Announcement):
                # its objects are matched before the next record: a replay is deterministic
                found.extend(self.objects.process(waiting))
                waiting = []
                found.extend(self.objects.advance())
        found.extend(self.objects.process(waiting))
        candidates = [_record(one) for one in found if one.stream == "candidates"]
        found.extend(self.react.process(candidates))
        for one in found:
            if isinstance(one.value, DeadLetter):
                self.progress.add_letter(one.value)
        return found

    def commit(self) -> None:
        """Write everything since the last commit as one batch, then send what was decided."""
        for processor in (self.ingest, self.objects, self.react):
            processor.committed()
        self.progress.save_counts(self.accounting.counts())
        self.tables.commit()
        self._since_commit = self._bytes_since = 0
        # what a sink took is noted in the next batch; a sink refuses what it took before
        self.react.advance()

    def finish(self) -> int:
        """Commit what is open, and what the sinks took of it.

        Returns
        -------
        int
            Messages that a sink has not taken.
        """
        self.commit()
        self.commit()
        return self.react.pending

    def mark_finished(self) -> None:
        """Note that a replay came to its end: its state is not to be gone on with."""
        finish(self.tables)
        self.tables.commit()


def _record(output: Output) -> Record:
    return Record(_NOWHERE, output.stream, output.value)  # type: ignore[arg-type]  # (what is carried on is no reaction)


class Progress:
    """What the runtime itself keeps in the store: source offsets, counts and dead letters.

    Parameters
    ----------
    tables
        The store; a transaction, so that all this is committed with the state that it belongs to.
    """

    _OFFSET, _LETTER, _COUNTS = b"p", b"d", b"n"
    _partition = msgspec.msgpack.Decoder(tuple[str, int])
    _counts = msgspec.msgpack.Decoder(list[tuple[tuple[str, ...], int]])
    _letter = msgspec.msgpack.Decoder(DeadLetter)
    _encode = msgspec.msgpack.Encoder().encode

    def __init__(self, tables: KeyValue) -> None:
        self._tables = tables

    def offsets(self) -> dict[tuple[str, int], int]:
        """Last offset handled, for each (source, partition)."""
        return {
            self._partition.decode(key[1:]): int(value)
            for key, value in self._tables.scan(self._OFFSET, b"q")
        }

    def handled(self, where: Coordinates) -> None:
        """Note that the record was handled, whatever became of it."""
        key = self._OFFSET + self._encode((where.source, where.partition))
        self._tables.put(key, str(where.offset).encode())

    def add_letter(self, letter: DeadLetter) -> None:
        """Keep a dead letter, under its coordinates and reason: a record may have several."""
        key = self._LETTER + self._encode((letter.where, letter.step, letter.reason))
        self._tables.put(key, self._encode(letter))

    def letters(self) -> Iterator[DeadLetter]:
        """Dead letters, in the order of their keys."""
        for _, value in self._tables.scan(self._LETTER, b"e"):
            yield self._letter.decode(value)

    def counts(self) -> dict[CountKey, int]:
        """The counts so far."""
        value = self._tables.get(self._COUNTS)
        return {} if value is None else dict(self._counts.decode(value))

    def save_counts(self, counts: dict[CountKey, int]) -> None:
        """Keep the counts."""
        self._tables.put(self._COUNTS, self._encode(sorted(counts.items())))

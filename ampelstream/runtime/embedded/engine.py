"""The embedded runtime: one process that carries records to the processors, and commits.

The outputs of one processor go to the next as lists. State, source offsets, counts, dead letters
and the messages to send go into the store in one WriteBatch, after so many records or after about a
second. A process killed at any moment finds, when started again, a state that holds exactly the
records up to its offsets, and goes on there.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

import msgspec

from ampelstream.codecs.alerts import Schemas
from ampelstream.core.accounting import Accounting, CountKey
from ampelstream.core.ingest import Ingest
from ampelstream.core.objects import Objects
from ampelstream.core.ownership import Word, asks, finish, owner_of
from ampelstream.core.react import STRANDED, Deliverer, React
from ampelstream.model.announcement import Backfilled
from ampelstream.model.candidate import Candidate
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.deadletter import DeadLetter
from ampelstream.model.detection import Detection
from ampelstream.model.display import counted
from ampelstream.model.localisation import MapAt, no_map
from ampelstream.model.record import SourceRecord
from ampelstream.model.streams import Output, Record
from ampelstream.model.times import jd_from_unix
from ampelstream.runtime.embedded.letterfile import LetterFile
from ampelstream.runtime.portion import PORTION_SECONDS, Portion
from ampelstream.runtime.service.journal import Journals
from ampelstream.runtime.service.log import incident
from ampelstream.runtime.settings import STEPS
from ampelstream.state.store import Backend, KeyValue, Transaction
from ampelstream.topology import Topology

__all__ = ["BATCH", "Engine", "Progress", "next_batch"]

_LOG = logging.getLogger(__name__)
BATCH = 500
"""Records that are handled, and committed, together."""
_NO_OFFSET = -1
"""Of streams in memory."""
_BATCH_BYTES = 64 << 20
"""Fewer of them, where their values come to so much [byte]: they may all end as dead letters."""


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
    word
        From when on changed filters count, where the topology has changed since the state was used.
    eager
        Whether all that an event concerns is done before the next record, as a replay must to be
        deterministic; otherwise `advance` does it, in slices.
    letter_file
        Where dead letters are written as they come; without it they are in the state only.
    forget
        Whether objects and events are forgotten when event time says so, as whoever runs for ever
        must; a replay ends, and what it was given may be of any time.
    now
        Unix time [s].
    clock
        Seconds that never go back.
    journals
        Where it is written what is in hand; None for nowhere.
    at_once
        How many objects are evaluated at the same time, where units are heavy.
    schemas
        Of packets that only name theirs.

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
        word: Word | None = None,
        eager: bool = True,
        letter_file: Path | None = None,
        forget: bool = False,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        journals: Journals | None = None,
        at_once: int = 1,
        map_at: MapAt = no_map,
        schemas: Schemas | None = None,
    ) -> None:
        self.topology = topology
        self.schemas = schemas
        self.tables = Transaction(backend)
        self.progress = Progress(self.tables)
        given = word
        if word is Word.BACKFILL and owner_of(self.tables) is None:
            word = None  # nothing was read before
        self.accounting = Accounting(self.progress.counts())
        again = self.accounting.backfill_tally()
        self._tallies = [again, *(self.accounting.tally() for _ in STEPS)]
        ingest_tally, objects_tally, react_tally = self._tallies[1:]
        ingest, objects, react = (journals.open(step) if journals else None for step in STEPS)
        self.ingest = Ingest(
            *(topology, ingest_tally, now),
            schemas=schemas,
            ticks=forget,
            tables=self.tables,
            in_hand=ingest,
            map_at=map_at,
        )
        self.objects = Objects(
            topology,
            self.tables,
            objects_tally,
            clock,
            inputs=inputs,
            word=word,
            in_hand=objects,
            at_once=at_once,
        )
        if self.objects.changes or not self.objects.awaits_backfill:
            self._forget_again()  # a backfill, if there is to be one, begins anew
        goes_on = word is Word.BACKFILL and self.objects.awaits_backfill
        used = asks(self.objects.changes) or self.objects.gave_up or goes_on
        self.word_is_unused = given is not None and not used
        """Whether a word was given that nothing asked for."""
        if self.objects.gave_up:
            _LOG.warning(
                "the backfill that was under way is ended: all earlier alerts stay as they were "
                "judged"
            )
        self.react = React(
            topology, self.tables, react_tally, clock, deliverer, inputs=inputs, in_hand=react
        )
        if self.react.stranded:
            number = self.react.stranded
            incident(_LOG, logging.WARNING, "stranded", STRANDED % number, messages=number)
        self._refilter = Ingest(
            *(topology, again, now),
            schemas=schemas,
            backfill=True,
            given_up=self.progress.is_letter,
            in_hand=ingest,
        )
        self.backfill_waits = ""
        """What a backfill waits for, in words for people; empty while it goes on."""
        self._eager = eager
        self.on_commit: Callable[[], None] = _nothing
        """Called after each commit."""
        self._now = now
        self._latest: float | None = None
        self.letters = None
        if letter_file is not None:
            stored = self.progress.letter_keys
            self.letters = LetterFile(letter_file, self.tables, self.progress.letter, stored)
        self._clock = clock
        self._commit_every = commit_every
        self._since_commit = self._bytes_since = 0
        self._uncommitted_since: float | None = None

    def process(
        self, batch: Sequence[SourceRecord], stop: Callable[[], bool] = lambda: False
    ) -> list[Output]:
        """Handle records: each ends in the state, in the counts or in the dead letters.

        Parameters
        ----------
        batch
            In order.
        stop
            Asked about once a second whether the others are to be left for another time.

        Returns
        -------
        list of Output
            What the processors gave: candidates, reactions and dead letters.
        """
        outputs = self.catch_up(stop) if self._eager else []
        for of_notices, part in groupby(batch, lambda record: record.stream == "notices"):
            if of_notices and self._since_commit:
                self.commit()  # the sweep then reads objects from the store, in key order
            rest = list(part)
            self.ingest.look_ahead(rest)
            while rest and not stop():
                portion = Portion(rest, clock=self._clock)
                self._begin()
                if of_notices and self._eager:
                    # its objects are matched before the next record: a replay is deterministic
                    for record in portion:
                        outputs.extend(self._carry([record]))
                        outputs.extend(self.catch_up(stop))
                        if self.objects.pending:  # it was stopped
                            break
                else:
                    outputs.extend(self._carry(portion))
                rest = rest[portion.handled :]
                self._commit_when_due()
        return outputs

    def catch_up(self, stop: Callable[[], bool] = lambda: False) -> list[Output]:
        """Match the objects near events that are new; to be called after a start, too.

        A process that was killed, or stopped, in the middle of this goes on where its last commit
        was.
        """
        outputs: list[Output] = []
        while self.objects.pending and not stop():
            self._begin()
            outputs.extend(self._followed(self.objects.advance(PORTION_SECONDS)))
            self._commit_when_due()
        return outputs

    def _carry(self, records: Iterable[SourceRecord], *, again: bool = False) -> list[Output]:
        """Let the objects take in what ingest gives, and the rules look at what comes of it."""
        letters: list[Output] = []
        ingest = self._refilter if again else self.ingest
        found = self.objects.process(self._ingested(ingest, records, letters, again=again))
        return self._followed([*letters, *found])

    def _ingested(
        self,
        ingest: Ingest,
        records: Iterable[SourceRecord],
        letters: list[Output],
        *,
        again: bool,
    ) -> Iterator[Record]:
        """What ingest gives for the objects, one record after the other; and its dead letters."""
        for record, found in ingest.each(records):
            for output in found:
                if output.stream == "dead-letters":
                    letters.append(output)
                else:
                    self._note_time(output.value)
                    yield Record(record.read_at, output.stream, output.value)  # type: ignore[arg-type]  # (what ingest gives is no reaction)
            self.progress.handled(record.read_at, again=again)
            self._since_commit += 1
            self._bytes_since += len(record.value)

    def _followed(self, found: list[Output]) -> list[Output]:
        """Let the rules look at candidates, and keep dead letters."""
        candidates = [
            Record(_place(one.value), "candidates", one.value)
            for one in found
            if isinstance(one.value, Candidate)
        ]
        found.extend(self.react.process(candidates))
        for one in found:
            if isinstance(one.value, DeadLetter):
                key = self.progress.add_letter(one.value)
                if key is not None and self.letters is not None:
                    self.letters.add(key, one.value)
        return found

    def advance(self, budget_seconds: float) -> list[Output]:
        """Go on with what no record asks for, for about so long [s], and commit."""
        outputs = self._followed(self.objects.advance(budget_seconds))
        self.commit()
        return outputs

    def refilter(self, batch: Sequence[SourceRecord]) -> None:
        """Filter alerts anew that were handled before, for filters that have changed; commit."""
        self._refilter.look_ahead(batch)
        self._carry(batch, again=True)
        self.commit()

    @property
    def unjudged(self) -> int:
        """How many alerts the backfill that is under way could not judge anew."""
        return self.accounting.total("unjudged") - self.progress.unjudged_before()

    def refiltered(self) -> None:
        """Note that all of them have been; `advance` brings the objects over."""
        self.backfill_waits = ""
        _LOG.info("the backfill is read: its objects are brought over")
        if self.unjudged:
            _LOG.warning(
                "%s could not be judged anew by the backfill: to be found as dead letters of the "
                "step `backfill`, and counted as rejected",
                counted(self.unjudged, "alert"),
            )
        self._forget_again()
        mark = Backfilled("")  # there is one at a time, and no other's mark comes late
        self.objects.process([Record(Coordinates("backfill", 0, _NO_OFFSET), "detections", mark)])
        self.commit()

    def _forget_again(self) -> None:
        self.progress.forget_again(self.accounting.total("unjudged"))

    @property
    def event_time(self) -> float | None:
        """How far event time has come [JD, UTC].

        As the bulk of the alerts says, once there are enough; else the latest time of an alert that
        was accepted since the start; None before the first.
        """
        watermark = self.objects.watermark
        return self._latest if watermark is None else watermark

    def _note_time(self, value: object) -> None:
        if isinstance(value, Detection) and value.jd <= jd_from_unix(self._now()):
            self._latest = max(value.jd, self._latest or value.jd)

    def _begin(self) -> None:
        if self._uncommitted_since is None:
            self._uncommitted_since = self._clock()

    def _commit_when_due(self) -> None:
        since = self._uncommitted_since
        late = since is not None and self._clock() - since >= PORTION_SECONDS
        full = self._since_commit >= self._commit_every or self._bytes_since >= _BATCH_BYTES
        if late or full:
            self.commit()

    def commit(self) -> None:
        """Write everything since the last commit as one batch, then send what was decided."""
        for tally in self._tallies:
            tally.commit()  # before the rest is durable: the counts are a part of it
        self.progress.save_counts(self.accounting.counts())
        self.tables.commit()
        for processor in (self.ingest, self._refilter, self.objects, self.react):
            processor.committed()
        self._since_commit = self._bytes_since = 0
        self._uncommitted_since = None
        if self.letters is not None:
            self.letters.write()
        # what a sink took is noted in the next batch; a sink refuses what it took before
        self.react.advance()
        self.on_commit()

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


def _nothing() -> None:
    pass


def _place(candidate: Candidate) -> Coordinates:
    """Where a revision of a candidate is: in memory, under its name."""
    return Coordinates(f"candidates/{'/'.join(candidate.key)}", 0, _NO_OFFSET)


class Progress:
    """What the runtime itself keeps in the store: source offsets, counts and dead letters.

    Parameters
    ----------
    tables
        The store; a transaction, so that all this is committed with the state that it belongs to.
    """

    _OFFSET, _LETTER, _COUNTS, _AGAIN, _UNJUDGED = b"p", b"d", b"n", b"g", b"i"
    _key = msgspec.msgpack.Decoder(tuple[Coordinates, str, str])
    _partition = msgspec.msgpack.Decoder(tuple[str, int])
    _counts = msgspec.msgpack.Decoder(list[tuple[tuple[str, ...], int]])
    _letter = msgspec.msgpack.Decoder(DeadLetter)
    _encode = msgspec.msgpack.Encoder().encode

    def __init__(self, tables: KeyValue) -> None:
        self._tables = tables
        self._last: tuple[tuple[str, int, bool], bytes] = (("", -1, False), b"")

    def offsets(self, *, again: bool = False) -> dict[tuple[str, int], int]:
        """Last offset handled, for each (source, partition); or handled again, by a backfill."""
        table = self._AGAIN if again else self._OFFSET
        return {
            self._partition.decode(key[1:]): int(value)
            for key, value in self._tables.scan(table, bytes([table[0] + 1]))
        }

    def forget_again(self, unjudged: int = 0) -> None:
        """Forget how far a backfill had come.

        Parameters
        ----------
        unjudged
            How many alerts backfills could not judge anew until now.
        """
        for key in [key for key, _ in self._tables.scan(self._AGAIN, b"h")]:
            self._tables.delete(key)
        if unjudged:
            self._tables.put(self._UNJUDGED, str(unjudged).encode())

    def unjudged_before(self) -> int:
        """How many alerts earlier backfills could not judge anew."""
        return int(self._tables.get(self._UNJUDGED) or 0)

    def handled(self, where: Coordinates, *, again: bool = False) -> None:
        """Note that the record was handled (again), whatever became of it."""
        place = (where.source, where.partition, again)
        if place != self._last[0]:  # most often it is where the record before was
            key = (self._AGAIN if again else self._OFFSET) + self._encode(place[:2])
            self._last = (place, key)
        self._tables.put(self._last[1], b"%d" % where.offset)

    def step_back(self, place: tuple[str, int]) -> None:
        """Have a backfill judge the last record of a (source, partition) once more."""
        key = self._AGAIN + self._encode(place)
        last = int(self._tables.get(key) or 0)
        if last > 0:
            self._tables.put(key, str(last - 1).encode())
        else:
            self._tables.delete(key)

    def add_letter(self, letter: DeadLetter) -> bytes | None:
        """Keep a dead letter, under its coordinates and reason: a record may have several.

        Returns
        -------
        bytes or None
            Its key; None where it is known.
        """
        key = self._LETTER + self._encode((letter.where, letter.step, letter.reason))
        known = self._tables.get(key) is not None
        self._tables.put(key, self._encode(letter))
        return None if known else key

    def is_letter(self, where: Coordinates) -> bool:
        """Whether the record of these coordinates could not be read or decoded when it was new."""
        # the key of a letter, up to where its record was: an array of three
        begin = self._LETTER + b"\x93" + self._encode(where)
        found = self._tables.scan(begin, begin + b"\xff")
        return any(self._key.decode(key[1:])[1] in {"read", "decode"} for key, _ in found)

    def letter(self, key: bytes) -> DeadLetter:
        """A dead letter by its key; KeyError where there is none."""
        value = self._tables.get(key)
        if value is None:
            raise KeyError(key)
        return self._letter.decode(value)

    def letter_keys(self) -> Iterator[bytes]:
        """Keys of all dead letters."""
        for key, _ in self._tables.scan(self._LETTER, b"e"):
            yield key

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

"""Batches of records, for the body of an agent: each one is durable before the next is given.

    @app.agent(topic)
    async def count(stream):
        async for batch in batches(stream, "count", outbox, observer):
            outputs = await batch.run(work, batch.records)
            await batch.commit(outputs)

A stream of Faust is only the handle of the agent here; nothing is taken from it. What it would give
one by one, and acknowledge when the next is asked for (``streams.py:1180-1187``, ``:1334-1350``),
waits as whole lists in the consumer's inbox: `driver.Consumer` puts there what each fetch brought,
and `_Work.next` takes it out. A batch without records is given where the processor of a partition
has something pending; the partitions take turns, and records come between any two of them.

The order of a commit is: outputs, changelog, database, source offsets; each part is acknowledged
before the next. So nothing depends on when Faust acknowledges, flushes or gives up, and a batch is
as large as what came in while the last one was in work. An agent whose records take long commits
those that it has handled, and the others wait again, behind those of other partitions. What fails,
and what an agent raises, ends the application; nothing of that batch is committed.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Protocol, TypeVar, cast

from faust.types import TP, StreamT

from ampelstream.runtime.safefaust.continuity import Continuity
from ampelstream.runtime.safefaust.driver import Consumer
from ampelstream.runtime.safefaust.failures import LostRecords, SafeFaustError, SettingsError
from ampelstream.runtime.safefaust.fencing import OwnershipGuard
from ampelstream.runtime.safefaust.inbox import Chunk, parted
from ampelstream.runtime.safefaust.observing import Observer
from ampelstream.runtime.safefaust.outbox import Outbox, Outgoing
from ampelstream.runtime.safefaust.partitionstore import Database
from ampelstream.runtime.safefaust.table import StateTable

__all__ = ["Batch", "Processor", "Stateful", "Transaction", "batches"]

R = TypeVar("R")
_LIMIT = 500
_IDLE_SECONDS = 1.0
_SLICE_SECONDS = 0.005
"""A slice of background work that was quicker and changed nothing had nothing to do now [s]."""


class Processor(Protocol):
    """What works on a partition's records and state.

    It is thrown away and made again from the database whenever something it did was not committed.
    """

    @property
    def pending(self) -> int:
        """How much there is to do that no record asks for."""
        ...


class Transaction(Protocol):
    """Changes of a partition's state that are not committed yet."""

    def changes(self) -> Mapping[bytes, bytes | None]:
        """What the next commit writes; None deletes."""
        ...

    def rollback(self) -> None:
        """Forget what has not been committed."""
        ...


P = TypeVar("P", bound=Processor)
T = TypeVar("T", bound=Transaction)


@dataclass(frozen=True, slots=True)
class Stateful(Generic[P, T]):
    """The state of an agent.

    Attributes
    ----------
    table
        Where it is.
    begin
        Makes a transaction over a partition's database.
    processor
        Makes what works on a partition, from its number and a transaction; in the agent's thread,
        after the state is restored.
    exclusive
        A topic of which only the owner of a partition writes to the one of the same number; None
        without one.
    again
        Makes the records of these keys of that topic anew, as the state has them; in the agent's
        thread.
    """

    table: StateTable
    begin: Callable[[Database], T]
    processor: Callable[[int, T], P]
    exclusive: str | None = None
    again: Callable[[P, int, Sequence[bytes]], list[Outgoing]] = lambda *_: []


class Batch(Generic[P]):
    """Records that are in hand, until they are committed.

    Attributes
    ----------
    records
        ``aiokafka.structs.ConsumerRecord`` in the order of their partitions; none where it is the
        turn of what the processor has pending.
    partition
        Its number; -1 for an agent without state, whose batches hold records of several.
    generation, term
        Of the consumer group, and of the inbox, when the batch was given: where one has changed by
        the time of the commit, the partition is somebody else's, and nothing is committed.
    done
        Whether it was committed, or left to the partition's new owner.
    """

    def __init__(
        self, work: "_Work[P, Any]", chunks: Sequence[Chunk], partition: int, processor: P | None
    ) -> None:
        self._work = work
        self._processor = processor
        self.chunks = chunks
        self.partition = partition
        self.records: list[Any] = [one for chunk in chunks for one in chunk.records]
        self.generation = work.generation
        self.term = work.inbox.term
        self.began = time.monotonic()
        self.done = False

    @property
    def processor(self) -> P:
        """What works on the partition."""
        if self._processor is None:
            raise SafeFaustError("this agent has no state, so its batches have no processor")
        return self._processor

    async def run(self, call: Callable[..., R], *args: Any) -> R:
        """Call something in the agent's thread."""
        with self._work.busy(self.partition):
            return await self._work.in_thread(call, *args)

    async def commit(self, outgoing: Sequence[Outgoing] = (), handled: int | None = None) -> bool:
        """Make durable what the batch led to.

        Parameters
        ----------
        outgoing
            What is to be produced.
        handled
            How many of the records, from the first on, all this comes of; the others wait again.
            By default all.

        Returns
        -------
        bool
            Whether it is durable. It is not where the partition went elsewhere meanwhile: then its
            new owner does this work again.

        Raises
        ------
        ProduceError
            The brokers did not take it; nothing is committed.
        LostRecords
            A rebalance has waited so long that others may have the partition by now.
        SafeFaustError
            Of several records none is handled: they would come again for ever.
        """
        count = len(self.records) if handled is None else handled
        if self.records and count < 1:
            raise SafeFaustError(f"none of {len(self.records)} records was handled; handle one")
        with self._work.busy(self.partition):
            return await self._work.commit(self, outgoing, count)


async def batches(
    stream: StreamT[Any],
    name: str,
    outbox: Outbox,
    observer: Observer,
    *,
    state: Stateful[P, Any] | None = None,
    prepare: Callable[[Sequence[Any]], Awaitable[None]] | None = None,
    contiguous: bool = False,
    limit: int = _LIMIT,
) -> AsyncIterator[Batch[P]]:
    """Give batches, without end; each is to be committed before the next is asked for.

    Parameters
    ----------
    stream
        What Faust gave the agent.
    name
        Of the step, for the observer.
    outbox
        Where outputs and changelog go.
    observer
        Is notified of batches, commits and waits (metrics, health).
    state
        State of the agent; a batch then holds records of one partition number. Without it, of all.
    prepare
        Awaited with the records before they are in hand: it may take its time, and partitions may
        go elsewhere meanwhile.
    contiguous
        Whether the source topics have no holes in their offsets: then none may be missing.
    limit
        How many records a batch has at most.
    """
    work: _Work[P, Any] = _Work(cast("Any", stream).app, name, outbox, observer, state)
    work.prepare, work.limit = prepare, limit
    if contiguous:
        work.watch_offsets()
    work.start()
    while True:
        batch = await work.next()
        yield batch
        if not batch.done:
            raise SafeFaustError(f"{name}: a batch was left without a commit; `await batch.commit`")


class _Work(Generic[P, T]):
    """The work of one agent on the partitions that this worker has."""

    def __init__(
        self,
        app: Any,
        name: str,
        outbox: Outbox,
        observer: Observer,
        state: Stateful[P, T] | None,
    ) -> None:
        self.app = app
        self.name = name
        self.prepare: Callable[[Sequence[Any]], Awaitable[None]] | None = None
        self.limit = _LIMIT
        self._outbox = outbox
        self._observer = observer
        self._state = state
        self.consumer: Consumer = app.consumer
        self.inbox = self.consumer.inbox
        self._processors: dict[int, P] = {}
        self._transactions: dict[int, T] = {}
        self._term = 0
        self._turns: deque[int] = deque()
        self._worked, self._sliced = False, True
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"safefaust-{name}")
        self._continuity: Continuity | None = None
        self._guard: OwnershipGuard | None = None

    @property
    def generation(self) -> int:
        """Of the consumer group."""
        return int(self.app.consumer_generation_id)

    def start(self) -> None:
        """Take part in what the consumer does.

        Raises
        ------
        SettingsError
            Another agent does already.
        """
        if self.consumer.work is not None:
            raise SettingsError(
                f"{self.name}: the application has another agent that takes batches; give each an "
                "application of its own, which is a consumer group of its own"
            )
        self.consumer.work = self
        if self._state is not None:
            table = self._state.table
            table.processors = self._processors
            table.on_restored = partial(self._observer.restored, self.name)
            topic = self._state.exclusive
            self._guard = OwnershipGuard(table, topic, self._ends, self._again, self._outbox)
            self.app.add_future(self._watch(self._guard))

    def watch_offsets(self) -> None:
        """Let no record be missing."""
        self._continuity = Continuity(self._committed_offset, self._earliest)

    # called by the consumer (`driver.Work`)

    def pause(self) -> None:
        """Partitions are about to be moved, or we stop."""
        self._observer.ready(self.name, False)  # noqa: FBT003  (a setter's value)

    def forget(self) -> None:
        """The batch in hand is finished."""
        self._processors.clear()
        self._transactions.clear()

    def committed(self) -> None:
        """Offsets were committed."""
        self._observer.committed(self.name)

    def assigned(self, partitions: set[TP]) -> None:
        """The group has given us partitions."""
        self._observer.assigned(self.name, partitions)

    def revoked(self, partitions: set[TP]) -> None:
        """The group takes partitions."""
        self._observer.revoked(self.name, partitions)

    # what a batch needs

    def busy(self, partition: int) -> Any:
        """Context around a handler."""
        return self._observer.busy(self.name if partition < 0 else f"{self.name}/{partition}")

    async def in_thread(self, call: Callable[..., R], *args: Any) -> R:
        """Call something in the agent's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(call, *args))

    async def next(self) -> Batch[P]:
        """Wait for work, and take it in hand."""
        while True:
            if not self.inbox.is_open:
                await self.inbox.wait(_IDLE_SECONDS)
            elif self._term != self.inbox.term:
                await self._begin()
            elif (batch := await self._turn()) is not None:
                return batch
            else:
                if not self._worked:
                    await self.inbox.wait(_IDLE_SECONDS)
                self._worked = False
                self._turns = deque(self._processors)

    async def _turn(self) -> Batch[P] | None:
        """Records and background work in turn: records wait for one slice, not for everybody's."""
        if self._sliced:
            batch = await self._records() or await self._slice()
        else:
            batch = await self._slice() or await self._records()
        if batch is not None:
            self._sliced = not batch.records
        return batch

    async def commit(self, batch: Batch[P], outgoing: Sequence[Outgoing], handled: int) -> bool:
        """Make a batch durable, and let go of it."""
        chunks, rest = parted(batch.chunks, handled)
        durable = await self._make_durable(batch, outgoing, chunks)
        # not after a failure: then the batch stays in hand, and nothing behind it is settled
        batch.done = True
        if durable and self.inbox.is_open and batch.term == self.inbox.term:
            self.inbox.put_back(rest)  # else all of it is read again
        self.inbox.held = False
        self.inbox.in_hand.release()
        if batch.chunks:
            self._turns = self._turns or deque(self._processors)
            self._observer.batch_seconds(self.name, time.monotonic() - batch.began)
        return durable

    async def _make_durable(
        self, batch: Batch[P], outgoing: Sequence[Outgoing], chunks: Sequence[Chunk]
    ) -> bool:
        self._check_term()
        sent = await self._outbox.send(outgoing)
        if self._guard is not None:
            self._guard.sent(outgoing, sent)
        self._check_term()
        if batch.generation != self.generation or batch.term != self.inbox.term:
            # the partition went elsewhere while we worked: its new owner does this work again
            self._processors.pop(batch.partition, None)
            self._transactions.pop(batch.partition, None)
            return False
        changes: Mapping[bytes, bytes | None] = {}
        if self._state is not None:
            transaction = self._transactions[batch.partition]
            changes = transaction.changes()
            await self._state.table.write(batch.partition, changes, self._outbox)
            transaction.rollback()  # the database has it now
        took = time.monotonic() - batch.began
        self._worked |= bool(outgoing or changes) or took > _SLICE_SECONDS
        for chunk in chunks:
            self.inbox.settle(chunk.tp, chunk.behind)
        return True

    def _check_term(self) -> None:
        """Refuse to write when the group may have lost its patience with us.

        Raises
        ------
        LostRecords
            A rebalance waits for us since almost as long as members are given.
        """
        if self.consumer.late:
            raise LostRecords(
                f"{self.name}: a rebalance has waited too long for this batch; others may have its "
                "partition by now, so it is left to them"
            )

    async def _begin(self) -> None:
        """State is restored: take up the work on the partitions that we have now."""
        inbox = self.inbox
        async with inbox.in_hand:
            if not inbox.is_open:
                return
            term = inbox.term
            self.forget()
            if self._continuity is not None:
                self._continuity.restart()
            if self._state is not None and self._guard is not None:
                table = self._state.table
                for tp in sorted(self.app.tables.recovery.actives_for_table[table]):
                    await self._make(self._state, tp.partition)
                await self._guard.begin(self._processors)
            self._term = term  # where it ended meanwhile, the next one begins
            self._turns = deque(self._processors)
        self._observer.ready(self.name, True)  # noqa: FBT003  (a setter's value)

    async def _make(self, state: Stateful[P, T], number: int) -> None:
        self._transactions[number] = state.begin(state.table.partitions_store.backend(number))
        make = state.processor
        self._processors[number] = await self.in_thread(make, number, self._transactions[number])

    async def _records(self) -> Batch[P] | None:
        """Take records that wait; None where there are none, or they went elsewhere."""
        term = self.inbox.term
        chunks = self.inbox.take(self.limit, one_partition=self._state is not None)
        if not chunks:
            return None
        if self._continuity is not None:
            for chunk in chunks:
                await self._continuity.check(chunk.tp, chunk.offsets)
        if self.prepare is not None:
            records = [one for part in chunks for one in part.records]
            await self._prepared(self.prepare(records), term)
        partition = -1 if self._state is None else chunks[0].tp.partition
        return await self._in_hand(chunks, partition, term)

    async def _slice(self) -> Batch[P] | None:
        """Give the next partition its turn to do what no record asks for."""
        while self._turns:
            number = self._turns.popleft()
            if number in self._processors and self._processors[number].pending:
                return await self._in_hand((), number, self.inbox.term)
        return None

    async def _in_hand(self, chunks: Sequence[Chunk], number: int, term: int) -> Batch[P] | None:
        inbox = self.inbox
        await inbox.in_hand.acquire()
        if not inbox.is_open or inbox.term != term:
            # they come again, to us or to others: every assignment begins at what is committed
            inbox.held = False
            inbox.in_hand.release()
            return None
        processor = None if self._state is None else self._processors[number]
        return Batch(self, chunks, number, processor)

    async def _prepared(self, preparation: Awaitable[None], term: int) -> None:
        """Wait, and report progress meanwhile; but not for what goes elsewhere."""
        work = asyncio.ensure_future(preparation)
        try:
            while not work.done() and self.inbox.is_open and self.inbox.term == term:
                if not (await asyncio.wait({work}, timeout=_IDLE_SECONDS))[0]:
                    self._observer.progress(self.name)
            if work.done():
                work.result()
        finally:
            work.cancel()

    async def _watch(self, guard: OwnershipGuard) -> None:
        """Look once a second whether others write where only we may."""
        while True:
            await asyncio.sleep(_IDLE_SECONDS)
            if not self._may_look():
                continue
            ends = await guard.ask(self._processors)
            async with self.inbox.in_hand:
                if self._may_look():
                    ours = {tp: end for tp, end in ends.items() if tp.partition in self._processors}
                    await guard.look(ours)

    def _may_look(self) -> bool:
        inbox, quiet = self.inbox, not self.app.rebalancing
        return bool(self._processors) and inbox.is_open and self._term == inbox.term and quiet

    async def _ends(self, places: set[TP]) -> Mapping[TP, int | None]:
        ends: Mapping[TP, int | None] = await self.consumer.highwaters(*places)
        return ends

    async def _again(self, number: int, keys: Iterable[bytes]) -> list[Outgoing]:
        state = self._state
        if state is None:
            return []
        return await self.in_thread(state.again, self._processors[number], number, list(keys))

    def _committed_offset(self, tp: TP) -> int | None:
        return self.consumer._committed_offset[tp]  # noqa: SLF001  (no public way)

    async def _earliest(self, tp: TP) -> int | None:
        offsets = await self.consumer.earliest_offsets(tp)
        first: int | None = offsets.get(tp)
        return first

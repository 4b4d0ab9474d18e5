"""One stateful step in one worker: records in, batches through the partition's task, commits.

The agent only receives. A loop of our own takes what waits, one partition at a time, works on it in
a thread, and commits in this order, each part acknowledged before the next: outputs, changelog,
database, and only then the source offsets. So nothing depends on when Faust acknowledges, flushes
or gives up, and a batch is as large as what came in while the last one was in work.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

from faust.streams import Stream
from faust.tables.manager import TableManager
from faust.types import TP, EventT, StreamT

from ampelstream.errors import LostRecords
from ampelstream.runtime.faust.continuity import Continuity
from ampelstream.runtime.faust.driver import Consumer
from ampelstream.runtime.faust.guard import OwnershipGuard
from ampelstream.runtime.faust.table import StateTable
from ampelstream.runtime.faust.tasks import PartitionTask
from ampelstream.runtime.kafka.outbox import Outbox, Outgoing
from ampelstream.runtime.service.health import Health
from ampelstream.runtime.service.metrics import Metrics
from ampelstream.state.store import Backend

__all__ = ["Step"]

R = TypeVar("R")
_BATCH = 500
_WAITING = 2000
_IDLE_SECONDS = 1.0


class Step:
    """The work of one step on the partitions that this worker has.

    Parameters
    ----------
    name
        For metrics and health.
    table
        Its state.
    make_task
        Makes the work on a partition from its database.
    outbox
        Where outputs and changelog go.
    metrics, health
        Told what goes on.
    contiguous
        Whether the source topics have no holes in their offsets.
    exclusive
        A topic of which only the owner of a partition writes to the one of the same number.
    term_seconds
        How long a rebalance may wait for a batch [s]; less than the group gives its members.
    clock
        Seconds that only go forward.
    """

    def __init__(
        self,
        name: str,
        table: StateTable,
        make_task: Callable[[int, Backend], PartitionTask],
        outbox: Outbox,
        metrics: Metrics,
        health: Health,
        *,
        contiguous: bool,
        exclusive: str | None = None,
        term_seconds: float = 25.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.table = table
        self._make_task = make_task
        self._outbox = outbox
        self._metrics = metrics
        self._health = health
        self._clock = clock
        self._tasks: dict[int, PartitionTask] = {}
        self._waiting: dict[int, list[EventT[bytes]]] = {}
        self._count = 0
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._in_work = asyncio.Lock()
        self._paused = True
        self._ending = False
        self._term_seconds = term_seconds
        self._rebalancing_since: float | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"ampelstream-{name}")
        self._guard = OwnershipGuard(table, exclusive, self._ends, self._again, outbox)
        self._continuity = Continuity(self._committed, self._earliest) if contiguous else None

    @property
    def partitions(self) -> list[int]:
        """Partitions that this worker works on now."""
        return sorted(self._tasks)

    @property
    def pending(self) -> int:
        """How much there is to do in the background, on all partitions."""
        return sum(task.pending for task in self._tasks.values())

    @property
    def _consumer(self) -> Consumer:
        return cast("Consumer", self.table.app.consumer)

    def _committed(self, tp: TP) -> int | None:
        offset: int | None = self._consumer._committed_offset[tp]  # noqa: SLF001  (no public way)
        return offset

    async def _earliest(self, tp: TP) -> int | None:
        offsets = await self._consumer.earliest_offsets(tp)
        first: int | None = offsets.get(tp)
        return first

    async def receive(self, stream: StreamT[Any]) -> None:
        """Body of the agent: put records where the loop finds them.

        Raises
        ------
        LostRecords
            A record was passed over.
        """
        async for event in cast("Stream[Any]", stream).noack().events():
            message = event.message
            if not self._owned(event):
                # on its way here when its partition was taken: it comes again to whoever has that
                # now, and after the records that were dropped before it
                self._consumer.settle(message)
                continue
            if self._continuity is not None:
                await self._continuity.check(message.tp, message.offset)
            self._waiting.setdefault(message.partition, []).append(event)
            self._count += 1
            self._wake.set()
            if self._count >= _WAITING:
                self._room.clear()
                await self._room.wait()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            async with self._in_work:
                worked = await self._batch()
                if not self._paused and not self._ending:
                    worked = await self._background() or worked
            if not worked:
                self._wake.clear()
                if not self._waiting:
                    await self._sleep()

    async def watch(self) -> None:
        """Look once a second whether others write where only we may, until cancelled."""
        while True:
            await asyncio.sleep(_IDLE_SECONDS)
            if self._paused or not self._tasks:
                continue
            ends = await self._guard.ask(self._tasks)
            async with self._in_work:
                if not self._paused and not self._ending and self._rebalancing_since is None:
                    ours = {tp: end for tp, end in ends.items() if tp.partition in self._tasks}
                    await self._guard.look(ours)

    async def _ends(self, places: set[TP]) -> Mapping[TP, int | None]:
        ends: Mapping[TP, int | None] = await self._consumer.highwaters(*places)
        return ends

    async def _again(self, partition: int, keys: Iterable[bytes]) -> list[Outgoing]:
        return await self._in_thread(self._tasks[partition].again, list(keys))

    async def _sleep(self) -> None:
        try:
            async with asyncio.timeout(_IDLE_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            return

    def _take(self) -> tuple[int, list[EventT[bytes]]]:
        """Records of the partition that has waited longest."""
        partition = next(iter(self._waiting))
        events = self._waiting.pop(partition)
        if len(events) > _BATCH:
            self._waiting[partition] = events[_BATCH:]  # now the last in turn
            events = events[:_BATCH]
        self._count -= len(events)
        if self._count < _WAITING:
            self._room.set()
        return partition, events

    async def _batch(self) -> bool:
        if not self._waiting:
            return False
        partition, events = self._take()
        current = [event for event in events if self._owned(event)]
        if current:
            began = self._clock()
            with self._health.busy(f"{self.name}/{partition}"):
                task = await self._task(partition)
                messages = [event.message for event in current]
                outputs = await self._in_thread(task.handle, messages)
                await self._commit(partition, task, outputs, current)
            self._metrics.batch_seconds(self.name, self._clock() - began)
        for event in events:
            self._consumer.settle(event.message)
        return True

    def _owned(self, event: EventT[bytes]) -> bool:
        """Whether the record belongs to the assignment that is in force."""
        generation = getattr(event.message, "generation_id", None)
        return bool(generation == self.table.app.consumer_generation_id)

    async def _background(self) -> bool:
        worked = False
        for partition, task in list(self._tasks.items()):
            with self._health.busy(f"{self.name}/{partition}"):
                outputs = await self._in_thread(task.background)
                if outputs is None:
                    continue
                worked = True
                await self._commit(partition, task, outputs, ())
        return worked

    async def _in_thread(self, call: Callable[..., R], *args: Any) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *args)

    async def _task(self, partition: int) -> PartitionTask:
        if partition not in self._tasks:
            backend = self.table.partitions_store.backend(partition)
            self._tasks[partition] = await self._in_thread(self._make_task, partition, backend)
        return self._tasks[partition]

    async def _commit(
        self,
        partition: int,
        task: PartitionTask,
        outputs: Sequence[Outgoing],
        events: Sequence[EventT[bytes]],
    ) -> None:
        """Make durable what the task did.

        Raises
        ------
        ProduceError
            The brokers did not take it; nothing is committed.
        """
        self._check_term()
        self._guard.sent(outputs, await self._outbox.send(outputs))
        self._check_term()
        if not all(self._owned(event) for event in events):
            # the partition went elsewhere while we worked: its new owner does this work again
            del self._tasks[partition]
            return
        await self.table.write(partition, task.tables.changes(), self._outbox)
        task.tables.rollback()  # the database has it now

    def _check_term(self) -> None:
        """Refuse to write when the group may have lost its patience with us.

        Raises
        ------
        LostRecords
            A rebalance waits for us since almost as long as members are given.
        """
        began = self._rebalancing_since
        if began is not None and self._clock() - began > self._term_seconds:
            raise LostRecords(
                f"{self.name}: a rebalance has waited too long for this batch; others may have its "
                "partition by now, so it is left to them"
            )

    def tell_rebalancing(self, *, active: bool) -> None:
        """Take note of a rebalance; to be told about once a second."""
        if not active:
            self._rebalancing_since = None
        elif self._rebalancing_since is None:
            self._rebalancing_since = self._clock()

    async def wind_down(self) -> None:
        """Begin nothing in the background any longer: we are about to leave the group."""
        self._ending = True
        async with self._in_work:
            pass

    async def on_revoked(self, _revoked: set[TP]) -> None:
        """Rebalancing has begun: finish the slice in hand, and forget the partitions."""
        self._paused = True
        self._health.set_ready(self.name, ready=False)
        async with self._in_work:
            self._tasks.clear()

    async def on_recovered(self) -> None:
        """State is restored: take up the work on the partitions that we have now."""
        if self._continuity is not None:
            self._continuity.restart()
        async with self._in_work:
            self._tasks.clear()
            tables = cast("TableManager", self.table.app.tables)
            for tp in tables.recovery.actives_for_table[self.table]:
                await self._task(tp.partition)
            await self._guard.begin(self._tasks)
        self._paused = False
        self._wake.set()
        self._health.set_ready(self.name, ready=True)

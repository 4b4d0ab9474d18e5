"""The order in which a batch becomes durable, what is not committed, and whose turn it is."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import Any, cast

import pytest
from faust.types import TP

from ampelstream.runtime.safefaust.batches import Batch, Stateful, batches
from ampelstream.runtime.safefaust.failures import (
    LostRecords,
    ProduceError,
    SafeFaustError,
    SettingsError,
)
from ampelstream.runtime.safefaust.inbox import Chunk, Inbox
from ampelstream.runtime.safefaust.outbox import Outgoing
from ampelstream.runtime.safefaust.table import StateTable

GENERATION = 4
Body = Callable[[Batch[Any]], Awaitable[None]]


class World:
    """What an agent meets, and what happened in it, in order."""

    def __init__(self) -> None:
        self.happened: list[str] = []
        self.told: list[str] = []
        self.fail: str | None = None
        self.database: dict[bytes, bytes | None] = {}
        self.made = 0
        self.on_send: Any = lambda _topic: None
        self.inbox = Inbox()
        self.settle = self.inbox.settle
        self.inbox.settle = self._settle  # type: ignore[method-assign]  # (to see the order)
        self.consumer = SimpleNamespace(
            inbox=self.inbox,
            work=None,
            late=False,
            highwaters=self._ends,
            earliest_offsets=self._first,
            _committed_offset={TP("source", 0): 5},
        )
        self.futures: list[asyncio.Task[None]] = []
        self.app = SimpleNamespace(
            consumer=self.consumer,
            consumer_generation_id=GENERATION,
            rebalancing=False,
            add_future=lambda work: self.futures.append(asyncio.ensure_future(work)),
        )
        self.table = Table(self)
        actives = {self.table: {TP("changelog", 0), TP("changelog", 1)}}
        self.app.tables = SimpleNamespace(recovery=SimpleNamespace(actives_for_table=actives))

    async def _ends(self, *_places: Any) -> dict[Any, int]:
        return {}

    async def _first(self, tp: TP) -> dict[TP, int]:
        return {tp: 0}

    def note(self, what: str) -> None:
        if what == self.fail:
            raise ProduceError(f"{what} was not acknowledged")
        self.happened.append(what)

    def _settle(self, tp: TP, offset: int) -> None:
        self.note(f"settle {offset}")
        self.settle(tp, offset)

    async def send(self, records: Sequence[Outgoing]) -> list[Any]:
        for topic in sorted({record.topic for record in records}):
            self.note(f"send {topic}")
            self.on_send(topic)
        return [SimpleNamespace(offset=n, partition=0) for n, _ in enumerate(records)]

    def write(self, partition: int, changes: Mapping[bytes, bytes | None], offset: int) -> None:
        self.note(f"database {partition} to {offset}")
        self.database.update(changes)

    # the observer

    @contextmanager
    def busy(self, name: str) -> Iterator[None]:
        self.told.append(f"busy {name}")
        yield

    def ready(self, _name: str, ready: bool) -> None:  # noqa: FBT001  (the observer's interface)
        self.told.append("ready" if ready else "not ready")

    def committed(self, _name: str) -> None:
        self.told.append("committed")

    def progress(self, _name: str) -> None:
        self.told.append("progress")

    def batch_seconds(self, _name: str, _seconds: float) -> None:
        self.told.append("batch")

    def restored(self, _name: str, records: int, left: int) -> None:
        self.told.append(f"restored {records}, {left} left")

    def assigned(self, name: str, partitions: set[TP]) -> None:
        self.told.append(f"{name} has {len(partitions)}")

    def revoked(self, name: str, partitions: set[TP]) -> None:
        self.told.append(f"{name} gives {len(partitions)}")

    # how a test plays with it

    def arrive(self, *offsets: int, partition: int = 0) -> None:
        records = [
            SimpleNamespace(topic="source", partition=partition, offset=offset, value=b"")
            for offset in offsets
        ]
        self.inbox.put(Chunk(TP("source", partition), records))

    def play(
        self, body: Body, *rounds: Callable[[], None], state: bool = True, **more: Any
    ) -> None:
        """Let an agent work: begin, and after each quiet moment play the next round; then stop."""

        async def agent() -> None:
            how: Any = {"state": stateful(self) if state else None, **more}
            stream: Any = SimpleNamespace(app=self.app)
            observer: Any = self
            outbox: Any = self
            async for batch in batches(stream, "step", outbox, observer, **how):
                await body(batch)

        async def run() -> None:
            task = asyncio.create_task(agent())
            for play in rounds:
                play()
                for _ in range(10):  # a busy machine may take longer than one
                    await asyncio.wait({task}, timeout=0.1)
                    if self.inbox.empty and not self.inbox.in_hand.locked():
                        break
            task.cancel()
            for one in self.futures:
                one.cancel()
            with suppress(asyncio.CancelledError):
                await task

        asyncio.run(run())


class Table:
    """A table whose changelog and database are the world's."""

    def __init__(self, world: World) -> None:
        self.changelog_topic_name = "changelog"
        self.processors: Mapping[int, Any] = {}
        self.on_restored: Any = None
        self.client_options: Any = dict
        self.commit_order = lambda key, _value: key
        self.partitions_store = SimpleNamespace(
            backend=lambda _partition: world.database,
            write=world.write,
            persisted_offset=lambda _tp: None,
        )
        self._note: Any = lambda _partition: {}

    async def write(self, partition: int, changes: Any, outbox: Any) -> None:
        await StateTable.write(cast("StateTable", self), partition, changes, outbox)


class Transaction:
    def __init__(self, database: dict[bytes, bytes | None]) -> None:
        self._database = database
        self._pending: dict[bytes, bytes | None] = {}

    def put(self, key: bytes) -> None:
        self._pending[key] = b"1"

    def changes(self) -> Mapping[bytes, bytes | None]:
        return dict(self._pending)

    def rollback(self) -> None:
        self._pending.clear()


class Work:
    """A processor."""

    def __init__(self, world: World, partition: int, transaction: Transaction) -> None:
        world.made += 1
        self._world, self._partition, self._transaction = world, partition, transaction
        self.pending = 0

    def process(self, records: Sequence[Any]) -> list[Outgoing]:
        offsets = [record.offset for record in records]
        self._world.note(f"work {self._partition} {offsets}")
        for offset in offsets:
            self._transaction.put(b"\x01%d" % offset)
        return [Outgoing("output", None, b"1") for _ in records]

    def advance(self) -> list[Outgoing]:
        self._world.note(f"slice {self._partition}")
        self.pending -= 1
        self._transaction.put(b"\x01slice")
        return []


def stateful(world: World) -> Stateful[Any, Any]:
    return Stateful(
        table=cast("StateTable", world.table),
        begin=cast("Any", Transaction),
        processor=lambda partition, transaction: Work(world, partition, transaction),
        exclusive="candidates",
    )


async def work(batch: Batch[Any]) -> None:
    if batch.records:
        outputs = await batch.run(batch.processor.process, batch.records)
    else:
        outputs = await batch.run(batch.processor.advance)
    await batch.commit(outputs)


@pytest.fixture
def world() -> World:
    return World()


def test_each_part_waits_for_the_one_before(world: World) -> None:
    world.play(work, world.inbox.open, lambda: world.arrive(5, 6))
    assert world.happened == [
        "work 0 [5, 6]",
        "send output",
        "send changelog",
        "database 0 to 1",
        "settle 7",
    ]
    assert world.database[b"\x015"] == b"1"
    assert world.told == ["ready", "busy step/0", "busy step/0", "batch"]
    assert world.inbox.idle


@pytest.mark.parametrize("part", ["work 0 [5]", "send output", "send changelog", "database 0 to 0"])
def test_what_fails_is_not_committed_and_ends_the_agent(world: World, part: str) -> None:
    world.fail = part
    with pytest.raises(ProduceError, match="was not acknowledged"):
        world.play(work, world.inbox.open, lambda: world.arrive(5))
    assert not any(what.startswith(("database", "settle")) for what in world.happened)
    assert world.database == {}
    # and nothing behind it ever is: what comes later, or a marker
    assert not world.inbox.idle
    assert world.inbox.in_hand.locked()


def test_without_state_there_is_no_changelog_and_all_partitions_go_together(world: World) -> None:
    seen: list[tuple[int, list[int]]] = []

    async def copy(batch: Batch[Any]) -> None:
        seen.append((batch.partition, [one.offset for one in batch.records]))
        assert await batch.commit([Outgoing("output", None, b"1")])

    def arrive() -> None:
        world.arrive(5, 6)
        world.arrive(1, partition=3)

    world.play(copy, world.inbox.open, arrive, state=False)
    assert seen == [(-1, [5, 6, 1])]
    assert world.happened == ["send output", "settle 7", "settle 2"]


def test_partitions_in_turn(world: World) -> None:
    def arrive() -> None:
        world.arrive(5)
        world.arrive(1, partition=1)
        world.arrive(6)

    world.play(work, world.inbox.open, arrive)
    worked = [what for what in world.happened if what.startswith("work")]
    assert worked == ["work 0 [5, 6]", "work 1 [1]"]


def test_large_batches_are_cut(world: World) -> None:
    world.play(work, world.inbox.open, lambda: world.arrive(*range(12)), limit=5)
    worked = [what for what in world.happened if what.startswith("work")]
    assert [what.count(",") + 1 for what in worked] == [5, 5, 2]


def test_nothing_is_begun_before_the_state_is_restored_nor_during_a_rebalance(world: World) -> None:
    world.play(
        work,
        lambda: world.arrive(5),
        lambda: world.happened.append("open"),
        world.inbox.open,
        world.inbox.close,
        lambda: world.happened.append("closed"),
        lambda: world.arrive(6),
    )
    worked = [what for what in world.happened if what.startswith(("open", "work", "closed"))]
    assert worked == ["open", "work 0 [5]", "closed"]


def test_processors_are_made_anew_after_each_rebalance(world: World) -> None:
    def revoked() -> None:
        world.inbox.close()
        world.consumer.work.pause()
        world.consumer.work.forget()
        assert not world.table.processors

    world.play(work, world.inbox.open, lambda: world.arrive(5), revoked, world.inbox.open)
    assert world.made == 4  # two partitions, twice
    assert set(world.table.processors) == {0, 1}
    assert [what for what in world.told if "ready" in what] == ["ready", "not ready", "ready"]


def test_partition_that_is_taken_while_outputs_are_sent(world: World) -> None:
    """No changelog record is written behind the back of its new owner."""
    durable: list[bool] = []

    def taken(topic: str) -> None:
        if topic == "output":
            world.app.consumer_generation_id += 1

    async def body(batch: Batch[Any]) -> None:
        outputs = await batch.run(batch.processor.process, batch.records)
        durable.append(await batch.commit(outputs))

    world.on_send = taken
    world.play(body, world.inbox.open, lambda: world.arrive(5))
    assert (world.happened, durable) == (["work 0 [5]", "send output"], [False])
    assert world.database == {}
    assert set(world.table.processors) == {1}


def test_batch_that_a_rebalance_has_waited_for_too_long(world: World) -> None:
    async def slow(batch: Batch[Any]) -> None:
        world.consumer.late = True
        await batch.commit([Outgoing("output", None, b"1")])

    with pytest.raises(LostRecords, match="waited too long"):
        world.play(slow, world.inbox.open, lambda: world.arrive(5))
    assert world.happened == []


def test_missing_records_end_the_agent(world: World) -> None:
    with pytest.raises(LostRecords, match="record 8 came where 7 was due"):
        world.play(work, world.inbox.open, lambda: world.arrive(5, 6, 8), contiguous=True)
    assert world.happened == []


def test_what_no_record_asks_for_takes_turns_with_records(world: World) -> None:
    def pending() -> None:
        world.table.processors[0].pending = 3
        world.table.processors[1].pending = 1
        world.arrive(*range(5, 9))

    world.play(work, world.inbox.open, pending, limit=2)
    turns = [what for what in world.happened if what.startswith(("work", "slice"))]
    assert turns == [
        "work 0 [5, 6]",
        "slice 0",
        "work 0 [7, 8]",
        "slice 1",
        "slice 0",
        "slice 0",
    ]


def test_records_that_were_not_handled_wait_again_behind_other_partitions(world: World) -> None:
    """They are settled as far as they were handled, and come before what came behind them."""

    async def some(batch: Batch[Any]) -> None:
        handled = batch.records[:2]
        outputs = await batch.run(batch.processor.process, handled)
        if handled[0].offset == 5:
            world.arrive(9)
        assert await batch.commit(outputs, len(handled))

    def arrive() -> None:
        world.arrive(5, 6, 7)
        world.arrive(8)
        world.arrive(1, partition=1)

    world.consumer._committed_offset[TP("source", 1)] = 1
    world.play(some, world.inbox.open, arrive, contiguous=True)
    turns = [what for what in world.happened if what.startswith(("work", "settle"))]
    assert turns == [
        *("work 0 [5, 6]", "settle 7"),
        *("work 1 [1]", "settle 2"),
        *("work 0 [7, 8]", "settle 8", "settle 9"),
        *("work 0 [9]", "settle 10"),
    ]
    assert world.inbox.idle


def test_records_that_were_not_handled_do_not_outlive_their_term(world: World) -> None:
    async def body(batch: Batch[Any]) -> None:
        world.inbox.close()
        await batch.commit((), 1)
        assert world.inbox.empty

    world.play(body, world.inbox.open, lambda: world.arrive(5, 6))
    assert world.happened == ["settle 6"]


def test_a_batch_of_which_nothing_is_handled_is_refused(world: World) -> None:
    async def none(batch: Batch[Any]) -> None:
        await batch.commit((), 0)

    with pytest.raises(SafeFaustError, match="none of 2 records was handled"):
        world.play(none, world.inbox.open, lambda: world.arrive(5, 6))


def test_background_work_that_has_to_wait_does_not_keep_the_loop_busy(world: World) -> None:
    slices: list[int] = []

    async def waits(batch: Batch[Any]) -> None:
        slices.append(batch.partition)
        await batch.commit()

    def pending() -> None:
        world.table.processors[0].pending = 1
        world.inbox._wake.set()

    world.play(waits, world.inbox.open, pending, lambda: None)
    assert len(slices) <= 2


def test_preparation_is_awaited_before_records_are_in_hand(world: World) -> None:
    ready = asyncio.Event()

    async def prepare(records: Sequence[Any]) -> None:
        world.happened.append(f"prepare {[one.offset for one in records]}")
        await ready.wait()

    def in_hand() -> None:
        assert not world.inbox.in_hand.locked()
        assert not world.inbox.idle
        ready.set()

    async def copy(batch: Batch[Any]) -> None:
        await batch.commit()

    rounds = world.inbox.open, lambda: world.arrive(5), in_hand
    world.play(copy, *rounds, state=False, prepare=prepare)
    assert world.happened == ["prepare [5]", "settle 6"]


def test_what_goes_elsewhere_while_it_is_prepared_is_left_to_others(world: World) -> None:
    async def prepare(_records: Sequence[Any]) -> None:
        await asyncio.sleep(0.15)

    async def copy(batch: Batch[Any]) -> None:
        await batch.commit()

    def rebalance() -> None:
        world.inbox.close()
        world.inbox.rewound(1)
        world.inbox.open()

    rounds = world.inbox.open, lambda: world.arrive(5), rebalance, lambda: world.arrive(4)
    world.play(copy, *rounds, lambda: None, lambda: None, state=False, prepare=prepare)
    assert world.happened == ["settle 5"]


def test_a_wait_ends_with_its_term_however_short_the_rebalance(world: World) -> None:
    """Parked records wait for minutes; what is assigned meanwhile must not wait for that."""
    waits = [30.0, 0.0]

    async def prepare(_records: Sequence[Any]) -> None:
        await asyncio.sleep(waits.pop(0))

    async def copy(batch: Batch[Any]) -> None:
        await batch.commit()

    def rebalance() -> None:
        world.inbox.close()
        world.inbox.rewound(1)
        world.inbox.open()
        world.arrive(4)

    quiet = [lambda: None] * 15
    world.play(
        copy,
        world.inbox.open,
        lambda: world.arrive(5),
        rebalance,
        *quiet,
        state=False,
        prepare=prepare,
    )
    assert world.happened == ["settle 5"]


def test_a_term_that_ends_while_its_work_is_taken_up(world: World) -> None:
    """Faust waits for no batch in hand where a member has no partitions."""
    answer = asyncio.Event()

    async def ends(*_places: Any) -> dict[Any, int]:
        await answer.wait()
        return {}

    actives = world.app.tables.recovery.actives_for_table
    ours, actives[world.table] = actives[world.table], set()
    world.consumer.highwaters = ends

    def rebalance() -> None:
        world.inbox.close()
        actives[world.table] = ours
        world.inbox.open()
        world.arrive(5)

    world.play(work, world.inbox.open, rebalance, answer.set, lambda: None)
    assert world.happened[0] == "work 0 [5]"


def test_a_batch_without_a_commit_is_a_mistake(world: World) -> None:
    async def forgets(_batch: Batch[Any]) -> None:
        pass

    with pytest.raises(SafeFaustError, match="without a commit"):
        world.play(forgets, world.inbox.open, lambda: world.arrive(5))


def test_two_agents_of_one_application_are_a_mistake(world: World) -> None:
    world.consumer.work = cast("Any", object())
    with pytest.raises(SettingsError, match="another agent"):
        world.play(work, world.inbox.open)

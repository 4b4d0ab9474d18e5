"""The order in which a step makes its work durable, and what it does not commit."""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ampelstream.errors import ProduceError
from ampelstream.runtime.faust.step import Step
from ampelstream.runtime.faust.table import StateTable
from ampelstream.runtime.kafka.outbox import Outgoing
from ampelstream.runtime.service.health import Health
from ampelstream.runtime.service.metrics import Metrics
from ampelstream.state.memory import MemoryBackend
from ampelstream.state.store import Backend, Transaction

GENERATION = 4


class World:
    """What a step meets, and what happened in it, in order."""

    def __init__(self) -> None:
        self.happened: list[str] = []
        self.fail: str | None = None
        self.backend = MemoryBackend()
        self.made = 0
        self.consumer = SimpleNamespace(settle=self._settle, highwaters=self._ends)
        self.app = SimpleNamespace(consumer=self.consumer, consumer_generation_id=GENERATION)
        self.work: list[Outgoing] | None = None
        self.on_send: Any = lambda _topic: None

    async def _ends(self, *_places: Any) -> dict[Any, int]:
        return {}

    def note(self, what: str) -> None:
        if what == self.fail:
            raise ProduceError(f"{what} was not acknowledged")
        self.happened.append(what)

    def _settle(self, message: Any) -> None:
        self.note(f"settle {message.offset}")

    async def send(self, records: Sequence[Outgoing]) -> list[Any]:
        for topic in sorted({record.topic for record in records}):
            self.note(f"send {topic}")
            self.on_send(topic)
        return [SimpleNamespace(offset=number) for number, _ in enumerate(records)]

    def write(self, partition: int, changes: Any, offset: int) -> None:
        self.note(f"database {partition} to {offset}")
        self.backend.write(changes)


class Table:
    """A table whose changelog and database are the world's."""

    def __init__(self, world: World) -> None:
        self.app = world.app
        self.changelog_topic_name = "changelog"
        self.partitions_store = SimpleNamespace(
            backend=lambda _partition: world.backend,
            write=world.write,
            persisted_offset=lambda _tp: None,
        )

    async def mend(self, _partition: int, end: int, _outbox: Any) -> None:
        assert end == 0  # the brokers have nothing that is foreign

    async def write(self, partition: int, changes: Any, outbox: Any) -> None:
        await StateTable.write(cast("StateTable", self), partition, changes, outbox)


class Task:
    def __init__(self, world: World, backend: Backend) -> None:
        world.made += 1
        self._world = world
        self.tables = Transaction(backend)
        self.pending = 0

    def handle(self, messages: Sequence[Any]) -> list[Outgoing]:
        self._world.note(f"handle {[message.offset for message in messages]}")
        for message in messages:
            self.tables.put(b"\x01%d" % message.offset, b"1")
        return [Outgoing("output", None, b"1") for _ in messages]

    def again(self, keys: Sequence[bytes]) -> list[Outgoing]:
        raise AssertionError(keys)

    def background(self) -> list[Outgoing] | None:
        work, self._world.work = self._world.work, None
        if work is not None:
            self.tables.put(b"\x01background", b"1")
        return work


@pytest.fixture
def world() -> World:
    return World()


def make_step(world: World) -> Step:
    return Step(
        "step",
        cast("StateTable", Table(world)),
        lambda _partition, backend: Task(world, backend),
        cast("Any", world),
        Metrics(),
        Health(),
        contiguous=False,
    )


def event(offset: int, generation: int = GENERATION, partition: int = 0) -> Any:
    message = SimpleNamespace(offset=offset, partition=partition, generation_id=generation)
    return SimpleNamespace(message=message)


def batches(step: Step, *waiting: Any) -> None:
    """Let the step work on records until none waits."""

    async def work() -> None:
        for one in waiting:
            step._waiting.setdefault(one.message.partition, []).append(one)
            step._count += 1
        while await step._batch():
            pass

    asyncio.run(work())


def test_each_part_waits_for_the_one_before(world: World) -> None:
    batches(make_step(world), event(5), event(6))
    assert world.happened == [
        "handle [5, 6]",
        "send output",
        "send changelog",
        "database 0 to 1",
        "settle 5",
        "settle 6",
    ]
    assert world.backend.get(b"\x015") == b"1"


@pytest.mark.parametrize("part", ["send output", "send changelog"])
def test_what_is_not_acknowledged_is_not_committed(world: World, part: str) -> None:
    world.fail = part
    with pytest.raises(ProduceError, match="was not acknowledged"):
        batches(make_step(world), event(5))
    assert not any(what.startswith(("database", "settle")) for what in world.happened)
    assert world.backend.get(b"\x015") is None


def test_partitions_in_turn(world: World) -> None:
    batches(make_step(world), event(5), event(1, partition=1), event(6))
    handled = [what for what in world.happened if what.startswith("handle")]
    assert handled == ["handle [5, 6]", "handle [1]"]


def test_records_of_an_assignment_that_is_over_are_not_worked_on(world: World) -> None:
    batches(make_step(world), event(5, GENERATION - 1), event(9))
    assert world.happened[0] == "handle [9]"
    assert world.happened[-2:] == ["settle 5", "settle 9"]


def test_partition_that_is_taken_while_outputs_are_sent(world: World) -> None:
    """No changelog record is written behind the back of its new owner."""

    def taken(topic: str) -> None:
        if topic == "output":
            world.app.consumer_generation_id += 1

    world.on_send = taken
    step = make_step(world)
    batches(step, event(5))
    assert world.happened == ["handle [5]", "send output", "settle 5"]
    assert world.backend.get(b"\x015") is None
    assert step.partitions == []


def test_large_batches_are_cut(world: World) -> None:
    step = make_step(world)
    batches(step, *[event(offset) for offset in range(1200)])
    handled = [what.count(",") + 1 for what in world.happened if what.startswith("handle")]
    assert handled == [500, 500, 200]
    assert step._room.is_set()


def test_background_work_is_committed_in_the_same_order(world: World) -> None:
    step = make_step(world)
    batches(step, event(5))
    world.happened.clear()
    world.work = [Outgoing("output", None, b"1")]
    assert asyncio.run(step._background())
    assert world.happened == ["send output", "send changelog", "database 0 to 0"]
    assert not asyncio.run(step._background())


def test_task_lives_until_a_rebalance(world: World) -> None:
    step = make_step(world)
    batches(step, event(5))
    batches(step, event(6))
    assert (world.made, step.partitions) == (1, [0])
    asyncio.run(step.on_revoked(set()))
    assert step.partitions == []
    batches(step, event(7))
    assert world.made == 2

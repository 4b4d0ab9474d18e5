"""The ingest step's reader on a real broker: what it reads, and when it commits."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import ConsumerRecord
from ampelstream.runtime.kafka.intake import Intake
from ampelstream.runtime.kafka.outbox import Outbox, Outgoing

from ampelstream.errors import ProduceError, SourceError
from ampelstream.runtime.broker.ports import free_port
from ampelstream.runtime.service.health import Health
from ampelstream.runtime.service.metrics import Metrics


class Copying:
    """A worker that copies records to a topic; it may be held."""

    def __init__(self, output: str) -> None:
        self._output = output
        self.seen: list[bytes] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.at_work = threading.Event()

    async def prepare(self, records: Sequence[ConsumerRecord]) -> None:
        del records

    def work(self, records: Sequence[ConsumerRecord]) -> list[Outgoing]:
        self.at_work.set()
        assert self.may_go_on.wait(30)
        self.seen += [one.value for one in records]
        return [Outgoing(self._output, None, one.value) for one in records]


class World:
    """Topics with a prefix, clients, and an intake."""

    def __init__(self, address: str, name: str) -> None:
        self.options: dict[str, Any] = {"bootstrap_servers": address}
        self.name, self.output = name, f"out.{name}"
        self.worker = Copying(self.output)

    def intake(self, outbox: Outbox, **options: Any) -> Intake:
        chosen = {"topics": [f"{self.name}.a"], "pattern": None} | options
        return Intake(
            "ingest",
            lambda: self.options,
            self.name,
            **chosen,
            worker=self.worker,
            outbox=outbox,
            metrics=Metrics(),
            health=Health(),
            session_seconds=6.0,
            refresh_seconds=0.5,
        )

    async def create(self, topic: str, **configs: str) -> None:
        admin = AIOKafkaAdminClient(**self.options)
        await admin.start()
        try:
            await admin.create_topics([NewTopic(topic, 1, 1, topic_configs=configs)])
        finally:
            await admin.close()

    async def put(self, topic: str, *values: bytes) -> None:
        async with AIOKafkaProducer(**self.options) as producer:
            for value in values:
                await producer.send_and_wait(topic, value)

    async def committed(self, topic: str) -> int | None:
        async with AIOKafkaConsumer(**self.options, group_id=self.name) as consumer:
            offset: int | None = await consumer.committed(TopicPartition(topic, 0))
            return offset

    @asynccontextmanager
    async def running(self, **options: Any) -> AsyncIterator[tuple[Intake, asyncio.Task[None]]]:
        outbox = Outbox(self.options, request_timeout_seconds=5.0)
        await outbox.start()
        intake = self.intake(outbox, **options)
        await intake.start()
        task = asyncio.create_task(intake.run())
        try:
            yield intake, task
        finally:
            self.worker.may_go_on.set()
            with contextlib.suppress(ProduceError):
                await intake.stop()
                await task
            await outbox.stop()


@pytest.fixture
def world(broker_address: str, unique: str) -> World:
    return World(broker_address, unique)


async def until(true: Callable[[], bool] | Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while True:
            answer = true()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(0.05)


def test_topics_that_appear_while_it_runs(world: World) -> None:
    async def play() -> None:
        await world.create(world.output)
        await world.create(f"{world.name}.a")
        await world.create(f"not-{world.name}.c")
        await world.put(f"{world.name}.a", b"1")
        await world.put(f"not-{world.name}.c", b"other")
        async with world.running(topics=[], pattern=rf"{world.name}\.[a-z]+"):
            await until(lambda: world.worker.seen == [b"1"])
            await world.create(f"{world.name}.b")
            await world.put(f"{world.name}.b", b"2", b"3")
            await until(lambda: len(world.worker.seen) == 3)
        assert world.worker.seen == [b"1", b"2", b"3"]
        assert await world.committed(f"{world.name}.b") == 2

    asyncio.run(play())


def test_nothing_is_committed_before_outputs_are_acknowledged(world: World) -> None:
    source = f"{world.name}.a"

    async def play() -> None:
        await world.create(source)
        await world.create(world.output, **{"max.message.bytes": "100"})
        await world.put(source, bytes(range(256)) * 4)
        async with world.running() as (_, task):
            with pytest.raises(ProduceError):
                await asyncio.wait_for(task, 30)
        assert len(world.worker.seen) == 1
        assert await world.committed(source) is None

    asyncio.run(play())


def test_a_stop_finishes_the_batch_in_hand(world: World) -> None:
    source = f"{world.name}.a"

    async def play() -> None:
        await world.create(source)
        await world.create(world.output)
        await world.put(source, b"1", b"2")
        world.worker.may_go_on.clear()
        async with world.running() as (intake, task):
            await until(world.worker.at_work.is_set)
            assert await world.committed(source) is None
            stopping = asyncio.create_task(intake.stop())
            await asyncio.sleep(0.2)
            assert not stopping.done()
            world.worker.may_go_on.set()
            await asyncio.wait_for(stopping, 30)
            await asyncio.wait_for(task, 30)
        assert await world.committed(source) == len(world.worker.seen) > 0

    asyncio.run(play())


def test_what_another_takes_over_begins_at_the_committed_offset(world: World) -> None:
    source = f"{world.name}.a"

    async def play() -> None:
        await world.create(source)
        await world.create(world.output)
        await world.put(source, b"1", b"2")
        async with world.running():
            await until(lambda: len(world.worker.seen) == 2)
        await world.put(source, b"3")
        async with world.running():
            await until(lambda: len(world.worker.seen) == 3)
        assert world.worker.seen == [b"1", b"2", b"3"]
        assert await world.committed(source) == 3

    asyncio.run(play())


def test_a_cluster_that_is_away_is_told(unique: str) -> None:
    async def play() -> None:
        world = World(f"127.0.0.1:{free_port()}", unique)
        outbox = Outbox(world.options)
        intake = world.intake(outbox)
        with pytest.raises(SourceError, match="ingest: cannot connect"):
            await intake.start()
        await intake.stop()
        await outbox.stop()

    asyncio.run(play())

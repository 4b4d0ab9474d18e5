"""Batches without state on a real broker: what is read, from when on, and when it is committed."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import faust
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from ampelstream.runtime.safefaust.appsettings import safe_settings
from ampelstream.runtime.safefaust.batches import Batch, batches
from ampelstream.runtime.safefaust.driver import FETCH_BYTES
from ampelstream.runtime.safefaust.outbox import Outbox, Outgoing
from tests.kafka.safefaust.ours import Nobody

pytestmark = pytest.mark.timeout(120)


class World:
    """Topics with a prefix, clients, and an agent that copies records; it may be held."""

    def __init__(self, address: str, name: str, directory: Path) -> None:
        self.options: dict[str, Any] = {"bootstrap_servers": address}
        self.name, self.output = name, f"out.{name}"
        self._directory = directory
        self.seen: list[bytes] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.at_work = threading.Event()

    def _work(self, records: Sequence[Any]) -> list[Outgoing]:
        self.at_work.set()
        assert self.may_go_on.wait(30)
        self.seen += [one.value for one in records]
        return [Outgoing(self.output, None, one.value) for one in records]

    def app(self, outbox: Outbox, *topics: str, pattern: str | None = None) -> Any:
        settings: Any = safe_settings(
            self.name,
            {"bootstrap_servers": [self.options["bootstrap_servers"]]},
            url="http://127.0.0.1:6066",
            directory=self._directory,
            session=6.0,
            heartbeat=1.0,
            rebalance=10.0,
            refresh_seconds=0.5,
        )
        app = faust.App(**settings)

        @app.agent(app.topic(*topics, pattern=pattern))
        async def copy(stream: Any) -> None:
            batch: Batch[Any]
            async for batch in batches(stream, "copy", outbox, Nobody()):
                await batch.commit(await batch.run(self._work, batch.records))

        return app

    async def create(self, topic: str, **configs: str) -> None:
        admin = AIOKafkaAdminClient(**self.options)
        await admin.start()
        try:
            named = {name.replace("_", "."): value for name, value in configs.items()}
            await admin.create_topics([NewTopic(topic, 1, 1, topic_configs=named)])
        finally:
            await admin.close()

    async def put(self, topic: str, *values: bytes) -> None:
        async with AIOKafkaProducer(**self.options, max_request_size=16 << 20) as producer:
            for value in values:
                await producer.send_and_wait(topic, value)

    async def put_in_a_transaction(self, topic: str, *values: bytes, abort: bool = False) -> None:
        name = f"{self.name}-{values!r}"
        async with AIOKafkaProducer(**self.options, transactional_id=name) as producer:
            await producer.begin_transaction()
            for value in values:
                await producer.send_and_wait(topic, value)
            await (producer.abort_transaction() if abort else producer.commit_transaction())

    async def committed(self, topic: str) -> int | None:
        async with AIOKafkaConsumer(**self.options, group_id=self.name) as consumer:
            offset: int | None = await consumer.committed(TopicPartition(topic, 0))
            return offset

    @asynccontextmanager
    async def running(self, *topics: str, pattern: str | None = None) -> AsyncIterator[Any]:
        outbox = Outbox(self.options, request_timeout_seconds=5.0)
        await outbox.start()
        app = self.app(outbox, *topics, pattern=pattern)
        await app.start()
        try:
            yield app
        finally:
            self.may_go_on.set()
            await asyncio.wait_for(app.stop(), 30)
            await outbox.stop()


@pytest.fixture
def world(broker_address: str, unique: str, tmp_path: Path) -> World:
    return World(broker_address, unique, tmp_path)


async def until(true: Callable[[], bool] | Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while True:
            answer = true()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(0.05)


def test_topics_that_appear_while_it_runs(world: World) -> None:
    """It begins without any, and so without partitions."""

    async def play() -> None:
        await world.create(world.output)
        await world.create(f"not-{world.name}.c")
        await world.put(f"not-{world.name}.c", b"other")
        async with world.running(pattern=rf"{world.name}\.[a-z]+") as app:
            await until(lambda: not app.rebalancing)
            assert app.consumer.sources() == set()
            await world.create(f"{world.name}.a")
            await world.put(f"{world.name}.a", b"1")
            await until(lambda: world.seen == [b"1"])
            await world.create(f"{world.name}.b")
            await world.put(f"{world.name}.b", b"2", b"3")
            await until(lambda: len(world.seen) == 3)
        assert world.seen == [b"1", b"2", b"3"]
        assert await world.committed(f"{world.name}.a") == 1
        assert await world.committed(f"{world.name}.b") == 2

    asyncio.run(play())


def test_a_record_that_is_larger_than_an_answer_comes_alone(world: World) -> None:
    source, large = f"{world.name}.a", {"max_message_bytes": str(16 << 20)}
    values = [b"first", b"x" * (FETCH_BYTES + 1000), b"y" * (FETCH_BYTES - 1000), b"last"]

    async def play() -> None:
        await world.create(source, **large)
        await world.create(world.output, **large)
        await world.put(source, *values)
        async with world.running(source):
            await until(lambda: len(world.seen) == len(values))
        assert world.seen == values
        assert await world.committed(source) == len(values)

    asyncio.run(play())


def test_nothing_is_committed_before_outputs_are_acknowledged(world: World) -> None:
    source = f"{world.name}.a"

    async def play() -> None:
        await world.create(source)
        await world.create(world.output, max_message_bytes="100")
        await world.put(source, bytes(range(256)) * 4)
        async with world.running(source) as app:
            await until(lambda: bool(app.crashed))
            assert "ProduceError" in repr(app.crash_reason)
        assert len(world.seen) == 1
        assert await world.committed(source) is None

    asyncio.run(play())


def test_a_stop_finishes_the_batch_in_hand(world: World) -> None:
    source = f"{world.name}.a"

    async def play() -> None:
        await world.create(source)
        await world.create(world.output)
        await world.put(source, b"1", b"2")
        world.may_go_on.clear()
        async with world.running(source) as app:
            await until(world.at_work.is_set)
            assert await world.committed(source) is None
            stopping = asyncio.create_task(app.stop())
            await asyncio.sleep(0.2)
            assert not stopping.done()
            world.may_go_on.set()
            await asyncio.wait_for(stopping, 30)
        assert await world.committed(source) == len(world.seen) > 0

    asyncio.run(play())


def test_what_another_takes_over_begins_at_the_committed_offset(world: World) -> None:
    source = f"{world.name}.a"

    async def play() -> None:
        await world.create(source)
        await world.create(world.output)
        await world.put(source, b"1", b"2")
        async with world.running(source):
            await until(lambda: len(world.seen) == 2)
        await world.put(source, b"3")
        async with world.running(source):
            await until(lambda: len(world.seen) == 3)
        assert world.seen == [b"1", b"2", b"3"]
        assert await world.committed(source) == 3

    asyncio.run(play())


def test_transactions_are_read_as_they_were_meant_and_their_ends_are_no_lag(world: World) -> None:
    source = f"{world.name}.a"

    async def play() -> None:
        await world.create(source)
        await world.create(world.output)
        async with world.running(source):
            await world.put_in_a_transaction(source, b"1", b"2")
            await until(lambda: len(world.seen) == 2)
            await world.put_in_a_transaction(source, b"aborted", abort=True)

            async def past_the_markers() -> bool:
                return await world.committed(source) == 5

            await until(past_the_markers)
        assert world.seen == [b"1", b"2"]

    asyncio.run(play())


def test_faust_has_no_way_to_send(world: World) -> None:
    async def play() -> None:
        await world.create(f"{world.name}.a")
        async with world.running(f"{world.name}.a") as app:
            with pytest.raises(OSError, match="with an Outbox"):
                await app.topic(world.output).send(value=b"1")

    asyncio.run(play())

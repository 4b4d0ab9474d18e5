"""What an outbox sends: each record where its key says, in order, and where it is said to lie."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from ampelstream.runtime.safefaust.failures import ProduceError
from ampelstream.runtime.safefaust.outbox import MAX_MESSAGE_BYTES, Outbox, Outgoing

pytestmark = pytest.mark.timeout(120)
PARTITIONS = 3
LARGE = {"max.message.bytes": str(MAX_MESSAGE_BYTES)}


async def create(address: str, *topics: str, **configs: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        said = {name.replace("_", "."): value for name, value in configs.items()} or LARGE
        await admin.create_topics([NewTopic(t, PARTITIONS, 1, topic_configs=said) for t in topics])
    finally:
        await admin.close()


async def send(address: str, *parts: Sequence[Outgoing]) -> list[Any]:
    outbox = Outbox({"bootstrap_servers": address}, request_timeout_seconds=10.0)
    await outbox.start()
    try:
        return [one for part in parts for one in await outbox.send(part)]
    finally:
        await outbox.stop()


async def read(address: str, *topics: str) -> dict[TopicPartition, list[Any]]:
    found: dict[TopicPartition, list[Any]] = defaultdict(list)
    async with AIOKafkaConsumer(
        *topics, bootstrap_servers=address, auto_offset_reset="earliest"
    ) as consumer:
        ends = await consumer.end_offsets(consumer.assignment())
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for place, records in (await consumer.getmany(timeout_ms=500)).items():
                found[place] += records
    return found


def test_each_lies_where_it_is_said_to_lie_and_in_order(broker_address: str, unique: str) -> None:
    topics = [f"{unique}.a", f"{unique}.b"]
    chance = random.Random(1)  # noqa: S311  (no secret)
    sizes = (0, 10, 5000, 200_000, (1 << 19) + 10, 3 << 20)  # also more than a batch of the client
    records = [
        Outgoing(
            chance.choice(topics),
            chance.choice([b"k%d" % number for number in range(20)]),
            number.to_bytes(4, "big") + chance.randbytes(chance.choice(sizes)),
            chance.choice([None, None, number % PARTITIONS]),
            (("h", b"%d" % number),) if number % 2 else (),
        )
        for number in range(200)
    ] + [Outgoing(topics[0], b"gone", None)]

    async def play() -> None:
        await create(broker_address, *topics)
        sent = await send(broker_address, records[:90], records[90:])
        found = await read(broker_address, *topics)
        assert sum(map(len, found.values())) == len(records) == len(sent)
        at = {(place, one.offset): one for place, some in found.items() for one in some}
        for record, said in zip(records, sent, strict=True):
            one = at[TopicPartition(said.topic, said.partition), said.offset]
            assert (one.topic, one.key, one.value) == (record.topic, record.key, record.value)
            assert one.headers == record.headers
            assert record.partition in {None, one.partition}
        for place, some in found.items():
            mine = [
                one.value
                for one, said in zip(records, sent, strict=True)
                if (said.topic, said.partition) == place
            ]
            assert [one.value for one in some] == mine, "in the order given"

    asyncio.run(play())


def test_a_key_goes_where_kafkas_own_clients_send_it(broker_address: str, unique: str) -> None:
    keys = [b"object-%d" % number for number in range(50)]

    async def play() -> None:
        await create(broker_address, unique)
        sent = await send(broker_address, [Outgoing(unique, key, b"1") for key in keys])
        async with AIOKafkaProducer(bootstrap_servers=broker_address) as stock:
            for key, said in zip(keys, sent, strict=True):
                assert (await stock.send_and_wait(unique, b"2", key)).partition == said.partition

    asyncio.run(play())


@pytest.mark.parametrize(
    "refused",
    [
        Outgoing("", b"k", bytes(MAX_MESSAGE_BYTES + 1)),
        Outgoing("", None, None),
        Outgoing("", b"k", b"v", PARTITIONS),
        Outgoing("", b"k", "text"),  # type: ignore[arg-type]  # (the wrong type is the case)
    ],
    ids=["too large", "nothing", "no such partition", "not bytes"],
)
def test_what_the_client_does_not_take(broker_address: str, unique: str, refused: Outgoing) -> None:
    one = Outgoing(unique, refused.key, refused.value, refused.partition)

    async def play() -> None:
        await create(broker_address, unique)
        with pytest.raises(ProduceError, match="cannot produce to"):
            await send(broker_address, [Outgoing(unique, b"fine", b"1"), one])

    asyncio.run(play())


def test_one_that_the_broker_refuses_fails_all(broker_address: str, unique: str) -> None:
    """Others may have been taken; that is done again, and changes nothing."""
    small = f"{unique}.small"
    packed = random.Random(2).randbytes(4000)  # noqa: S311  (what lz4 cannot make small)
    records = [Outgoing(unique, b"k", b"1"), Outgoing(small, b"k", packed)]

    async def play() -> None:
        await create(broker_address, unique)
        await create(broker_address, small, max_message_bytes="500")
        with pytest.raises(ProduceError, match=f"a record for {small} was not acknowledged"):
            await send(broker_address, records)

    asyncio.run(play())

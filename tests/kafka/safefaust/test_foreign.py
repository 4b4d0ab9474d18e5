"""What another worker wrote into our changelog is written over, with our values."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from ampelstream.runtime.safefaust.outbox import Outbox, Outgoing
from ampelstream.runtime.safefaust.partitionstore import Owner, PartitionStore
from ampelstream.runtime.safefaust.table import StateTable
from ampelstream.state.rocks import RocksBackend


async def last_values(address: str, topic: str) -> dict[bytes, bytes | None]:
    place = TopicPartition(topic, 0)
    consumer = AIOKafkaConsumer(bootstrap_servers=address)
    await consumer.start()
    consumer.assign([place])
    await consumer.seek_to_beginning(place)
    end = (await consumer.end_offsets([place]))[place]
    values: dict[bytes, bytes | None] = {}
    while await consumer.position(place) < end:
        for record in (await consumer.getmany(timeout_ms=500)).get(place, []):
            values[record.key] = record.value
    await consumer.stop()
    return values


async def scenario(address: str, topic: str, directory: Path) -> dict[bytes, bytes | None]:
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await admin.close()
    ours, frozen = (Outbox({"bootstrap_servers": address}) for _ in range(2))
    await ours.start()
    await frozen.start()
    owner: Any = SimpleNamespace(
        changelog_topic=SimpleNamespace(get_topic_name=lambda: topic), name="state"
    )
    store = PartitionStore(
        "safefaust://",
        cast("Any", None),
        owner,
        directory=directory,
        open_database=RocksBackend,
        keep_seconds=86_400.0,
    )
    store.claim(Owner("app", topic, "", ""))
    table = StateTable.__new__(StateTable)
    table.client_options = lambda: {"bootstrap_servers": address}
    table._data = store
    table._changelog_topic = owner.changelog_topic
    await table.write(0, {b"oA": b"A2", b"oB": b"B2"}, ours)
    # a worker that does not know that it is out writes what it had in hand
    await frozen.send([Outgoing(topic, key, b"stale", 0) for key in (b"oA", b"oC")])
    await table.write(0, {b"oD": b"D1"}, ours)
    assert store.backend(0).get(b"oA") == b"A2"
    await table.write(0, {b"oE": b"E1"}, ours)  # nothing foreign any longer
    await ours.stop()
    await frozen.stop()
    store.close()
    return await last_values(address, topic)


@pytest.mark.timeout(90)
def test_our_values_stand_last(broker_address: str, unique: str, tmp_path: Path) -> None:
    values = asyncio.run(scenario(broker_address, f"{unique}-changelog", tmp_path))
    ours = {b"oA": b"A2", b"oB": b"B2", b"oC": None, b"oD": b"D1", b"oE": b"E1"}
    assert values == ours

"""Files into topics, and what arrives there, on a real broker."""

import asyncio
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.structs import TopicPartition

from ampelstream.cli.workflow import open_inputs
from ampelstream.errors import ConfigError
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.record import SourceRecord, record_bytes
from ampelstream.runtime.kafka.admin import apply
from ampelstream.runtime.kafka.clients import open_consumer
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.headers import decode_origin
from ampelstream.runtime.kafka.loading import load
from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.runtime.kafka.plan import compare, wanted_topics
from ampelstream.simulate import Night
from ampelstream.sources import merge
from ampelstream.topology.spec import KafkaSpec

PARTITIONS = 3


@pytest.fixture(scope="module")
def night(make_night: Callable[..., Night]) -> Night:
    return make_night(alerts=100)


@pytest.fixture
def connection(broker_address: str) -> Connection:
    return Connection(bootstrap=(broker_address,))


@pytest.fixture
def names(connection: Connection) -> TopicNames:
    names = TopicNames(f"t{uuid.uuid4().hex[:10]}")
    wanted = wanted_topics(names, KafkaSpec(partitions=PARTITIONS), 1)
    asyncio.run(apply(connection, compare(wanted, {})))
    return names


async def arrived(connection: Connection, topic: str, partitions: int, count: int) -> list[Any]:
    """Records of a topic by partition, each list in the order of its offsets."""
    places = [TopicPartition(topic, number) for number in range(partitions)]
    lists: list[list[Any]] = [[] for _ in places]
    async with open_consumer(connection, auto_offset_reset="earliest") as consumer:
        consumer.assign(places)
        while sum(map(len, lists)) < count:
            for place, batch in (await consumer.getmany(timeout_ms=1000)).items():
                lists[place.partition].extend(batch)
        await asyncio.sleep(0.2)
        assert not await consumer.getmany(timeout_ms=0)
    return lists


def test_what_arrives_is_what_was_read(
    connection: Connection, names: TopicNames, night: Night, tmp_path: Path
) -> None:
    file = tmp_path / "mine.yml"
    file.write_text(f"name: {names.topology}\nversion: 1\nchannels: {{all: {{}}}}\n")
    inputs = ["--alerts", str(night.alerts), "--notices", str(night.notices)]
    inputs += ["--broker", connection.address]
    done = subprocess.run(
        [sys.executable, "-m", "ampelstream", "topics", "load", str(file), *inputs],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "loaded 100 alerts" in done.stderr
    assert done.stdout == ""
    records = list(merge(open_inputs([night.alerts], [night.notices]), {}))
    for stream, topic, partitions in (
        ("alerts", names.alerts, PARTITIONS),
        ("notices", names.notices, 1),
    ):
        mine = [one for one in records if one.stream == stream]
        lists = asyncio.run(arrived(connection, topic, partitions, len(mine)))
        for number, record in enumerate(mine):
            message = lists[number % partitions][number // partitions]
            assert message.value == record_bytes(record)
            assert message.key is None
            assert decode_origin(message.headers) == (record.where, record.member)


def test_a_record_that_is_too_large_is_told_and_the_others_are_loaded(
    connection: Connection, names: TopicNames
) -> None:
    def records() -> Iterator[SourceRecord]:
        for number, size in enumerate((1, (16 << 20) - 200, 16 << 20, 2, 0)):
            where = Coordinates("made-up", 0, number)
            yield SourceRecord(where, "notices", bytes(size), f"file-{number}")

    done = asyncio.run(load(connection, names, records(), create=""))
    assert done.counts == {"alerts": 0, "notices": 4}
    assert len(done.refused) == 1
    assert "file-2" in done.refused[0]
    assert str(16 << 20) in done.refused[0]
    (messages,) = asyncio.run(arrived(connection, names.notices, 1, 4))
    assert [len(one.value) for one in messages] == [1, (16 << 20) - 200, 2, 0]


def test_rows_become_json(connection: Connection, names: TopicNames) -> None:
    row = {"objectId": "a", "x": float("nan"), "n": 5}
    record = SourceRecord(Coordinates("table", 0, 7), "alerts", row)
    asyncio.run(load(connection, names, [record], create=""))
    lists = asyncio.run(arrived(connection, names.alerts, PARTITIONS, 1))
    assert lists[0][0].value == b'{"objectId":"a","x":null,"n":5}'
    assert decode_origin(lists[0][0].headers) == (record.where, "")


def test_topics_are_not_made_by_loading(connection: Connection) -> None:
    with pytest.raises(ConfigError, match=r"no topic ampel\.nobody.*mend it"):
        asyncio.run(load(connection, TopicNames("nobody"), [], create="mend it"))

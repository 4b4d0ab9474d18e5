"""Candidates out of a real broker."""

import asyncio
import subprocess
import sys
import uuid
from pathlib import Path

import msgspec
import pytest

from ampelstream.codecs.own import encode_candidate
from ampelstream.errors import ConfigError, DecodeError
from ampelstream.model.candidate import Candidate, CandidateStatus, Provenance
from ampelstream.model.coordinates import Coordinates
from ampelstream.runtime.kafka.admin import apply
from ampelstream.runtime.kafka.clients import open_producer
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.export import last_candidates
from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.runtime.kafka.plan import compare, wanted_topics
from ampelstream.runtime.outputs import candidate_row, write_lines
from ampelstream.topology.spec import KafkaSpec

Sent = tuple[int, bytes, bytes | None]


def candidate(object_id: str, rank: float, status: str = "active") -> Candidate:
    return Candidate(
        object_id=object_id,
        event_id="S240115",
        channel="all",
        status=CandidateStatus(status),
        rank=rank,
        provenance=Provenance(
            "mine", "1", "h", "l", "r", "e", alerts=(3,), records=(Coordinates("f", 0, 1),)
        ),
    )


@pytest.fixture
def connection(broker_address: str) -> Connection:
    return Connection(bootstrap=(broker_address,))


@pytest.fixture
def names(connection: Connection) -> TopicNames:
    names = TopicNames(f"t{uuid.uuid4().hex[:10]}")
    wanted = wanted_topics(names, KafkaSpec(partitions=3), 1)
    asyncio.run(apply(connection, compare(wanted, {})))
    return names


async def produce(
    connection: Connection, topic: str, records: list[Sent], transaction: str | None = None
) -> None:
    async with open_producer(connection, transactional_id=transaction) as producer:
        if transaction is not None:
            await producer.begin_transaction()
        for partition, key, value in records:
            await producer.send_and_wait(topic, value, key=key, partition=partition)
        if transaction is not None:
            await producer.commit_transaction()


def test_the_last_word_on_each_candidate(
    connection: Connection, names: TopicNames, tmp_path: Path
) -> None:
    sent: list[Sent] = [
        (0, b"a", encode_candidate(candidate("a", 1.0))),
        (1, b"b", encode_candidate(candidate("b", 1.0))),
        (0, b"z", encode_candidate(candidate("z", 1.0, "outside"))),
        (0, b"a", encode_candidate(candidate("a", 2.0))),
        (1, b"c", encode_candidate(candidate("c", 1.0))),
        (1, b"c", encode_candidate(candidate("c", 1.0, "rejected"))),
        (1, b"d", encode_candidate(candidate("d", 1.0))),
        (1, b"d", None),
        (1, b"b", encode_candidate(candidate("b", 3.0, "retracted"))),
    ]
    asyncio.run(produce(connection, names.candidates, sent))
    last = [
        candidate("a", 2.0),
        candidate("b", 3.0, "retracted"),
        candidate("z", 1.0, "outside"),
    ]
    assert asyncio.run(last_candidates(connection, names.candidates, create="")) == last
    write_lines(tmp_path / "expected", map(candidate_row, last))
    file = tmp_path / "mine.yml"
    file.write_text(f"name: {names.topology}\nversion: 1\nchannels: {{all: {{}}}}\n")
    for out in (str(tmp_path / "out"), "-"):
        options = [str(file), "--broker", connection.address, "--out", out]
        done = subprocess.run(
            [sys.executable, "-m", "ampelstream", "candidates", "export", *options],
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert b"3 candidates" in done.stderr
        written = done.stdout if out == "-" else (tmp_path / "out").read_bytes()
        assert written == (tmp_path / "expected").read_bytes()


def test_a_topic_that_ends_in_the_mark_of_a_transaction(
    connection: Connection, names: TopicNames
) -> None:
    mine: list[Sent] = [(0, b"a", encode_candidate(candidate("a", 1.0)))]
    asyncio.run(produce(connection, names.candidates, mine, transaction=names.topology))
    found = asyncio.run(last_candidates(connection, names.candidates, create=""))
    assert found == [candidate("a", 1.0)]


def test_many_are_read_to_the_end(connection: Connection, names: TopicNames) -> None:
    many = [candidate(f"o{number:05}", number) for number in range(3000)]

    async def fill() -> None:
        async with open_producer(connection) as producer:
            for number, one in enumerate(many):
                value = encode_candidate(one)
                key = msgspec.json.encode(one.key)
                await producer.send(names.candidates, value, key=key, partition=number % 3)

    asyncio.run(fill())
    assert asyncio.run(last_candidates(connection, names.candidates, create="")) == many


def test_nothing_and_nonsense(connection: Connection, names: TopicNames) -> None:
    assert asyncio.run(last_candidates(connection, names.candidates, create="")) == []
    asyncio.run(produce(connection, names.candidates, [(2, b"x", b"nonsense")]))
    with pytest.raises(DecodeError, match=r"candidates\[2\]@0"):
        asyncio.run(last_candidates(connection, names.candidates, create=""))
    with pytest.raises(ConfigError, match=r"no topic nothing.*mend it"):
        asyncio.run(last_candidates(connection, "nothing", create="mend it"))

"""Records are filled into batches, and come back with their places, in their order."""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaError, NotEnoughReplicasError
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatch

from ampelstream.runtime.safefaust import outbox as module
from ampelstream.runtime.safefaust.failures import ProduceError
from ampelstream.runtime.safefaust.outbox import Outbox, Outgoing, Sent


class Brokers:
    """Topics of three partitions; takes what a producer sends them, batch by batch."""

    def __init__(self, **_options: Any) -> None:
        self.logs: dict[tuple[str, int], list[tuple[Any, Any, Any]]] = {}
        self.batches: list[tuple[str, int]] = []
        self.refused: set[tuple[str, int]] = set()
        self.gone: set[str] = set()

    async def partitions_for(self, topic: str) -> set[int]:
        if topic in self.gone:
            raise KafkaError(f"no topic {topic}")
        return {2, 0, 1}

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(1000, 0)

    async def send_batch(
        self, batch: BatchBuilder, topic: str, *, partition: int
    ) -> "asyncio.Future[Any]":
        assert batch.closed()  # nobody else may fill it
        place = (topic, partition)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.batches.append(place)
        if place in self.refused:
            future.set_exception(NotEnoughReplicasError())
            return future
        log = self.logs.setdefault(place, [])
        future.set_result(SimpleNamespace(offset=len(log)))
        records = DefaultRecordBatch(batch._build())
        log.extend((one.key, one.value, tuple(one.headers)) for one in records)
        return future


@pytest.fixture
def brokers(monkeypatch: pytest.MonkeyPatch) -> Brokers:
    made = Brokers()
    monkeypatch.setattr(module, "AIOKafkaProducer", lambda **_options: made)
    return made


def send(*records: Sequence[Outgoing]) -> list[list[Sent]]:
    async def play() -> list[list[Sent]]:
        outbox = Outbox({})
        return [await outbox.send(some) for some in records]

    return asyncio.run(play())


def test_places_in_the_order_of_the_records(brokers: Brokers) -> None:
    records = [
        Outgoing("a", b"1", b"x", 1),
        Outgoing("b", b"2", b"y", 0),
        Outgoing("a", b"3", None, 1),
        Outgoing("a", b"4", b"z", 0, (("since", b"5"),)),
    ]
    first, second = send(records, records[:1])
    assert first == [("a", 1, 0), ("b", 0, 0), ("a", 1, 1), ("a", 0, 0)]
    assert second == [("a", 1, 2)]
    assert brokers.logs["a", 1] == [(b"1", b"x", ()), (b"3", None, ()), (b"1", b"x", ())]
    assert brokers.logs["a", 0] == [(b"4", b"z", (("since", b"5"),))]


def test_nothing_to_send(brokers: Brokers) -> None:
    assert send([]) == [[]]
    assert brokers.batches == []


def test_what_fills_several_batches_keeps_its_order(brokers: Brokers) -> None:
    records = [Outgoing("a", b"%d" % n, bytes(100), 0) for n in range(50)]
    records[25] = Outgoing("a", b"large", bytes(5_000), 0)  # larger than a batch: alone in one
    [places] = send(records)
    assert [one.offset for one in places] == list(range(50))
    assert [key for key, _, _ in brokers.logs["a", 0]] == [one.key for one in records]
    assert 5 < len(brokers.batches) < 15


def test_a_key_decides_as_in_kafkas_own_clients(brokers: Brokers) -> None:
    keys = [b"ZTF%d" % n for n in range(30)]
    [places] = send([Outgoing("a", key, b"x") for key in keys])
    decide = DefaultPartitioner()
    assert [one.partition for one in places] == [decide(key, [0, 1, 2], []) for key in keys]
    assert {one.partition for one in places} == {0, 1, 2}
    assert len(brokers.batches) == 3


def test_one_that_is_not_acknowledged_is_an_error(brokers: Brokers) -> None:
    brokers.refused.add(("a", 1))
    with pytest.raises(ProduceError, match="for a was not acknowledged: NotEnoughReplicas"):
        send([Outgoing("a", b"1", b"x", 0), Outgoing("a", b"2", b"x", 1)])


def test_a_topic_that_is_not_there_is_an_error(brokers: Brokers) -> None:
    brokers.gone.add("a")
    with pytest.raises(ProduceError, match="cannot produce to a"):
        send([Outgoing("a", b"1", b"x", 0)])

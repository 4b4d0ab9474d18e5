"""How far a group is behind, from what the brokers say."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from ampelstream.runtime.faust.lagwatch import LagWatch
from ampelstream.runtime.service.health import Health
from ampelstream.runtime.service.metrics import Metrics

ONE, TWO = TopicPartition("source", 1), TopicPartition("source", 2)


class Brokers:
    """Stands for both clients."""

    def __init__(self, first: int, last: int, committed: int | None) -> None:
        self._first, self._last, self._committed = first, last, committed

    async def end_offsets(self, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(tps, self._last)

    async def beginning_offsets(self, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(tps, self._first)

    async def list_consumer_group_offsets(self, _group: str) -> dict[TopicPartition, Any]:
        if self._committed is None:
            return {}
        return {ONE: SimpleNamespace(offset=self._committed)}


class Told(Health):
    """Remembers the lag that it was told."""

    def lag(self, name: str, records: int) -> None:
        self.last = (name, records)
        super().lag(name, records)


def look(brokers: Brokers, *sets: set[TopicPartition]) -> tuple[Told, bytes]:
    health, metrics, assigned = Told(), Metrics(), iter(sets)
    watch = LagWatch("step", dict, "group", lambda: next(assigned), metrics, health)

    async def looks() -> None:
        for _ in sets:
            await watch._look(brokers, brokers)

    asyncio.run(looks())
    return health, metrics.render()


@pytest.mark.parametrize(
    ("first", "last", "committed", "lag"),
    [
        (0, 10, 4, 6),
        (0, 10, 10, 0),
        (0, 10, None, 10),  # nothing committed yet
        (3, 10, None, 7),  # what has expired is not waited for
        (7, 10, 4, 3),
        (0, 10, -1, 10),  # how brokers say that nothing is committed
        (0, 3, 10, 0),  # the topic was made anew
    ],
)
def test_lag(first: int, last: int, committed: int | None, lag: int) -> None:
    health, text = look(Brokers(first, last, committed), {ONE})
    assert health.last == ("step", lag)
    assert b'partition="1",step="step",topic="source"} %d.0' % lag in text


def test_a_partition_that_went_elsewhere_is_forgotten() -> None:
    health, text = look(Brokers(0, 10, 4), {ONE, TWO}, {TWO})
    assert b'partition="1"' not in text
    assert health.last == ("step", 10)


def test_without_partitions_there_is_no_lag() -> None:
    health, text = look(Brokers(0, 10, 4), {ONE}, set())
    assert health.last == ("step", 0)
    assert b'topic="source"' not in text


def test_brokers_that_are_away_end_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = LagWatch("step", dict, "group", lambda: {ONE}, Metrics(), Told(), every_seconds=0.01)
    tries = 0

    async def away() -> None:
        nonlocal tries
        tries += 1
        raise KafkaError("no brokers")

    monkeypatch.setattr(watch, "_watch", away)

    async def run() -> None:
        async with asyncio.timeout(0.2):
            await watch.run()

    with pytest.raises(TimeoutError):
        asyncio.run(run())
    assert tries > 1

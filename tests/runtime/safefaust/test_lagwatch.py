"""How far a group is behind, from what the brokers say."""

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from faust.types import TP

from ampelstream.runtime.safefaust import lagwatch as module
from ampelstream.runtime.safefaust.failures import TopicError
from ampelstream.runtime.safefaust.lagwatch import LagWatch

ONE, TWO = TP("source", 1), TP("source", 2)


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
        return {TopicPartition(*ONE): SimpleNamespace(offset=self._committed)}


class Told:
    """Remembers the lag that it was told."""

    def __init__(self) -> None:
        self.lags: list[Mapping[TP, int]] = []
        self.signs = self.unknown = 0

    def lag(self, name: str, behind: Mapping[TP, int]) -> None:
        assert name == "step"
        self.lags.append(behind)

    def unanswered(self, name: str) -> None:
        assert name == "step"
        self.unknown += 1

    def progress(self, name: str) -> None:
        assert name == "step"
        self.signs += 1


def look(brokers: Brokers, *sets: set[TP], ours: bool = True) -> list[Mapping[TP, int]]:
    told, assigned = Told(), iter(sets)
    watch = LagWatch("step", dict, "group", lambda: next(assigned), cast("Any", told), ours=ours)

    async def looks() -> None:
        for _ in sets:
            await watch._look(brokers, brokers)

    asyncio.run(looks())
    return told.lags


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
    assert look(Brokers(first, last, committed), {ONE}) == [{ONE: lag}]


def test_a_topic_that_became_shorter_ends_the_work() -> None:
    shorter = Brokers(0, 3, 10)
    look(shorter, {ONE}, {ONE})  # a new leader may not know its end yet
    with pytest.raises(TopicError, match=r"source\[1\] ends at 3, and group has read up to 10"):
        look(shorter, {ONE}, {ONE}, {ONE})
    look(shorter, {ONE}, {ONE}, {ONE}, ours=False)  # that of another cluster is read anew
    longer = Brokers(0, 10, 10)
    look(longer, {ONE}, {ONE}, {ONE})


def test_only_what_this_worker_has_now() -> None:
    assert look(Brokers(0, 10, 4), {ONE, TWO}, {TWO}, set()) == [{ONE: 6, TWO: 10}, {TWO: 10}, {}]


def test_brokers_that_are_away_end_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    watch = LagWatch("step", dict, "group", lambda: {ONE}, cast("Any", told), every_seconds=0.01)

    async def away() -> None:
        raise KafkaError("no brokers")

    monkeypatch.setattr(watch, "_watch", away)

    async def run() -> None:
        async with asyncio.timeout(0.2):
            await watch.run()

    with pytest.raises(TimeoutError):
        asyncio.run(run())
    assert told.unknown > 1
    assert told.lags == []  # it is not zero, it is not known
    assert told.signs == told.unknown  # a rebalance that cannot end without them is no hang


@pytest.mark.parametrize("assigned", [set(), {ONE}])
def test_brokers_that_do_not_answer_are_away(
    monkeypatch: pytest.MonkeyPatch, assigned: set[TP]
) -> None:
    class Silent(Brokers):
        async def start(self) -> None:
            return

        stop = close = start

        async def list_consumer_group_offsets(self, _group: str) -> dict[TopicPartition, Any]:
            await asyncio.sleep(3600)
            return {}

    told = Told()
    silent = Silent(0, 10, 4)
    monkeypatch.setattr(module, "AIOKafkaConsumer", lambda **_: silent)
    monkeypatch.setattr(module, "AIOKafkaAdminClient", lambda **_: silent)
    monkeypatch.setattr(module, "_ANSWER_SECONDS", 0.05)
    watch = LagWatch("step", dict, "group", lambda: assigned, cast("Any", told), every_seconds=0.01)

    async def run() -> None:
        async with asyncio.timeout(0.5):
            await watch.run()

    with pytest.raises(TimeoutError):
        asyncio.run(run())
    assert told.signs == told.unknown > 1
    assert told.lags == []

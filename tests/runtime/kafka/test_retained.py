"""What topics still hold, as a client in memory says it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from ampelstream.model.times import jd_from_unix
from ampelstream.runtime.kafka import retained
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.retained import extent, what_is_left

NOW = 1.75e9
HERE = Connection(bootstrap=("nowhere:1",))


class Client:
    """A cluster with one topic of alerts; values are (first, end) of its partitions."""

    def __init__(self, *ranges: tuple[int, int]) -> None:
        self.ranges = {TopicPartition("alerts", n): one for n, one in enumerate(ranges)}
        self.at: int | None = None
        self._client = SimpleNamespace(fetch_all_metadata=self._metadata)

    async def _metadata(self) -> Any:
        return SimpleNamespace(
            topics=lambda **_: {"alerts", "others"},
            partitions_for_topic=lambda topic: {n for _, n in self.ranges} if topic else None,
        )

    async def beginning_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {place: self.ranges[place][0] for place in places}

    async def end_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {place: self.ranges[place][1] for place in places}

    def assign(self, _places: list[TopicPartition]) -> None:
        """As the client does."""

    def seek(self, _place: TopicPartition, offset: int) -> None:
        self.at = offset

    async def getone(self, place: TopicPartition) -> Any:
        assert self.at is not None
        if self.at >= 1000:  # only marks of transactions
            await asyncio.Event().wait()
        return SimpleNamespace(timestamp=(NOW - 1000 + self.at + place.partition) * 1000)


@pytest.fixture
def open_client(monkeypatch: pytest.MonkeyPatch) -> Any:
    def given(*ranges: tuple[int, int]) -> None:
        @asynccontextmanager
        async def opened(*_: Any, **_options: Any) -> AsyncIterator[Client]:
            yield Client(*ranges)

        monkeypatch.setattr(retained, "open_consumer", opened)
        monkeypatch.setattr(retained, "_FIRST_SECONDS", 0.01)

    return given


def since() -> float | None:
    found = asyncio.run(what_is_left(HERE, lambda topic: topic == "alerts", now=lambda: NOW))
    assert found.topics == ("alerts",)
    return found.since_jd


def test_what_is_all_there_has_no_beginning(open_client: Any) -> None:
    open_client((0, 7), (0, 0))
    assert since() is None
    found = asyncio.run(extent(HERE, lambda topic: topic == "alerts"))
    assert found == {TopicPartition("alerts", 0): (0, 7), TopicPartition("alerts", 1): (0, 0)}


def test_the_latest_of_the_first_records_counts(open_client: Any) -> None:
    open_client((3, 7), (5, 9), (0, 4))
    assert since() == jd_from_unix(NOW - 1000 + 5 + 1)


@pytest.mark.parametrize("ranges", [(3, 3), (1000, 1001)])
def test_of_what_holds_nothing_any_longer_all_is_old(
    open_client: Any, ranges: tuple[int, int]
) -> None:
    """Also where only marks of transactions are left, which no client is given."""
    open_client((3, 7), ranges)
    assert since() == jd_from_unix(NOW)


def test_topics_of_others_are_not_looked_at(open_client: Any) -> None:
    open_client((3, 7))
    assert asyncio.run(extent(HERE, lambda topic: topic == "mine")) == {}

"""From when on the alerts of a topic can be read again."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from ampelstream.model.times import jd_from_unix
from ampelstream.runtime.kafka import arrivals
from ampelstream.runtime.kafka.arrivals import arrival_behind_removed, first_arrival

PLACE = TopicPartition("alerts", 0)


class Client:
    """A partition with these offsets, and perhaps a record at the first."""

    def __init__(self, first: int, last: int, timestamp: float | None = None) -> None:
        self.first, self.last, self.timestamp = first, last, timestamp
        self.assigned: list[Any] = []

    async def beginning_offsets(self, _places: Any) -> dict[TopicPartition, int]:
        return {PLACE: self.first}

    async def end_offsets(self, _places: Any) -> dict[TopicPartition, int]:
        return {PLACE: self.last}

    def assign(self, places: list[TopicPartition]) -> None:
        self.assigned += places

    def seek(self, place: TopicPartition, offset: int) -> None:
        self.assigned.append((place, offset))

    async def getone(self, _place: TopicPartition) -> Any:
        if self.timestamp is None:
            await asyncio.sleep(60)
        return SimpleNamespace(timestamp=self.timestamp)


def test_nothing_was_removed_or_the_first_that_is_left_says_it() -> None:
    assert asyncio.run(arrival_behind_removed(Client(0, 9, 1e12), PLACE)) is None
    client = Client(3, 9, 1e12)
    assert asyncio.run(arrival_behind_removed(client, PLACE)) == jd_from_unix(1e9)
    assert client.assigned == [PLACE, (PLACE, 3)]
    assert asyncio.run(first_arrival(Client(0, 9, 1e12), PLACE)) == jd_from_unix(1e9)


@pytest.mark.parametrize("last", [3, 9])
def test_where_no_record_is_left_all_are_older_than_now(
    monkeypatch: pytest.MonkeyPatch, last: int
) -> None:
    monkeypatch.setattr(arrivals, "_FIRST_SECONDS", 0.01)
    before = jd_from_unix(time.time())
    found = asyncio.run(arrival_behind_removed(Client(3, last), PLACE))
    assert found is not None
    assert before <= found <= jd_from_unix(time.time())

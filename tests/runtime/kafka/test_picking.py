"""Single records by their offsets: those that are there, and those that are not any longer."""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from ampelstream.errors import SourceError
from ampelstream.runtime.kafka import picking
from ampelstream.runtime.kafka.picking import RecordPicker


class Client:
    """A partition in memory: values by offset, and its first and last offsets."""

    made = 0

    def __init__(self, values: dict[int, bytes], first: int, end: int, at_once: int = 3) -> None:
        self.values, self.first, self.end, self.at_once = values, first, end, at_once
        self.at = 0
        self.seeks: list[int] = []
        self.fetches = 0
        self.stopped = False

    async def start(self) -> None:
        Client.made += 1

    async def stop(self) -> None:
        self.stopped = True

    def assign(self, _places: list[Any]) -> None:
        pass

    async def end_offsets(self, places: list[Any]) -> dict[Any, int]:
        return dict.fromkeys(places, self.end)

    def seek(self, _place: Any, offset: int) -> None:
        self.seeks.append(offset)
        self.at = max(offset, self.first)  # as with auto_offset_reset

    async def position(self, _place: Any) -> int:
        return self.at

    async def getmany(self, place: Any, **_how: Any) -> dict[Any, list[Any]]:
        self.fetches += 1
        found = [one for one in sorted(self.values) if one >= self.at][: self.at_once]
        self.at = found[-1] + 1 if found else self.end
        records = [SimpleNamespace(offset=one, value=self.values[one]) for one in found]
        return {place: records} if records else {}


def pick(offsets: Sequence[int], **how: Any) -> dict[int, Any]:
    async def run() -> dict[int, Any]:
        async with RecordPicker(dict, **how) as picker:
            found = await picker.pick("parked", 0, offsets)
        return {offset: one and one.value for offset, one in found.items()}

    return asyncio.run(run())


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    values = {n: b"%d" % n for n in range(10, 30)}
    made = Client(values, first=10, end=30)
    monkeypatch.setattr(picking, "AIOKafkaConsumer", lambda **_options: made)
    return made


def test_those_that_were_asked_for(client: Client) -> None:
    assert pick([12, 11, 29]) == {11: b"11", 12: b"12", 29: b"29"}
    assert client.seeks == [11, 29]  # what lies between is not read
    assert client.stopped


def test_neighbours_come_without_another_seek(client: Client) -> None:
    assert list(pick(range(10, 20))) == list(range(10, 20))
    assert (client.seeks, client.fetches) == ([10], 4)


def test_what_was_removed_or_lost_is_none(client: Client) -> None:
    del client.values[15]
    found = pick([3, 15, 16, 30, 99])
    assert found == {3: None, 15: None, 16: b"16", 30: None, 99: None}


def test_nothing_is_left_of_the_topic(client: Client) -> None:
    client.values, client.first = {}, 30
    assert pick([12, 20]) == {12: None, 20: None}


def test_what_is_too_much_is_left_for_the_next_time(client: Client) -> None:
    client.at_once = 1
    assert list(pick([11, 12, 13, 14], max_bytes=4)) == [11, 12]


def test_a_client_is_made_once_and_only_where_it_is_needed(client: Client) -> None:
    async def run() -> None:
        async with RecordPicker(dict) as picker:
            assert not Client.made
            for offset in (11, 12):
                await picker.pick("parked", 0, [offset])

    Client.made = 0
    asyncio.run(run())
    assert Client.made == 1
    assert client.stopped


@pytest.mark.parametrize("error", [KafkaConnectionError("away"), TimeoutError()])
def test_brokers_that_do_not_give_them(client: Client, error: Exception) -> None:
    async def fail(_place: Any, **_how: Any) -> Any:
        raise error

    client.getmany = fail  # type: ignore[method-assign, assignment]  # (its fault)
    with pytest.raises(SourceError, match=r"parked\[0\] cannot be read at offset 12"):
        pick([12])

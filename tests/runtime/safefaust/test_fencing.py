"""What others wrote where only we may write is written over, also when we have nothing to write."""

import asyncio
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest
from faust.types import TP

from ampelstream.runtime.safefaust import fencing as module
from ampelstream.runtime.safefaust.fencing import OwnershipGuard, foreign_offsets
from ampelstream.runtime.safefaust.outbox import Outgoing


class World:
    """A topic of one partition, a changelog, and somebody who writes to both."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.overwritten: list[tuple[int, int]] = []
        self.down = False
        table = SimpleNamespace(
            changelog_topic_name="changelog", overwrite_foreign=self._overwrite, client_options=dict
        )
        self.guard = OwnershipGuard(
            cast("Any", table), "candidates", self._ends, self._again, cast("Any", self)
        )

    async def _overwrite(self, partition: int, end: int, _outbox: Any) -> None:
        self.overwritten.append((partition, end))

    async def _ends(self, places: set[TP]) -> Mapping[TP, int | None]:
        if self.down:
            raise TimeoutError
        return {tp: len(self.records) if tp.topic == "candidates" else 9 for tp in places}

    async def _again(self, partition: int, keys: Iterable[bytes]) -> list[Outgoing]:
        return [Outgoing("candidates", key, b"right", partition) for key in sorted(keys)]

    async def send(self, records: Iterable[Outgoing]) -> list[Any]:
        places = []
        for record in records:
            places.append(SimpleNamespace(partition=0, offset=len(self.records)))
            self.records.append((record.key or b"") + b"=" + (record.value or b""))
        return places

    async def look(self) -> None:
        await self.guard.look(await self.guard.ask([0]))

    async def ours(self, key: bytes) -> None:
        made = [Outgoing("candidates", key, b"right", 0)]
        self.guard.sent(made, await self.send(made))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()

    async def keys(_options: Any, _topic: str, _partition: int, offsets: Iterable[int]) -> Any:
        return {made.records[offset].split(b"=")[0] for offset in offsets}

    monkeypatch.setattr(module, "foreign_keys", keys)
    return made


def test_what_is_foreign_is_written_over_once(world: World) -> None:
    async def play() -> None:
        await world.guard.begin([0])
        await world.ours(b"a")
        await world.ours(b"b")
        await world.look()
        assert world.records == [b"a=right", b"b=right"]
        world.records.append(b"a=stale")
        await world.look()
        await world.look()

    asyncio.run(play())
    assert world.records == [b"a=right", b"b=right", b"a=stale", b"a=right"]
    assert world.overwritten == [(0, 9)] * 3


def test_foreign_between_ours_is_written_over(world: World) -> None:
    async def play() -> None:
        await world.guard.begin([0])
        await world.ours(b"a")
        world.records.append(b"c=stale")
        await world.ours(b"b")
        await world.look()

    asyncio.run(play())
    assert world.records[-2:] == [b"b=right", b"c=right"]


def test_brokers_that_do_not_answer_are_asked_later(world: World) -> None:
    async def play() -> None:
        await world.guard.begin([0])
        world.records.append(b"a=stale")
        world.down = True
        await world.look()
        world.down = False
        await world.look()

    asyncio.run(play())
    assert world.records == [b"a=stale", b"a=right"]


@pytest.mark.parametrize(
    ("before", "ours", "foreign"),
    [
        (-1, [0], []),
        (-1, [0, 1, 2], []),
        (9, [10, 11], []),
        (9, [11, 12], [10]),
        (9, [10, 13], [11, 12]),
        (-1, [2], [0, 1]),
    ],
)
def test_what_lies_between_our_writes(before: int, ours: list[int], foreign: list[int]) -> None:
    assert foreign_offsets(before, ours) == foreign

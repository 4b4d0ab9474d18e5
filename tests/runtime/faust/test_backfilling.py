"""What is read again, who is waited for, and when it is at its end."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.types import TP

from ampelstream.model.announcement import Backfilled
from ampelstream.runtime.faust import backfilling
from ampelstream.runtime.faust.backfilling import Reread, all_read, rereads
from ampelstream.runtime.faust.inputs import Input, backfill_of
from ampelstream.runtime.kafka.clients import reaching
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.retained import Retained
from ampelstream.runtime.kafka.topologylog import BackfillPlan

PLAN = BackfillPlan("f-3", "f", ("g",))
FIRST, SECOND, THIRD = (TP("alerts", number) for number in range(3))


def source(group: str = "g") -> Input:
    name = f"ingest-{group}"
    return Input(name, group, "alerts", Connection(bootstrap=("b:1",)), ("alerts",), True, None)  # noqa: FBT003  (as its fields are)


class Cluster:
    """What groups have committed, and what its topics hold; it is away so many times."""

    def __init__(self, away: int = 0) -> None:
        self.away = away
        self.asked: list[str] = []
        self.done: dict[str, dict[TP, int]] = {}
        self.held: dict[TP, tuple[int, int]] = {}
        self.since: float | None = None

    async def list_consumer_group_offsets(self, group: str) -> dict[Any, Any]:
        self.asked.append(group)
        if len(self.asked) <= self.away:
            raise KafkaConnectionError("away")
        return {
            TopicPartition(*tp): OffsetAndMetadata(offset, "")
            for tp, offset in self.done.get(group, {}).items()
        }


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    made = Cluster()

    @asynccontextmanager
    async def open_admin(connection: Connection) -> AsyncIterator[Any]:
        with reaching(connection):
            yield made

    async def extent(_: Connection, reads: Callable[[str], bool]) -> dict[Any, Any]:
        return {TopicPartition(*tp): one for tp, one in made.held.items() if reads(tp.topic)}

    async def what_is_left(_: Connection, reads: Callable[[str], bool]) -> Retained:
        return Retained(made.since, tuple(sorted({tp[0] for tp in made.held if reads(tp[0])})))

    monkeypatch.setattr(backfilling, "open_admin", open_admin)
    monkeypatch.setattr(backfilling, "extent", extent)
    monkeypatch.setattr(backfilling, "what_is_left", what_is_left)
    monkeypatch.setattr(backfilling, "LOOK_SECONDS", 0.0)
    return made


def test_a_cluster_that_is_away_is_waited_for(cluster: Cluster) -> None:
    cluster.away = 2
    cluster.done["g"] = {FIRST: 7, SECOND: -1}
    cluster.held = {FIRST: (2, 9), SECOND: (0, 0), THIRD: (0, 4)}
    [part] = asyncio.run(rereads([source()], PLAN))
    assert cluster.asked == ["g"] * 3
    # of the second nothing was read; what was committed of the third is forgotten, so that its
    # alerts come as new ones, too
    assert part.until == {FIRST: 7, SECOND: 0, THIRD: 4}
    assert (part.source.name, part.source.group) == ("ingest-g-backfill", "g.backfill-f-3")


def test_an_input_that_is_not_in_the_plan_is_not_read_again(cluster: Cluster) -> None:
    cluster.held = {FIRST: (0, 9)}
    parts = asyncio.run(rereads([source(), source("later")], PLAN))
    assert [one.source.group for one in parts] == ["g.backfill-f-3"]


def marks(parts: Sequence[Reread], plan: BackfillPlan = PLAN, looks: int = 5) -> list[Any]:
    """What is said when they have been read; nobody else says it within so many looks."""
    said: list[Any] = []
    left = [looks]

    async def send(values: Sequence[Any]) -> None:
        said.extend(one.value for one in values)

    def goes_on() -> bool:
        left[0] -= 1
        return left[0] >= 0

    shared: Any = SimpleNamespace(outbox=SimpleNamespace(send=send), encode=lambda outputs: outputs)
    asyncio.run(all_read(shared, parts, plan, goes_on))
    return said


def part(*until: int) -> Reread:
    return Reread(backfill_of(source(), "f-3"), dict(zip((FIRST, SECOND), until, strict=False)))


READ = "g.backfill-f-3"


def test_it_ends_when_all_is_read_and_says_how_old_what_is_left_is(cluster: Cluster) -> None:
    cluster.held = {FIRST: (3, 9), SECOND: (0, 9)}
    cluster.done[READ] = {FIRST: 7, SECOND: 3}
    assert marks([part(7, 4)]) == []
    cluster.done[READ][SECOND] = 4
    cluster.since = 2461000.5
    assert marks([part(7, 4)]) == [Backfilled("f-3", 2461000.5, {"alerts": ("alerts",)})]


@pytest.mark.parametrize(
    ("held", "why"),
    [
        ({FIRST: (0, 9)}, "its topic was deleted"),
        ({FIRST: (0, 9), SECOND: (4, 9)}, "retention removed what was left"),
        ({FIRST: (0, 9), SECOND: (0, 2)}, "its topic was made anew, and has been read"),
    ],
)
def test_what_is_there_no_longer_is_not_waited_for(
    cluster: Cluster, held: dict[TP, tuple[int, int]], why: str
) -> None:
    cluster.held = held
    cluster.done[READ] = {FIRST: 7, SECOND: 2}
    assert marks([part(7, 4)]) == [Backfilled("f-3", held={"alerts": ("alerts",)})], why
    cluster.held = {FIRST: (0, 9), SECOND: (0, 9)}
    assert marks([part(7, 4)]) == []


def test_who_does_not_read_all_leaves_the_end_to_others(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.held = {FIRST: (0, 9)}
    cluster.done[READ] = {FIRST: 7}
    plan = BackfillPlan("f-3", "f", ("g", "of another cluster"))
    assert marks([part(7)], plan) == []
    assert marks([], plan) == []
    assert "another has to see its end" in caplog.text
    assert marks([part(7)]) == [Backfilled("f-3", held={"alerts": ("alerts",)})]

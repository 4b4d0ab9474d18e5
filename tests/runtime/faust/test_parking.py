"""The application of what is parked, without a broker: what it reads, keeps, fetches and sends."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self, cast

import pytest
from faust.types import TP

from ampelstream.codecs import own
from ampelstream.core.accounting import Accounting
from ampelstream.errors import ConfigError
from ampelstream.model.coordinates import Coordinates
from ampelstream.runtime.context import WorkerContext
from ampelstream.runtime.faust import parking
from ampelstream.runtime.faust.app import Shared
from ampelstream.runtime.faust.inputs import Input
from ampelstream.runtime.faust.parking import parked_app
from ampelstream.runtime.faust.watching import Watching
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.headers import SINCE, encode_origin
from ampelstream.runtime.kafka.names import PARKED_STEP, TopicNames
from ampelstream.runtime.kafka.sources import default_sources
from ampelstream.runtime.safefaust import table as table_module
from ampelstream.runtime.safefaust.inbox import Chunk, Inbox
from ampelstream.runtime.safefaust.outbox import Outgoing
from ampelstream.runtime.safefaust.topicids import Topics
from ampelstream.runtime.service.health import Health
from ampelstream.runtime.service.journal import Journals
from ampelstream.runtime.service.metrics import Metrics
from ampelstream.runtime.settings import GroupTimes
from ampelstream.topology import Topology

NOW = 1.8e9
LIMIT = 600.0
WAITS_FOR = 900


class World:
    """Brokers, registry, clock and the stored records of the topic."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []
        self.known_schemas: dict[int, Any] = {}
        self.now = NOW
        self.log: dict[int, Any] = {}
        self.picked: list[Sequence[int]] = []
        self.ids: dict[str, str] = {}

    async def send(self, records: Sequence[Outgoing]) -> list[Any]:
        places = []
        for record in records:
            places.append(SimpleNamespace(offset=len(self.to(record.topic)), partition=0))
            self.sent.append(record)
        return places

    def known(self, schema_id: int) -> Any:
        return self.known_schemas.get(schema_id)

    async def fetch(self, _schema_id: int) -> bool:
        return False

    async def topic_ids(self, _options: Any, topics: Sequence[str]) -> Topics:
        return Topics("cluster", {topic: self.ids.get(topic, "id1") for topic in topics})

    def to(self, topic: str) -> list[Outgoing]:
        return [one for one in self.sent if one.topic == topic]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()

    class Picker:
        def __init__(self, _options: Any) -> None:
            pass

        async def __aenter__(self) -> Self:
            return self

        async def __aexit__(self, *_error: object) -> None:
            pass

        async def pick(self, _topic: str, _partition: int, offsets: Sequence[int]) -> Any:
            made.picked.append(list(offsets))
            return {offset: made.log.get(offset) for offset in offsets}

    monkeypatch.setattr(parking, "RecordPicker", Picker)
    monkeypatch.setattr(parking, "time", SimpleNamespace(time=lambda: made.now))
    monkeypatch.setattr(table_module, "topic_ids", made.topic_ids)
    return made


@pytest.fixture
def shared(small: Topology, names: TopicNames, world: World, tmp_path: Path) -> Shared:
    settings = SimpleNamespace(
        state=tmp_path, park=60.0, park_limit=LIMIT, refresh=30.0, times=GroupTimes()
    )
    settings.instance_id = None
    where = Connection(bootstrap="nowhere:9092")
    context = WorkerContext(cast("Any", settings), 0, where, default_sources(names), 2, "small")
    accounting = Accounting()
    watching = Watching(Metrics(accounting), Health())
    outbox, journals = cast("Any", world), Journals(tmp_path / "in-hand")
    return Shared(small, names, context, "http://here", outbox, watching, accounting, journals)


def source(names: TopicNames, world: World | None) -> Input:
    return Input(
        name="ingest-parked",
        group=names.app(PARKED_STEP),
        stream="alerts",
        connection=Connection(bootstrap="nowhere:9092"),
        topics=(names.parked,),
        ours=True,
        registry=cast("Any", world),
        parked=True,
    )


def parked(names: TopicNames, offset: int, schema_id: int = WAITS_FOR) -> Any:
    headers = (*encode_origin(Coordinates("lsst", 1, 70 + offset)), (SINCE, str(NOW).encode()))
    value = b"\x00" + schema_id.to_bytes(4, "big") + b"packet"
    return SimpleNamespace(
        topic=names.parked, partition=0, offset=offset, key=b"k", value=value, headers=headers
    )


def run(shared: Shared, world: World, records: Sequence[Any], slices: int = 0) -> Mapping[TP, int]:
    """Let a new worker take records, and turns without records; gives the offsets it settled."""
    names = shared.names
    app: Any = parked_app(shared, source(names, world))
    (table,) = app.tables.values()
    inbox = Inbox()
    here: Any = SimpleNamespace(consumer_generation_id=1, rebalancing=False)
    changelog = TP(table.changelog_topic_name, 0)
    recovery = SimpleNamespace(actives_for_table={table: {changelog}})
    here.tables = SimpleNamespace(recovery=recovery)
    here.add_future = lambda coroutine: coroutine.close()

    async def highwaters(*_places: TP) -> dict[TP, int]:
        return {}

    here.consumer = SimpleNamespace(inbox=inbox, work=None, late=False, highwaters=highwaters)
    (agent,) = app.agents.values()
    for record in records:
        world.log[record.offset] = record
        inbox.put(Chunk(TP(record.topic, record.partition), [record]))

    async def work() -> None:
        await table.identify()
        inbox.open()
        task = asyncio.ensure_future(agent.fun(SimpleNamespace(app=here)))
        async with asyncio.timeout(20):
            while not ((inbox.idle and len(world.picked) >= slices) or task.done()):  # noqa: ASYNC110  (there is no event for it)
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            async with inbox.in_hand:
                pass
        failed = task.done() and task.exception()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert not failed

    asyncio.run(work())
    table.partitions_store.close()
    return inbox.settled


def test_its_state_lies_where_topics_are_made_for_it(shared: Shared, world: World) -> None:
    app: Any = parked_app(shared, source(shared.names, world))
    (table,) = app.tables.values()
    assert table.changelog_topic_name == shared.names.changelog(PARKED_STEP)
    assert table.sources == (shared.names.parked,)
    with pytest.raises(ConfigError):
        parked_app(shared, source(shared.names, None))


def test_a_packet_is_noted_and_not_written_again(shared: Shared, world: World) -> None:
    names = shared.names
    settled = run(shared, world, [parked(names, 5), parked(names, 6)])
    assert settled == {TP(names.parked, 0): 7}
    assert (
        world.to(names.parked) == world.to(names.detections) == world.to(names.dead_letters) == []
    )
    notes = world.to(names.changelog(PARKED_STEP))
    assert sum(one.size for one in notes) < 200
    run(shared, world, [])  # a new process
    assert len(world.to(names.changelog(PARKED_STEP))) == len(notes)
    assert world.picked == []


def test_when_its_schema_is_known_it_is_fetched_and_handled(shared: Shared, world: World) -> None:
    names = shared.names
    run(shared, world, [parked(names, 5), parked(names, 6), parked(names, 7, WAITS_FOR + 1)])
    world.known_schemas[WAITS_FOR] = {"type": "record", "name": "x", "fields": []}
    run(shared, world, [], slices=1)
    assert world.picked == [[5, 6]]
    letters = [own.decode_dead_letter(one.value or b"") for one in world.to(names.dead_letters)]
    # it is no alert of Rubin; but it was looked at, and came from where it first was
    assert [(one.error, one.where) for one in letters] == [
        ("DecodeError", Coordinates("lsst", 1, 75)),
        ("DecodeError", Coordinates("lsst", 1, 76)),
    ]
    assert shared.accounting.total("received", "parked") == 2
    run(shared, world, [])
    assert world.picked == [[5, 6]]  # nothing of it is left


def test_after_the_limit_it_is_a_dead_letter(shared: Shared, world: World) -> None:
    names = shared.names
    run(shared, world, [parked(names, 5)])
    world.now += LIMIT + 1
    run(shared, world, [], slices=1)
    (letter,) = [own.decode_dead_letter(one.value or b"") for one in world.to(names.dead_letters)]
    assert (letter.step, letter.error) == ("decode", "UnknownSchema")
    assert f"schema {WAITS_FOR} was never known" in letter.reason
    assert letter.value == parked(names, 5).value


def test_what_expired_meanwhile_is_said(shared: Shared, world: World) -> None:
    names = shared.names
    run(shared, world, [parked(names, 5)])
    world.known_schemas[WAITS_FOR] = {}
    world.log.clear()
    run(shared, world, [], slices=1)
    (letter,) = [own.decode_dead_letter(one.value or b"") for one in world.to(names.dead_letters)]
    assert letter.where == Coordinates(names.parked, 0, 5)
    assert "--park-limit" in letter.reason


def test_where_the_topic_was_made_anew_nothing_is_looked_for_in_it(
    shared: Shared, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    names = shared.names
    run(shared, world, [parked(names, 5), parked(names, 6)])

    world.ids[names.parked] = "id2"
    run(shared, world, [parked(names, 0)])
    assert "records=2" in caplog.text
    world.known_schemas[WAITS_FOR] = {}
    run(shared, world, [], slices=1)
    assert world.picked == [[0]]

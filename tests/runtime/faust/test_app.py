"""The three agents: what they read, what they give, and what of it counts."""

import asyncio
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from faust.types import TP

from ampelstream.codecs.own import decode_dead_letter
from ampelstream.core.accounting import Accounting
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.record import Stream
from ampelstream.runtime.context import WorkerContext
from ampelstream.runtime.faust.app import (
    Shared,
    _open_database,
    ingest_app,
    objects_app,
    react_app,
)
from ampelstream.runtime.faust.inputs import inputs_of
from ampelstream.runtime.faust.watching import Watching
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.runtime.kafka.sources import default_sources
from ampelstream.runtime.portion import Portion
from ampelstream.runtime.safefaust import table as table_module
from ampelstream.runtime.safefaust.inbox import Chunk, Inbox
from ampelstream.runtime.safefaust.outbox import Outgoing
from ampelstream.runtime.safefaust.topicids import Topics
from ampelstream.runtime.service.health import Health
from ampelstream.runtime.service.journal import DEATHS, Journals
from ampelstream.runtime.service.metrics import Metrics
from ampelstream.runtime.settings import GroupTimes
from ampelstream.topology import Topology

Night = Mapping[Stream, list[Any]]


class Brokers:
    """Takes what is sent, and may take a partition away meanwhile."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []
        self.on_send: Callable[[], None] = lambda: None

    async def send(self, records: Sequence[Outgoing]) -> list[Any]:
        self.sent += records
        self.on_send()
        return [SimpleNamespace(offset=n, partition=0) for n, _ in enumerate(records)]


@pytest.fixture
def brokers() -> Brokers:
    return Brokers()


@pytest.fixture
def shared(small: Topology, names: TopicNames, brokers: Brokers, tmp_path: Path) -> Shared:
    settings = SimpleNamespace(state=tmp_path, park=60.0, refresh=30.0, times=GroupTimes())
    settings.instance_id = None
    settings.fetch_maps, settings.map_hosts = True, ("localhost",)
    where = Connection(bootstrap="nowhere:9092")
    context = WorkerContext(cast("Any", settings), 0, where, default_sources(names), 2, "small")
    accounting = Accounting()
    watching = Watching(Metrics(accounting), Health())
    outbox: Any = brokers
    journals = Journals(tmp_path / "in-hand")
    return Shared(small, names, context, "http://here", outbox, watching, accounting, journals)


def topics_of(app: Any) -> list[str]:
    (agent,) = app.agents.values()
    return list(agent.channel.topics)


def test_each_agent_has_an_application_of_its_own(shared: Shared, names: TopicNames) -> None:
    alerts, notices = inputs_of(names, shared.context)
    apps: list[Any] = [
        ingest_app(shared, alerts),
        ingest_app(shared, notices),
        objects_app(shared),
        react_app(shared),
    ]
    assert [(app.conf.id, topics_of(app), len(app.tables)) for app in apps] == [
        ("ampel.small.ingest.alerts", [names.alerts], 0),
        ("ampel.small.ingest.notices", [names.notices], 0),
        (names.app("objects"), [names.detections, names.events], 1),
        (names.app("react"), [names.candidates], 1),
    ]
    for app in apps[2:]:
        (table,) = app.tables.values()
        assert table.changelog_topic_name == names.changelog(app.conf.id.rpartition(".")[2])


async def no_ends(*_places: TP) -> dict[TP, int]:
    return {}


def feed(app: Any, records: Sequence[Any], here: Any = None) -> None:
    """Let the agent of an application work on records, without a broker."""
    inbox = Inbox()
    here = here or SimpleNamespace(consumer_generation_id=1)
    here.consumer = SimpleNamespace(inbox=inbox, work=None, late=False, highwaters=no_ends)
    here.consumer._committed_offset = Counter()
    (agent,) = app.agents.values()
    for record in records:
        inbox.put(Chunk(TP(record.topic, record.partition), [record]))

    async def run() -> None:
        inbox.open()
        task = asyncio.ensure_future(agent.fun(SimpleNamespace(app=here)))
        async with asyncio.timeout(20):
            while not (inbox.idle or task.done()):  # noqa: ASYNC110  (there is no event for it)
                await asyncio.sleep(0.01)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(run())


def test_ingest(shared: Shared, names: TopicNames, brokers: Brokers, night: Night) -> None:
    alerts, notices = inputs_of(names, shared.context)
    feed(ingest_app(shared, alerts), night["alerts"])
    assert {one.topic for one in brokers.sent} == {names.detections}
    assert shared.accounting.total("received", "alerts") == len(night["alerts"])
    passed = shared.accounting.total("passed")
    assert passed == sum(one.partition is None for one in brokers.sent) > 0
    brokers.sent.clear()
    feed(ingest_app(shared, notices), night["notices"])
    assert [one.partition for one in brokers.sent] == [0, 1] * len(night["notices"])
    assert {one.topic for one in brokers.sent} == {names.events}


def test_what_is_left_to_others_does_not_count(
    shared: Shared, names: TopicNames, brokers: Brokers, night: Night
) -> None:
    """Its new owner counts it; a new day is told again, since nobody may have heard of it."""
    alerts, _ = inputs_of(names, shared.context)
    here = SimpleNamespace(consumer_generation_id=1)

    def taken() -> None:
        here.consumer_generation_id += 1

    brokers.on_send = taken
    feed(ingest_app(shared, alerts), night["alerts"], here)
    assert len(brokers.sent) > 100
    assert shared.accounting.counts() == {}


def test_what_was_set_aside_and_left_to_others_is_set_aside_again(
    shared: Shared, names: TopicNames, brokers: Brokers, night: Night
) -> None:
    """The dead letter is not durable; what is committed next says nothing of it."""
    alerts = inputs_of(names, shared.context)[0]
    bad = night["alerts"][0]
    where = Coordinates(bad.topic, bad.partition, bad.offset)
    kill(shared, alerts.name, where)
    here = SimpleNamespace(consumer_generation_id=1)

    def taken() -> None:
        here.consumer_generation_id += 1
        brokers.on_send = lambda: None

    brokers.on_send = taken
    first = [bad] * 500  # as many as a batch has
    feed(ingest_app(shared, alerts), [*first, *night["alerts"][1:101]], here)
    assert shared.accounting.total("received") == 100
    assert shared.journals._open[alerts.name]._deaths.keys() == {where}


@pytest.mark.parametrize("step", ["objects", "react"])
def test_steps_with_state_do_so_too(
    step: str,
    shared: Shared,
    names: TopicNames,
    brokers: Brokers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def topic_ids(_options: Any, topics: Sequence[str]) -> Topics:
        return Topics("cluster", dict.fromkeys(topics, "id"))

    monkeypatch.setattr(table_module, "topic_ids", topic_ids)
    make, topic = {
        "objects": (objects_app, names.detections),
        "react": (react_app, names.candidates),
    }[step]
    kill(shared, step, Coordinates(topic, 0, 0))
    app: Any = make(shared)
    (table,) = app.tables.values()
    changelogs = {TP(table.changelog_topic_name, number) for number in range(2)}
    recovery = SimpleNamespace(actives_for_table={table: changelogs})
    here: Any = SimpleNamespace(consumer_generation_id=1, rebalancing=False)
    here.tables = SimpleNamespace(recovery=recovery)
    here.add_future = lambda coroutine: coroutine.close()

    def taken() -> None:
        here.consumer_generation_id += 1
        brokers.on_send = lambda: None

    brokers.on_send = taken
    bad, other = (
        SimpleNamespace(topic=topic, partition=n, offset=0, key=b"k", value=b"junk", headers=())
        for n in range(2)
    )
    asyncio.run(table.identify())
    feed(app, [bad, other], here)
    table.partitions_store.close()
    letters = [one.value for one in brokers.sent if one.topic == names.dead_letters]
    assert [decode_dead_letter(one or b"").error for one in letters][:1] == ["WorkerDied"]
    assert len(letters) == 2
    assert shared.accounting.total("dead_letters") == 1  # that of the other partition
    assert shared.journals._open[step]._deaths.keys() == {Coordinates(topic, 0, 0)}


def test_what_takes_long_is_committed_in_portions(
    shared: Shared,
    names: TopicNames,
    brokers: Brokers,
    night: Night,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    feed(ingest_app(shared, inputs_of(names, shared.context)[0]), night["alerts"][:100])
    whole = [(one.key, one.value) for one in brokers.sent if one.partition is None]
    brokers.sent.clear()
    monkeypatch.setattr("ampelstream.runtime.faust.app.Portion", partial(Portion, seconds=0.0))
    commits: list[int] = []
    brokers.on_send = lambda: commits.append(shared.accounting.total("received"))
    feed(ingest_app(shared, inputs_of(names, shared.context)[0]), night["alerts"][:100])
    # in another order, since partitions take turns
    portions = [(one.key, one.value) for one in brokers.sent if one.partition is None]
    assert Counter(portions) == Counter(whole)
    assert commits == list(range(100, 200))


def kill(shared: Shared, step: str, where: Coordinates) -> None:
    """Three times in hand at a death."""
    for _ in range(DEATHS):
        journal = shared.journals.open(step)
        journal.begin(where)
        journal._page = bytearray()


def test_a_record_that_killed_is_set_aside_and_what_lies_behind_it_is_handled(
    shared: Shared, names: TopicNames, brokers: Brokers, night: Night
) -> None:
    alerts = inputs_of(names, shared.context)[0]
    bad = night["alerts"][50]
    kill(shared, alerts.name, Coordinates(bad.topic, bad.partition, bad.offset))
    feed(ingest_app(shared, alerts), night["alerts"][:100])
    [letter] = [one for one in brokers.sent if one.topic == names.dead_letters]
    assert letter.value is not None
    said = decode_dead_letter(letter.value)
    assert (said.step, said.error, said.value) == ("ingest", "WorkerDied", bad.value)
    assert shared.accounting.total("received") == 100
    assert shared.accounting.total("failed") == 1
    assert not shared.journals._open[alerts.name]._deaths  # it is durable, and so forgotten


def test_a_database_that_was_removed_is_no_error_at_the_stop(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    backend = _open_database(tmp_path / "partition-0000")
    backend.write({b"a": b"1"})
    shutil.rmtree(tmp_path / "partition-0000")
    backend.close()
    [said] = caplog.records
    assert said.levelname == "WARNING"
    assert "was removed while it was in use" in said.getMessage()
    assert "nothing is lost" in said.getMessage()

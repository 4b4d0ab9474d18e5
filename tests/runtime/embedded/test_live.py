"""Following goes on while brokers are away, and says so once."""

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ampelstream.errors import UnreachableError
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.record import SourceRecord, Stream
from ampelstream.runtime.embedded import live
from ampelstream.runtime.embedded.engine import Engine
from ampelstream.runtime.embedded.live import follow
from ampelstream.sources import Waiting
from ampelstream.sources.merge import After, Removed
from ampelstream.sources.schemaregistry import SchemaRegistry
from ampelstream.sources.writerschemas import RegistrySchemas
from ampelstream.state.memory import MemoryBackend
from tests.kafka.rubin import SCHEMA, packet, registry

TOPOLOGY = "{name: simple, version: 1, channels: {all: {window: [0, 10]}}}"


class Topic:
    """A source on brokers that a test takes away."""

    skipped = ()

    def __init__(self, name: str, values: list[Any], cluster: str = "ours") -> None:
        self.name, self.values, self.cluster = name, values, cluster
        self.away = False
        self.tried = 0

    def read(self, after: After) -> Iterator[SourceRecord]:
        self.tried += 1
        if self.away:
            raise UnreachableError(f"no broker answers at {self.cluster}", self.cluster)
        for offset in range(after.get((self.name, 0), -1) + 1, len(self.values)):
            yield SourceRecord(Coordinates(self.name, 0, offset), "alerts", self.values[offset])

    def estimate(self) -> None:
        return None

    def following(self) -> "Topic":
        return self

    def waiting(self, _after: After) -> Waiting:
        return Waiting("records", None if self.away else 0)

    def holds(self, source: str) -> Stream | None:
        return "alerts" if source == self.name else None

    def removed(self, _handled: After, _reached: After) -> Removed:
        return Removed()


def events(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.incident.event for one in caplog.records if hasattr(one, "incident")]


@pytest.fixture
def rows(make_row: Callable[..., Any]) -> list[Any]:
    return [make_row("ZTF18aaaaaaa", 1, 2460001.0, 150.0, 20.0)]


def test_it_waits_for_a_cluster_while_the_others_go_on(
    make_topology: Callable[[str], Any],
    make_driver: Callable[..., Any],
    rows: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(live, "_RETRY_SECONDS", 0.0)
    caplog.set_level(logging.INFO)
    engine = make_driver(make_topology(TOPOLOGY)).engine
    topics = [Topic("alerts", []), Topic("notices", []), Topic("theirs", rows, "theirs")]
    stop, unknown = threading.Event(), []
    for one in topics[:2]:
        one.away = True

    def beat(left: live.Left, *, pass_done: bool = False) -> None:
        if not pass_done:
            return
        unknown.append(left()["records"])
        if topics[0].tried == 3:
            assert engine.accounting.total("received", "alerts") == 1
            assert events(caplog).count("broker_away") == 1  # of two inputs on one cluster
            topics[0].away = topics[1].away = False
        if topics[0].tried == 5:
            stop.set()

    assert follow(engine, topics, stop, poll_seconds=0.01, beat=beat) == 0
    assert unknown[:2] == [None, None]
    assert unknown[-1] == 0
    assert [one for one in events(caplog) if one.startswith("broker")] == [
        "broker_away",
        "broker_back",
    ]


@pytest.mark.usefixtures("retries", "direct")
def test_alerts_wait_for_a_registry_while_other_inputs_go_on(
    make_topology: Callable[[str], Any],
    rows: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(live, "_RETRY_SECONDS", 0.0)
    caplog.set_level(logging.INFO)
    stop, seen = threading.Event(), []
    with registry() as server:
        answer = server.get
        monkeypatch.setattr(server, "get", lambda _path: (503, {}))
        client = SchemaRegistry(server.url, tmp_path, retry_seconds=0.0, attempts=1)
        schemas = RegistrySchemas(client)
        engine = Engine(make_topology(TOPOLOGY), MemoryBackend(), schemas=schemas)
        wire = schemas.around(Topic("rubin", [packet(1, 7), packet(2, 7)]))

        def beat(left: live.Left, *, pass_done: bool = False) -> None:
            if not pass_done:
                return
            assert left()
            seen.append(engine.accounting.total("received", "alerts"))
            if len(seen) == 3:
                server.schemas[7] = SCHEMA
                monkeypatch.setattr(server, "get", answer)
            if seen[-1] == 3 or len(seen) > 50:
                stop.set()

        follow(engine, [wire, Topic("ztf", rows)], stop, poll_seconds=0.01, beat=beat)
    assert seen[:3] == [1, 1, 1]
    assert seen[-1] == 3
    assert engine.accounting.total("dead_letters") == 0
    assert events(caplog).count("broker_away") == events(caplog).count("broker_back") == 1
    assert f"waiting: the schema registry {server.url} does not give schema 7" in caplog.text


def test_it_is_not_tried_again_at_once(
    make_topology: Callable[[str], Any], make_driver: Callable[..., Any]
) -> None:
    engine = make_driver(make_topology(TOPOLOGY)).engine
    topic, stop, passes = Topic("alerts", []), threading.Event(), []
    topic.away = True

    def beat(left: live.Left, *, pass_done: bool = False) -> None:
        passes.append((left, pass_done))
        if len(passes) > 10:
            stop.set()

    follow(engine, [topic], stop, poll_seconds=0.01, beat=beat)
    assert topic.tried == 1


def test_one_pass_does_not_wait(
    make_topology: Callable[[str], Any], make_driver: Callable[..., Any]
) -> None:
    engine = make_driver(make_topology(TOPOLOGY)).engine
    topic = Topic("alerts", [])
    topic.away = True
    with pytest.raises(UnreachableError):
        follow(engine, [topic], threading.Event(), once=True)

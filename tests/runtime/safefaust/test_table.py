"""What a table knows of the topics that it belongs to, and of those whose offsets it holds."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from faust.types import TP

from ampelstream.runtime.safefaust import table as module
from ampelstream.runtime.safefaust.failures import ForeignState, RecoveryError
from ampelstream.runtime.safefaust.outbox import Outgoing
from ampelstream.runtime.safefaust.table import StateTable
from ampelstream.runtime.safefaust.topicids import Topics
from ampelstream.state.memory import MemoryBackend

CHANGELOG = "app-state-changelog"
TOPICS = {CHANGELOG: "id1", "source": "id2", "other": "id3"}


class Cluster:
    """Answers what its topics are, and takes records."""

    def __init__(self) -> None:
        self.id = "cluster"
        self.topics = dict(TOPICS)
        self.sent: list[Outgoing] = []
        self.asked: list[list[str]] = []

    async def ids(self, _options: Any, topics: Collection[str]) -> Any:
        self.asked.append(list(topics))
        known = {name: self.topics[name] for name in topics if name in self.topics}
        return Topics(self.id, known)

    async def send(self, records: Sequence[Outgoing]) -> list[Any]:
        self.sent += records
        first = len(self.sent) - len(records)
        return [SimpleNamespace(offset=first + n) for n in range(len(records))]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    made = Cluster()
    monkeypatch.setattr(module, "topic_ids", made.ids)
    return made


@pytest.fixture
def make_table(cluster: Cluster, tmp_path: Path) -> Callable[[], StateTable]:
    """Make the table as a new process does; the databases stay."""
    databases: dict[Path, MemoryBackend] = {}

    def make() -> StateTable:
        app: Any = faust.App(
            "app", broker="kafka://nowhere", datadir=str(tmp_path), web_enabled=False
        )
        table = StateTable(app, name="state", key_type=bytes, value_type=bytes)
        table.state_directory = tmp_path
        table.open_database = lambda path: databases.setdefault(path, MemoryBackend())
        table.client_options = dict
        table.sources = ("source", "other")
        assert table.persisted_offset(TP(CHANGELOG, 0)) is None  # Faust asks this early
        assert len(databases) == min(len(cluster.asked), 1)
        asyncio.run(table.identify())
        return table

    return make


def write(table: StateTable, cluster: Any, changes: Mapping[bytes, bytes | None]) -> list[bytes]:
    """Write to partition 0; gives the keys that went to the changelog."""
    before = len(cluster.sent)
    asyncio.run(table.write(0, changes, cluster))
    return [one.key or b"" for one in cluster.sent[before:]]


def test_it_belongs_to_what_the_brokers_say(
    cluster: Cluster, make_table: Callable[[], StateTable]
) -> None:
    table = make_table()
    assert str(table.partitions_store.owner) == (
        f"application app, changelog {CHANGELOG} with topic id id1, cluster cluster"
    )
    write(table, cluster, {b"a": b"1"})
    cluster.topics[CHANGELOG] = "id9"
    with pytest.raises(ForeignState, match="id9"):
        make_table().partitions_store.persisted_offset(TP(CHANGELOG, 0))


def test_a_changelog_that_is_not_there(
    cluster: Cluster, make_table: Callable[[], StateTable]
) -> None:
    del cluster.topics[CHANGELOG]
    with pytest.raises(RecoveryError, match="does not exist"):
        make_table()


def test_its_sources_are_noted_behind_the_changes_and_once(
    cluster: Cluster, make_table: Callable[[], StateTable]
) -> None:
    table = make_table()
    assert write(table, cluster, {}) == []  # nothing is remembered yet
    assert write(table, cluster, {b"b": b"1", b"a": None}) == [b"a", b"b", b"\x00sources"]
    assert write(table, cluster, {b"b": b"2"}) == [b"b"]
    assert write(make_table(), cluster, {b"b": b"3"}) == [b"b"]


def test_a_source_that_was_made_anew_is_known_until_its_offsets_are_gone(
    cluster: Cluster, make_table: Callable[[], StateTable]
) -> None:
    table = make_table()
    assert table.remade(0) == []
    write(table, cluster, {b"a": b"1"})
    assert make_table().remade(0) == []
    cluster.topics["source"] = "id9"
    table = make_table()
    assert table.remade(0) == ["source"]
    assert make_table().remade(0) == ["source"]  # whoever was told it has written nothing
    assert write(table, cluster, {b"a": b"2"}) == [b"a", b"\x00sources"]
    assert table.remade(0) == []


@pytest.mark.parametrize("now", ["", None])
def test_a_source_of_which_nothing_is_told_is_as_it_was(
    cluster: Cluster, make_table: Callable[[], StateTable], now: str | None
) -> None:
    write(make_table(), cluster, {b"a": b"1"})
    if now is None:
        del cluster.topics["source"]
    else:
        cluster.topics["source"] = now
    table = make_table()
    assert table.remade(0) == []
    assert write(table, cluster, {b"a": b"2"}) == [b"a"]
    cluster.topics["source"] = "id9"
    assert make_table().remade(0) == ["source"]

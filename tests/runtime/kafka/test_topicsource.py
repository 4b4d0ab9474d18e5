"""Topics as a source: up to their ends, and what may happen to a topic meanwhile."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import NodeNotReadyError
from aiokafka.structs import ConsumerRecord

from ampelstream.errors import InputError, SourceError, UnreachableError
from ampelstream.runtime.kafka import topicsource
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.sources import InputSpec
from ampelstream.runtime.kafka.topicsource import TopicSource
from ampelstream.runtime.safefaust.topicids import Topics
from ampelstream.runtime.safefaust.unreadable import unreadable
from ampelstream.sources.merge import Removed


class Cluster:
    """Topics in memory: (first offset, values, end) of each partition."""

    def __init__(self, logs: dict[tuple[str, int], tuple[int, Sequence[bytes], int]]) -> None:
        self.logs = logs
        self.positions: dict[TopicPartition, int] = {}
        self.deleted = False
        self.connected = 0
        self.unreadable: dict[TopicPartition, list[Any]] = {}
        self.ids: dict[str, str] = {}
        self._client = self

    async def describe_topics(self) -> list[dict[str, Any]]:
        names = {topic for topic, _ in self.logs}
        return [
            {"topic": one, "partitions": [{"partition": n} for t, n in self.logs if t == one]}
            for one in names
        ]

    def assign(self, places: list[TopicPartition]) -> None:
        self.positions = dict.fromkeys(places, 0)

    async def beginning_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {place: self.logs[(place.topic, place.partition)][0] for place in places}

    async def end_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {place: self.logs[(place.topic, place.partition)][2] for place in places}

    def assignment(self) -> set[TopicPartition]:
        return {TopicPartition(*place) for place in self.logs} if self.positions else set()

    def seek(self, place: TopicPartition, offset: int) -> None:
        self.positions[place] = offset

    def pause(self, place: TopicPartition) -> None:
        del self.positions[place]

    async def position(self, place: TopicPartition) -> int:
        return self.positions[place]

    async def getmany(self, *places: TopicPartition, **_more: Any) -> dict[TopicPartition, Any]:
        found: dict[TopicPartition, Any] = {}
        for place in () if self.deleted else places:
            first, values, end = self.logs[(place.topic, place.partition)]
            at = self.positions[place]
            found[place] = [
                ConsumerRecord(
                    *(place.topic, place.partition, first + n, 0, 0, None, value),
                    *(None, 0, len(value), ()),
                )
                for n, value in enumerate(values)
                if first + n >= at
            ]
            found[place] += self.unreadable.get(place, [])
            self.positions[place] = end  # also behind the mark of a transaction
        return found


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    cluster = Cluster({("a", 0): (3, [b"x", b"y"], 6), ("a", 1): (0, [], 0), ("b", 0): (0, [], 2)})

    @asynccontextmanager
    async def opened(*_args: Any, **_more: Any) -> AsyncIterator[Cluster]:
        cluster.connected += 1
        yield cluster
        if cluster.deleted:
            raise asyncio.CancelledError  # as aiokafka does where the broker has gone

    async def ask(client: Cluster, topics: Collection[str]) -> Topics:
        return Topics("", {topic: client.ids.get(topic, "") for topic in topics})

    monkeypatch.setattr(topicsource, "ask", ask)
    monkeypatch.setattr(topicsource, "open_admin", opened)
    monkeypatch.setattr(topicsource, "open_consumer", opened)
    return cluster


@pytest.fixture
def source(cluster: Cluster) -> Iterator[TopicSource]:
    assert not cluster.deleted
    source = TopicSource(Connection(bootstrap="k:9092"), InputSpec(pattern="a|b"), "alerts")
    yield source
    source.close()
    source.close()


def test_each_pass_reads_up_to_the_ends(cluster: Cluster, source: TopicSource) -> None:
    records = list(source.read({}))
    assert [(str(one.where), one.position, one.value) for one in records] == [
        ("a[0]@3", records[0].where, b"x"),
        ("a[0]@4", records[1].where, b"y"),
    ]
    assert [one.value for one in source.read({("a", 0): 3})] == [b"y"]
    cluster.logs = {}
    assert list(source.read({})) == []
    assert cluster.connected == 2  # the clients stay


def test_what_waits_is_asked_of_the_cluster(
    cluster: Cluster, source: TopicSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert source.waiting({}) == ("records", None)  # before the first pass
    list(source.read({}))
    assert source.waiting({}) == ("records", 3 + 0 + 2)
    assert source.waiting({("a", 0): 1}) == ("records", 5)  # older than the topic is
    assert source.waiting({("a", 0): 5, ("b", 0): 0}) == ("records", 1)
    cluster.logs[("a", 1)] = (0, [], 7)
    assert source.waiting({("a", 0): 5, ("b", 0): 1}) == ("records", 7)

    async def silent(_places: Any) -> Any:
        await asyncio.sleep(60)

    monkeypatch.setattr(topicsource, "_ANSWER_SECONDS", 0.05)
    monkeypatch.setattr(cluster, "end_offsets", silent)
    assert source.waiting({}) == ("records", None)


def test_reading_goes_on_behind_all_records_that_one_stands_for(
    cluster: Cluster, source: TopicSource
) -> None:
    place = TopicPartition("b", 0)
    cluster.logs[("b", 0)] = (0, [], 9)
    cluster.unreadable[place] = [unreadable("b", 0, 2, 8, "offsets 2 to 8 are too much")]
    [*_, record] = source.read({})
    assert (str(record.where), str(record.read_at)) == ("b[0]@2", "b[0]@8")
    assert (record.value, record.fault) == (b"", "offsets 2 to 8 are too much")
    assert [one for one in source.read({("a", 0): 5, ("b", 0): 8}) if one.fault] == []


def test_topics_of_one_name_on_two_clusters_are_not_mixed_up(cluster: Cluster) -> None:
    inputs = InputSpec(cluster="ztf", topics=("a",))
    source = TopicSource(Connection(bootstrap="z:9092"), inputs, "alerts")
    positions = [one.position for one in source.read({("a", 0): 4})]
    assert [str(one) for one in positions] == ["ztf/a[0]@3", "ztf/a[0]@4"]
    assert list(source.read({("ztf/a", 0): 5})) == []
    source.close()
    assert cluster.connected == 2


def test_a_topic_that_is_deleted_while_it_is_read_ends_the_pass(
    cluster: Cluster, source: TopicSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topicsource, "_PATIENCE_SECONDS", 0.02)
    cluster.deleted = True
    assert list(source.read({})) == []


def test_a_named_topic_that_is_not_there_is_an_error(cluster: Cluster) -> None:
    assert not cluster.deleted
    source = TopicSource(Connection(bootstrap="k:9092"), InputSpec(topics=("c",)), "alerts")
    with pytest.raises(SourceError, match="there is no topic c to read alerts from"):
        list(source.read({}))
    source.close()


def test_records_that_were_removed_unread_are_said(
    source: TopicSource, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert len(list(source.read({("a", 0): 2}))) == 2
        assert caplog.text == ""
        assert len(list(source.read({("a", 0): 0}))) == 2
    assert "offsets 1 to 2 of partition 0 were removed before they were read" in caplog.text


def test_one_that_was_made_anew_is_known_by_its_id(
    cluster: Cluster, source: TopicSource, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where it is longer by now than what was read of the old one."""
    cluster.ids = {"a": "id1", "b": "id1"}
    (first, last) = source.read({("a", 0): 2})  # as earlier versions noted it
    assert [str(one.read_at) for one in (first, last)] == ["a#id1[0]@3", "a#id1[0]@4"]
    assert str(last.where) == "a[0]@4"
    known = {("a", 0): 2, ("a#id1", 0): 3}
    assert [one.value for one in source.read(known)] == [b"y"]
    assert caplog.text == ""
    cluster.ids["a"] = "id2"
    assert [one.value for one in source.read(known)] == [b"x", b"y"]
    assert "topic a of" in caplog.text
    assert "was made anew" in caplog.text
    known["a#id2", 0] = 4
    assert list(source.read(known)) == []


def test_a_topic_that_has_lost_records_is_an_error(source: TopicSource) -> None:
    with pytest.raises(SourceError, match="ends at offset 2 in partition 0, and 2 has been read"):
        list(source.read({("b", 0): 2}))


def test_it_follows_by_its_offsets(source: TopicSource) -> None:
    assert source.following() is source


def test_after_brokers_were_away_it_connects_anew_and_lets_them_settle(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = TopicSource(Connection(bootstrap="k:9092"), InputSpec(topics=("a",)), "alerts")
    everything, known = cluster.describe_topics, cluster.logs
    assert len(list(source.read({}))) == 2
    assert cluster.connected == 2
    assert source.waiting({}).number is not None

    async def away() -> list[dict[str, Any]]:
        raise NodeNotReadyError("Attempt to send a request to node which is not ready")

    cluster.describe_topics = away  # type: ignore[method-assign]  # (brokers go away)
    with pytest.raises(UnreachableError):
        list(source.read({}))
    assert source.waiting({}).number is None
    cluster.describe_topics, cluster.logs = everything, {}  # type: ignore[method-assign]  # (and come back)
    with pytest.raises(UnreachableError, match="there is no topic a"):
        list(source.read({}))  # a broker that has just started knows nothing yet
    monkeypatch.setattr(source, "_settled_at", 0.0)
    with pytest.raises(InputError, match="there is no topic a"):
        list(source.read({}))
    cluster.logs = known
    assert len(list(source.read({}))) == 2
    assert cluster.connected == 4
    source.close()


def test_it_knows_what_it_holds(source: TopicSource) -> None:
    assert source.holds("a") == source.holds("a#id7") == "alerts"
    assert source.holds("c") is source.holds("ztf/a") is None
    other = TopicSource(
        Connection(bootstrap="z:9092"), InputSpec(cluster="ztf", topics=("a",)), "notices"
    )
    assert other.holds("ztf/a#id1") == "notices"
    assert other.holds("a") is None
    other.close()


@pytest.fixture
def arrivals(monkeypatch: pytest.MonkeyPatch) -> list[TopicPartition]:
    asked: list[TopicPartition] = []

    async def arrival(_client: Any, place: TopicPartition) -> float:
        asked.append(place)
        return 2460000.5

    monkeypatch.setattr(topicsource, "first_arrival", arrival)
    return asked


def test_what_was_removed_before_it_was_read_again(
    cluster: Cluster,
    source: TopicSource,
    arrivals: list[TopicPartition],
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert source.removed({("a", 0): 4}, {}) == Removed()  # before the first pass
    list(source.read({}))
    assert source.removed({("a", 0): 4, ("b", 0): 1}, {("a", 0): 4, ("b", 0): 1}) == Removed()
    # the oldest is 3; what is left of it can be read, and b has only marks of transactions
    removed = source.removed({("a", 0): 4, ("b", 0): 1}, {("a", 0): 1})
    assert removed == Removed((("a", 0), ("b", 0)), 2460000.5)
    assert "accepted alerts from before 2023-02-25" in caplog.text
    assert source.removed({("a", 0): 4}, {("a", 0): 2}).since_jd is None
    source.removed({("a", 0): 4}, {("a", 0): 1})
    assert arrivals == [TopicPartition("a", 0)]  # asked once
    cluster.logs["a", 0] = (9, [], 9)
    assert source.removed({("a", 0): 4}, {("a", 0): 3}) == Removed((("a", 0),), 2460000.5)


def test_what_brokers_did_not_give_is_not_gone(
    cluster: Cluster, source: TopicSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pass ends where they are silent for long, which is not the end of the topic."""
    monkeypatch.setattr(topicsource, "_PATIENCE_SECONDS", 0.02)
    cluster.deleted = True
    assert list(source.read({})) == []
    assert source.removed({("a", 0): 4}, {("a", 0): 2}) == Removed()
    cluster.deleted = False


def test_a_topic_that_was_made_anew_or_is_away_is_gone(
    cluster: Cluster, source: TopicSource, arrivals: list[TopicPartition]
) -> None:
    cluster.ids = {"a": "id2", "b": "id1"}
    list(source.read({}))
    assert source.removed({("a#id1", 0): 7}, {}) == Removed((("a#id1", 0),), 2460000.5)
    assert arrivals == [TopicPartition("a", 0)]
    fewer = source.removed({("a", 5): 7}, {})
    assert fewer.places == (("a", 5),)
    assert fewer.since_jd is not None
    assert fewer.since_jd > 2460000.5 + 1000
    # noted by an earlier version, without ids: not gone, unless its records are known by both
    assert source.removed({("a", 0): 4}, {}) == Removed()
    both = {("a", 0): 3, ("a#id2", 0): 4}
    assert source.removed(both, {("a#id2", 0): 4}) == Removed((("a", 0),))


def test_of_a_topic_that_was_deleted_it_says_which_are_there(
    cluster: Cluster, arrivals: list[TopicPartition]
) -> None:
    """So that its alerts stay, and no others."""
    inputs = InputSpec(cluster="ztf", pattern="ztf_[0-9]+")
    source = TopicSource(Connection(bootstrap="k:9092"), inputs, "alerts")
    cluster.logs = {("ztf_2", 0): cluster.logs["a", 0], ("ztf_3", 0): cluster.logs["a", 0]}
    list(source.read({}))
    places = {("ztf/ztf_1", 0): 9, ("ztf/ztf_1", 1): 9}
    removed = source.removed(places, {})
    assert set(removed.places) == set(places)
    assert removed.since_jd is None
    assert removed.held == {"ztf_[0-9]+": ("ztf_2", "ztf_3")}
    assert arrivals == []
    source.close()

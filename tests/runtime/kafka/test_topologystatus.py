"""What is said of a topology on Kafka, from what a cluster in memory says."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord

from ampelstream.codecs.own import encode_detection, encode_tick
from ampelstream.errors import ConfigError
from ampelstream.model.announcement import Tick
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.detection import Detection
from ampelstream.model.times import jd_from_iso, unix_from_jd
from ampelstream.runtime.kafka import clients, groups, topologystatus
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.names import PARKED_STEP, TopicNames
from ampelstream.runtime.kafka.plan import all_names
from ampelstream.runtime.kafka.sources import SourcesSpec
from ampelstream.runtime.kafka.topologystatus import (
    TopologyStatus,
    broker_faults,
    found_topologies,
    look_at,
    topology_line,
    topology_row,
)
from ampelstream.runtime.safefaust.commitnotes import note

NAMES = TopicNames("mine")
JD = jd_from_iso("2026-03-01T11:00:00")
NOW = unix_from_jd(jd_from_iso("2026-03-01T12:00:00"))


def detection(jd: float) -> bytes:
    where = Coordinates("a", 0, 1)
    return encode_detection(Detection("ZTF1", "ztf", 1, jd, 1.0, 2.0, ("all",), where, ()))


@dataclass
class Cluster:
    """Admin and consumer in one: topics with (first offset, values), groups with offsets."""

    topics: dict[str, dict[int, tuple[int, list[bytes]]]]
    committed: dict[str, dict[tuple[str, int], int]] = field(default_factory=dict)
    members: dict[str, int] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    young: dict[str, int] = field(default_factory=dict)
    backfill: str = ""
    runs: bool = True
    asked: list[str] = field(default_factory=list)
    at: dict[TopicPartition, int] = field(default_factory=dict)

    async def describe_topics(self) -> list[dict[str, Any]]:
        return [{"topic": one, "partitions": list(parts)} for one, parts in self.topics.items()]

    async def list_consumer_groups(self) -> list[tuple[str, str]]:
        return [(one, "consumer") for one in self.committed]

    async def describe_consumer_groups(self, names: list[str]) -> list[Any]:
        assert len(names) == 1
        self.asked += names
        states = {one: "Stable" if self.members.get(one) else "Empty" for one in names}
        return [
            SimpleNamespace(
                groups=[(0, one, states[one], "consumer", "p", [()] * self.members.get(one, 0), -1)]
            )
            for one in names
        ]

    async def list_consumer_group_offsets(self, name: str) -> Mapping[TopicPartition, Any]:
        return {
            TopicPartition(*tp): SimpleNamespace(offset=offset, metadata=self.notes.get(name, ""))
            for tp, offset in self.committed[name].items()
        }

    async def offsets_for_times(self, times: dict[TopicPartition, int]) -> dict[Any, Any]:
        """Of each topic all records but so many of the last are old."""
        found = {}
        for tp, milliseconds in times.items():
            assert milliseconds == (NOW - 120) * 1000
            first, values = self.log(tp)
            young = self.young.get(tp.topic, 0)
            offset = first + max(0, len(values) - young)
            found[tp] = SimpleNamespace(offset=offset) if young else None
        return found

    def log(self, tp: TopicPartition) -> tuple[int, list[bytes]]:
        return self.topics[tp.topic][tp.partition]

    async def beginning_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {tp: self.log(tp)[0] for tp in places}

    async def end_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {tp: sum((first, len(values))) for tp in places for first, values in [self.log(tp)]}

    def assign(self, places: list[TopicPartition]) -> None:
        self.at = dict.fromkeys(places, 0)

    def seek(self, place: TopicPartition, offset: int) -> None:
        self.at[place] = offset

    def pause(self, place: TopicPartition) -> None:
        del self.at[place]

    async def getmany(self, *places: TopicPartition, **_more: Any) -> dict[TopicPartition, Any]:
        found = {}
        for place in places:
            first, values = self.log(place)
            offset = self.at[place]
            value = values[offset - first]
            found[place] = [
                ConsumerRecord(
                    *(place.topic, place.partition, offset, 1_000_000_000_000 + offset, 0, None),
                    *(value, None, 0, len(value), ()),
                )
            ]
        return found


@pytest.fixture
def cluster() -> Cluster:
    """A topology with two partitions that has done its work."""
    topics: dict[str, dict[int, tuple[int, list[bytes]]]] = {
        name: {0: (0, []), 1: (0, [])} for name in all_names(NAMES)
    }
    topics[NAMES.alerts] = {0: (100, [b"x"] * 5), 1: (0, [b"y"])}
    topics[NAMES.detections] = {
        0: (0, [detection(JD + 9), detection(JD)]),
        1: (0, [encode_tick(Tick(JD - 1))]),
    }
    topics[NAMES.candidates][1] = (7, [b"c"] * 3)
    topics[NAMES.dead_letters] = {0: (0, [b"d"] * 4)}
    committed = {
        NAMES.ingest_group_of("alerts"): {(NAMES.alerts, 0): 105, (NAMES.alerts, 1): 1},
        NAMES.app("objects"): {(NAMES.detections, 0): 2, (NAMES.detections, 1): 1},
        NAMES.app("react"): {(NAMES.candidates, 1): 10},
        "somebody-else": {},
    }
    members = {NAMES.ingest_group_of("alerts"): 2, NAMES.app("objects"): 1, NAMES.app("react"): 1}
    return Cluster(topics, committed, members)


@pytest.fixture(autouse=True)
def clusters(monkeypatch: pytest.MonkeyPatch, cluster: Cluster) -> dict[str, Cluster]:
    """Clusters by the address of their first broker."""
    known = {"ours:9092": cluster}

    @asynccontextmanager
    async def opened(connection: Connection, **_options: Any) -> AsyncIterator[Cluster]:
        yield known[connection.address]

    for module, name in ((groups, "consumer"), (groups, "admin"), (clients, "admin")):
        monkeypatch.setattr(module, f"open_{name}", opened)

    async def waiting(*_args: Any, **_options: Any) -> int:
        return 3

    async def in_force(*_args: Any) -> tuple[tuple[str, str, float] | None, str]:
        return ("7", "0123", 1000.0) if cluster.runs else None, cluster.backfill

    monkeypatch.setattr(topologystatus, "count_waiting", waiting)
    monkeypatch.setattr(topologystatus, "_in_force", in_force)
    return known


OURS = Connection(bootstrap=("ours:9092",))


def look(names: TopicNames = NAMES, sources: SourcesSpec | None = None) -> TopologyStatus:
    return asyncio.run(look_at(OURS, names, sources, now=lambda: NOW))


def wrong(status: TopologyStatus) -> list[str]:
    return list(broker_faults(status, 120.0))


def lags(status: TopologyStatus) -> dict[str, tuple[int, int]]:
    return {one.step: (one.members, one.lag) for one in status.steps}


def test_all_is_well(cluster: Cluster) -> None:
    status = look()
    assert lags(status) == {
        "ingest alerts": (2, 0),
        "ingest notices": (0, 0),
        "ingest parked": (0, 0),
        "objects": (1, 0),
        "react": (1, 0),
    }
    assert wrong(status) == []
    assert sorted(cluster.asked) == sorted(set(cluster.committed) - {"somebody-else"})
    assert topology_line(status) == (
        "2026-03-01T12:00:00Z mine: version 7 in force; 6 alerts and 0 notices on their topics; 3 "
        "detections (alerts that passed); 3 candidates (revisions); 0 reactions; 4 dead letters; "
        "event time 2026-03-01T11:00:00.000Z, 60.0 min behind the clock; waiting: nothing; 3 "
        "parked; workers: ingest alerts 2, objects 1, react 1"
    )


def test_the_row() -> None:
    row = topology_row(look())
    assert msgspec.json.decode(msgspec.json.encode(row)) == row
    assert row["event_time"] == "2026-03-01T11:00:00.000Z"
    assert row["event_time_behind_seconds"] == 3600.0
    assert row["topics"]["dead_letters"]["records"] == 4
    assert row["topics"]["alerts"]["last"] == "2001-09-09T01:46:40Z"
    assert row["topics"]["notices"]["last"] is None
    assert (row["topology"], row["parked"], row["missing"]) == ("mine", 3, [])
    assert (row["version"], row["content"]) == ("7", "0123")
    assert row["in_force_since"] == "1970-01-01T00:16:40Z"
    assert row["steps"][-1] == {
        "step": "react",
        "group": "ampel.mine.react",
        "cluster": None,
        "state": "Stable",
        "members": 1,
        "partitions": 2,
        "lag": 0,
        "overdue": 0,
        "last_commit": None,
        "needed": True,
    }


def test_records_that_wait_for_nobody_are_wrong(cluster: Cluster) -> None:
    cluster.committed[NAMES.app("objects")] = {(NAMES.detections, 0): 1}
    assert lags(look())["objects"] == (1, 2)
    assert wrong(look()) == []  # a worker is at it
    cluster.members.clear()
    assert wrong(look()) == [
        "no worker runs ingest alerts, react",
        "objects: 2 records wait, and no worker reads them",
    ]
    # a group that never was has everything to read, of what is still there
    del cluster.committed[NAMES.ingest_group_of("alerts")]
    assert "ingest alerts: 6 records wait" in wrong(look())[1]
    assert next(one.state for one in look().steps if one.step == "ingest alerts") == "absent"


def test_parked_records(cluster: Cluster) -> None:
    cluster.topics[NAMES.parked][0] = (10, [b"p"] * 5)
    cluster.committed[NAMES.app(PARKED_STEP)] = {(NAMES.parked, 0): 12}
    assert topology_row(look())["parked"] == 3 + 3  # that were noted, and that wait to be


def test_topics_that_a_group_has_committed_are_its_inputs_where_nobody_says(
    cluster: Cluster,
) -> None:
    cluster.topics["survey"] = {0: (0, [b"x"] * 9)}
    cluster.committed[NAMES.ingest_group_of("alerts")][("survey", 0)] = 4
    cluster.committed[NAMES.ingest_group_of("alerts")][("gone", 0)] = 4
    assert lags(look())["ingest alerts"] == (2, 5)
    spec = SourcesSpec.model_validate({"alerts": [{"topics": [NAMES.alerts]}]})
    found = look(sources=spec)
    assert lags(found)["ingest alerts"] == (2, 0)
    assert "ingest notices" not in lags(found)


def test_groups_on_other_clusters(clusters: dict[str, Cluster]) -> None:
    far = Cluster(
        {"ztf_1": {0: (0, [b"x"] * 3)}, "ztf_2": {0: (0, [b"x"] * 4)}, "else": {0: (0, [b"x"])}},
        {f"us.{NAMES.ingest_group_of('alerts', 'ztf')}": {("ztf_1", 0): 2}},
    )
    spec = SourcesSpec.model_validate(
        {
            "clusters": {"ztf": {"bootstrap": "far:9092", "group_prefix": "us."}},
            "alerts": [{"cluster": "ztf", "pattern": "ztf_\\d"}],
        }
    )
    clusters["far:9092"] = far
    status = look(sources=spec)
    first = status.steps[0]
    assert (first.step, first.cluster, first.lag) == ("ingest alerts of ztf", "ztf", 1 + 4)
    assert len(wrong(status)) == 1


def test_event_times_that_cannot_be_are_passed_over(cluster: Cluster) -> None:
    cluster.topics[NAMES.detections][0] = (0, [detection(JD + 9000)])
    assert look().event_time_jd == JD - 1
    cluster.topics[NAMES.detections][1] = (0, [b"junk"])
    status = look()
    assert status.event_time_jd is None
    assert "event time not known: no detection yet" in topology_line(status)


def test_topics_that_are_missing(cluster: Cluster) -> None:
    del cluster.topics[NAMES.alerts]  # its workers may read others
    assert wrong(look()) == []
    del cluster.topics[NAMES.dead_letters]
    assert wrong(look()) == ["topics do not exist: ampel.mine.dead-letters"]
    assert "; no topic of dead letters; " in topology_line(look())
    with pytest.raises(ConfigError, match="has no topics of topology other; look at the name"):
        look(names=TopicNames("other"))


def test_topologies_of_a_cluster_are_found_by_their_topics(cluster: Cluster) -> None:
    for name in all_names(TopicNames("a.b")):
        cluster.topics[name] = {0: (0, [])}
    cluster.topics["ampel.half.candidates"] = {0: (0, [])}
    assert asyncio.run(found_topologies(OURS)) == ["a.b", "mine"]


def test_a_step_without_a_worker_is_wrong_while_nothing_waits_too(cluster: Cluster) -> None:
    del cluster.members[NAMES.app("react")]
    assert wrong(look()) == ["no worker runs react"]
    del cluster.committed[NAMES.app("react")]  # Kafka forgets a group that is away for long
    cluster.topics[NAMES.candidates][1] = (10, [])
    assert wrong(look()) == ["no worker runs react"]
    cluster.members.clear()
    assert wrong(look()) == ["no worker runs ingest alerts, objects, react"]
    cluster.runs = False  # nobody ever began
    assert wrong(look()) == []


def test_a_step_that_is_not_meant_to_run_is_not_missed(cluster: Cluster) -> None:
    """Without the file of sources, only a group that was once there is known to be meant."""
    cluster.committed[NAMES.app(PARKED_STEP)] = {}
    assert wrong(look()) == []
    reads: dict[str, Any] = {
        "alerts": [{"topics": [NAMES.alerts]}],
        "notices": [{"topics": [NAMES.notices]}],
    }
    assert wrong(look(sources=SourcesSpec.model_validate(reads))) == [
        "no worker runs ingest notices"
    ]
    reads["registry"] = {"url": "http://localhost"}
    assert wrong(look(sources=SourcesSpec.model_validate(reads))) == [
        "no worker runs ingest notices, ingest parked"
    ]


def test_a_worker_that_is_there_and_commits_nothing_is_wrong(cluster: Cluster) -> None:
    group = NAMES.ingest_group_of("alerts")
    cluster.committed[group] = {(NAMES.alerts, 0): 102}
    assert wrong(look()) == []  # of an earlier version: it does not say when
    cluster.notes[group] = note("id", NOW - 119)
    assert wrong(look()) == []
    cluster.notes[group] = note("id", NOW - 600)
    [said] = wrong(look())
    assert said == (
        "ingest alerts: 4 records wait for longer than 2.0 min, and its 2 workers committed last "
        "10.0 min ago; see their logs"
    )
    first = topology_row(look())["steps"][0]
    assert (first["overdue"], first["last_commit"]) == (4, "2026-03-01T11:50:00Z")
    cluster.young[NAMES.alerts] = 3  # all that waits is new
    assert topology_row(look())["steps"][0]["overdue"] == 0
    assert wrong(look()) == []
    cluster.committed[group] = {(NAMES.alerts, 0): 105, (NAMES.alerts, 1): 1}
    cluster.young.clear()
    assert wrong(look()) == []  # with nothing to read there is nothing to commit


def test_how_far_a_backfill_is(cluster: Cluster) -> None:
    group = NAMES.ingest_group_of("alerts")
    again = f"{group}.backfill-f-3"
    cluster.topics["survey"] = {0: (0, [b"x"] * 9)}
    cluster.committed[group] = {(NAMES.alerts, 0): 104, (NAMES.alerts, 1): 1, ("survey", 0): 6}
    cluster.committed[again] = {(NAMES.alerts, 0): 103, ("survey", 0): 1}
    cluster.notes[again] = note("id", NOW - 600)  # it waits for the objects step
    assert "backfill alerts" not in lags(look())
    cluster.backfill = "f-3"
    cluster.members[again] = 2
    assert lags(look())["backfill alerts"] == (2, 1 + 1 + 5)
    assert lags(look())["ingest alerts"] == (2, 1 + 3)
    assert "7 of backfill alerts" in topology_line(look())
    assert wrong(look()) == []
    cluster.members[again] = 0
    assert wrong(look()) == ["backfill alerts: 7 records wait, and no worker reads them"]
    cluster.committed[again] = dict(cluster.committed[group])  # read, but not yet noted
    assert wrong(look()) == []


def test_a_named_input_that_is_not_there_is_missing(clusters: dict[str, Cluster]) -> None:
    clusters["far:9092"] = Cluster({"ztf_1": {0: (0, [])}})
    spec = SourcesSpec.model_validate(
        {
            "clusters": {"ztf": {"bootstrap": "far:9092"}},
            "alerts": [{"topics": [NAMES.alerts, "alrets"]}, {"cluster": "ztf", "pattern": "no_"}],
            "notices": [{"cluster": "ztf", "topics": ["ztf_1", "gcn"]}],
        }
    )
    assert look(sources=spec).missing == ("alrets", "gcn of ztf")

"""A small topology, a night that was made up, and records as clients hand them over."""

from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from ampelstream.cli.workflow import open_inputs
from ampelstream.codecs import own
from ampelstream.model.record import Stream, record_bytes
from ampelstream.runtime.kafka.ingest import Ingest
from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.runtime.kafka.outbox import Outgoing
from ampelstream.runtime.kafka.schemas import WireSchemas
from ampelstream.runtime.service.metrics import Metrics
from ampelstream.simulate import simulate_night
from ampelstream.sky.catalogs import CatalogStore
from ampelstream.sources import merge
from ampelstream.topology import Topology, build, load
from ampelstream.units import Resources

TOPOLOGY = """
name: small
version: "1"
channels:
  sky:
    region: 0.99
    window: [0, 30]
    units: [{unit: SkyMapProbability}]
react:
  - name: all
    when: status == 'active'
    sinks: [console]
"""


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Topology:
    directory = tmp_path_factory.mktemp("small")
    (directory / "small.yml").write_text(TOPOLOGY)
    return build(load(directory / "small.yml"), Resources(catalogs=CatalogStore(directory)))


@pytest.fixture(scope="session")
def names() -> TopicNames:
    return TopicNames("small")


def kafka_record(topic: str, offset: int, value: bytes | None, key: bytes | None = None) -> Any:
    return SimpleNamespace(
        topic=topic, partition=0, offset=offset, key=key, value=value, headers=()
    )


@pytest.fixture(scope="session")
def make_record() -> Callable[..., Any]:
    return kafka_record


@pytest.fixture(scope="session")
def night(tmp_path_factory: pytest.TempPathFactory) -> Mapping[Stream, list[Any]]:
    """Records of both input topics."""
    made = simulate_night(tmp_path_factory.mktemp("night"), alerts=300)
    found: dict[Stream, list[Any]] = {"alerts": [], "notices": []}
    for record in merge(open_inputs([made.alerts], [made.notices]), {}):
        of = found[record.stream]
        of.append(kafka_record(record.stream, len(of), record_bytes(record)))
    return found


@pytest.fixture(scope="session")
def make_ingest(small: Topology, names: TopicNames) -> Callable[[Stream], Ingest]:
    def make(stream: Stream) -> Ingest:
        metrics = Metrics()
        return Ingest(small, names, stream, 1, WireSchemas(None, metrics), metrics, ours=True)

    return make


@pytest.fixture(scope="session")
def ingested(
    night: Mapping[Stream, list[Any]], make_ingest: Callable[[Stream], Ingest]
) -> Mapping[Stream, list[Any]]:
    """Records of the topics of detections and events, as the ingest step makes them."""

    def as_records(outputs: Iterable[Outgoing], topic: str) -> list[Any]:
        of = [one for one in outputs if one.topic == topic and not own.is_tick(one.value or b"")]
        return [kafka_record(topic, n, one.value, one.key) for n, one in enumerate(of)]

    work = {stream: make_ingest(stream).work(night[stream]) for stream in night}
    return {
        "alerts": as_records(work["alerts"], "ampel.small.detections"),
        "notices": as_records(work["notices"], "ampel.small.events"),
    }

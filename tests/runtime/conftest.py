"""A small topology, a night that was made up, and records as clients hand them over."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from ampelstream.cli.workflow import open_inputs
from ampelstream.model.record import Stream, record_bytes
from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.simulate import Night
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
def night(make_night: Callable[..., Night]) -> Mapping[Stream, list[Any]]:
    """Records of both input topics."""
    made = make_night()
    found: dict[Stream, list[Any]] = {"alerts": [], "notices": []}
    for record in merge(open_inputs([made.alerts], [made.notices]), {}):
        of = found[record.stream]
        of.append(kafka_record(record.stream, len(of), record_bytes(record)))
    return found

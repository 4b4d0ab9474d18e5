"""Topologies from text, detections, announcements, and processors on a store in memory."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ampelstream.core.accounting import Accounting
from ampelstream.core.ingest import Ingest
from ampelstream.core.objects import Objects
from ampelstream.model.announcement import Announcement
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.detection import Detection
from ampelstream.model.lightcurve import Datapoint
from ampelstream.model.record import SourceRecord
from ampelstream.model.streams import Record
from ampelstream.simulate import simulate_notice
from ampelstream.sky.catalogs import CatalogStore
from ampelstream.state.memory import MemoryBackend
from ampelstream.state.store import Transaction
from ampelstream.topology import Topology, build, load
from ampelstream.units import Resources

T0 = 2460000.0
WIDE = """
name: wide
version: 1
channels:
  all: {region: 0.99, window: [0, 10], units: [{unit: SkyMapProbability}]}
react:
  - {name: any, when: "SkyMapProbability.cumprob < 0.99", sinks: [console]}
"""


@pytest.fixture
def make_topology(tmp_path: Path) -> Callable[[str], Topology]:
    def make(text: str) -> Topology:
        path = tmp_path / "topology.yml"
        path.write_text(text)
        return build(load(path), Resources(catalogs=CatalogStore(tmp_path / "catalogs")))

    return make


@pytest.fixture
def wide(make_topology: Callable[[str], Topology]) -> Topology:
    return make_topology(WIDE)


def detection(
    object_id: str = "ZTF01",
    candid: int = 1,
    jd: float = T0 + 1.0,
    ra: float = 40.0,
    dec: float = 0.0,
    offset: int = 0,
    channels: tuple[str, ...] = ("all",),
) -> Detection:
    point = Datapoint(candid, jd, 1, mag=19.0, magerr=0.1, ra=ra, dec=dec, own=True)
    where = Coordinates("alerts", 0, offset)
    return Detection(object_id, "ztf", candid, jd, ra, dec, channels, where, (point,))


@pytest.fixture
def make_detection() -> Callable[..., Detection]:
    return detection


@pytest.fixture
def make_notice() -> Callable[..., bytes]:
    def make(
        created: str = "2023-02-25T00:05:00Z", kind: str = "PRELIMINARY", **more: Any
    ) -> bytes:
        facts: dict[str, Any] = {
            "t0_jd": None if kind == "RETRACTION" else T0,
            "ra": 40.0,
            "dec": 0.0,
        }
        facts |= {"event_id": "SIM230225a", "width_deg": 5.0, "order": 5} | more
        return simulate_notice(alert_type=kind, time_created=created, **facts)

    return make


class Partition:
    """One partition of the objects, fed by hand."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.backend = MemoryBackend()
        self.accounting = Accounting()
        self.offset = 0
        self.reopen()

    def reopen(self) -> None:
        """As after a restart: what was not committed has not happened."""
        self.state = Transaction(self.backend)
        tally = self.accounting.tally()
        self.objects = Objects(self.topology, self.state, tally, lambda: 0.0)

    def take(self, *values: Any) -> list[Any]:
        """Detections, and notices as bytes; gives what came out, sweeps included."""
        found: list[Any] = []
        for value in values:
            self.offset += 1
            where = Coordinates("memory", 0, self.offset)
            said = self.announcement(value) if isinstance(value, bytes) else value
            stream: Any = "events" if isinstance(said, Announcement) else "detections"
            outputs = self.objects.process([Record(where, stream, said)])
            outputs += self.objects.advance()
            found += [output.value for output in outputs]
        return found

    def announcement(self, notice: bytes, offset: int | None = None) -> Announcement:
        ingest = Ingest(self.topology, Accounting().tally(), lambda: 4e9)
        where = Coordinates("notices", 0, self.offset if offset is None else offset)
        [output] = ingest.process([SourceRecord(where, "notices", notice)])
        assert isinstance(output.value, Announcement)
        return output.value

    def commit(self) -> None:
        self.state.commit()
        self.objects.committed()


@pytest.fixture
def make_partition() -> Callable[[Topology], Partition]:
    return Partition

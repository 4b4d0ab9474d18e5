"""Small made-up alerts and notices, and the engine as test driver."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ampelstream.core.watermark import FEWEST
from ampelstream.model.candidate import Candidate
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.record import SourceRecord, Stream
from ampelstream.runtime.embedded.engine import Engine
from ampelstream.sky.catalogs import CatalogStore
from ampelstream.state.memory import MemoryBackend
from ampelstream.topology import Topology, build, load
from ampelstream.units import Resources

Row = dict[str, Any]
Value = bytes | Mapping[str, Any]
T0 = 2460000.0


def _point(jd: float, candid: int | None, ra: float, dec: float, mag: float) -> Row:
    return {
        "jd": jd,
        "fid": 1 + (candid or 0) % 2,
        "pid": int(jd * 1000) * 10,
        "candid": candid,
        "isdiffpos": "t" if candid else None,
        "ra": ra if candid else None,
        "dec": dec if candid else None,
        "magpsf": mag if candid else None,
        "sigmapsf": 0.1 if candid else None,
        "diffmaglim": 20.5,
        "rb": 0.9 if candid else None,
        "rcid": 11,
        "xpos": 100.0 if candid else None,
        "ypos": 200.0 if candid else None,
        "programid": 1,
    }


def alert_row(
    object_id: str,
    candid: int,
    jd: float,
    ra: float,
    dec: float,
    history: Iterable[tuple[float, int | None]] = (),
    mag: float = 19.0,
) -> Row:
    """An alert as a row: its detection, and (jd, candid or None) of earlier datapoints."""
    own = _point(jd, candid, ra, dec, mag) | {"drb": 0.999}
    return {
        "objectId": object_id,
        "candid": candid,
        "schemavsn": "3.3",
        "candidate": own,
        "prv_candidates": [_point(t, c, ra, dec, mag + 0.3) for t, c in history],
    }


@pytest.fixture
def make_row() -> Callable[..., Row]:
    return alert_row


@pytest.fixture
def make_topology(tmp_path: Path) -> Callable[[str], Topology]:
    """Build a topology from its YAML text."""

    def make(text: str) -> Topology:
        path = tmp_path / "topology.yml"
        path.write_text(text)
        return build(load(path), Resources(catalogs=CatalogStore(tmp_path / "catalogs")))

    return make


class Driver:
    """An engine on an in-memory store, fed by hand."""

    def __init__(self, topology: Topology, *, forget: bool = False) -> None:
        self.backend = MemoryBackend()
        self.engine = Engine(topology, self.backend, commit_every=3, forget=forget)
        self._offset = 0

    def feed(self, stream: Stream, value: Value, member: str = "") -> list[Any]:
        """One record; gives what came of it: candidates, reactions, dead letters."""
        self._offset += 1
        where = Coordinates(stream, 0, self._offset)
        outputs = self.engine.process([SourceRecord(where, stream, value, member)])
        return [output.value for output in outputs]

    def pass_time(self, jd: float) -> None:
        """As many alerts of that time as event time asks for; they are far from everything."""
        for number in range(FEWEST):
            self.feed("alerts", alert_row("ZTF99", 10_000 + number, jd, 220.0, -60.0))

    def count(self, name: str, *labels: str) -> int:
        """How much was counted."""
        return self.engine.accounting.total(name, *labels)

    def candidates(self) -> dict[tuple[str, str, str], Candidate]:
        """Final candidates by key, without the coordinates of the deliveries."""
        self.engine.commit()
        return {
            one.key: msgspec.structs.replace(
                one, provenance=msgspec.structs.replace(one.provenance, records=())
            )
            for one in self.engine.objects.candidates()
        }


@pytest.fixture
def make_driver() -> Callable[..., Driver]:
    return Driver

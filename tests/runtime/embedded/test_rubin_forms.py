"""Rubin's real alerts in every form in which they come: the same candidates, byte for byte.

Containers, packets on the wire and rows of Parquet are read as files; what is real in one form is
written anew in the others by the test.
"""

import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ampelstream.codecs.alerts import decode
from ampelstream.model.candidate import Candidate
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.record import SourceRecord
from ampelstream.model.times import iso_from_jd
from ampelstream.runtime.embedded.engine import Engine
from ampelstream.runtime.outputs import candidate_row, encode_lines
from ampelstream.shipped import topology_path
from ampelstream.simulate import simulate_notice
from ampelstream.sources import open_source
from ampelstream.sources.writerschemas import SchemaFiles
from ampelstream.state.memory import MemoryBackend
from ampelstream.topology import Topology

pytestmark = [pytest.mark.realdata, pytest.mark.slow]

ALL = """
name: all
version: 1
events: {test_events: true}
channels:
  all:
    alerts: {survey: lsst}
    region: 0.9
    window: [0, 3]
    units: [{unit: SkyMapProbability}, {unit: RiseDecline}]
    rank_by: SkyMapProbability.cumprob
"""
PLACES = {
    "MS160307b": (57454.23, 149.8, 2.28),
    "MS250411a": (60776.78, 53.2, -27.9),
    "MS250906c": (60924.28, 9.4, -44.7),
    "MS260310d": (61109.09, 150.2, 2.4),
}
"""A made-up event shortly before and around each of the groups of alerts: MJD, RA and Dec [deg]."""
READ = ("diaSource", "prvDiaSources", "prvDiaForcedSources")


def shipped(name: str) -> str:
    """A topology that ships, for mock events."""
    text = topology_path(name).read_text()
    assert "test_events: false" in text
    return text.replace("test_events: false", "test_events: true")


class Form(NamedTuple):
    """Alerts in one form: their files, and the schemas that they need."""

    alerts: Path
    schemas: Path | None = None


def notices() -> list[SourceRecord]:
    made = []
    for number, (name, (mjd, ra, dec)) in enumerate(PLACES.items()):
        t0 = 2400000.5 + mjd
        value = simulate_notice(
            event_id=name,
            alert_type="PRELIMINARY",
            time_created=iso_from_jd(t0 + 0.003)[:19] + "Z",
            t0_jd=t0,
            ra=ra,
            dec=dec,
            width_deg=3.0,
        )
        made.append(SourceRecord(Coordinates("notices", 0, number), "notices", value))
    return made


def found(topology: Topology, *forms: Form) -> Engine:
    """Let an engine read the alerts, in one order and under one name whatever their form."""
    schemas = next((SchemaFiles(one.schemas) for one in forms if one.schemas), None)
    engine = Engine(topology, MemoryBackend(), schemas=schemas)
    read = [r for form in forms for r in open_source(form.alerts, "alerts", schemas).read({})]
    read.sort(key=lambda record: decode(record.value, schemas).candid)
    engine.process(notices())
    engine.process([replace(one, where=Coordinates("alerts", 0, n)) for n, one in enumerate(read)])
    engine.commit()
    assert engine.accounting.total("dead_letters") == 0
    return engine


def candidates(engine: Engine) -> list[Candidate]:
    return sorted(engine.objects.candidates(), key=lambda one: one.key)


def as_bytes(engine: Engine) -> bytes:
    return b"".join(encode_lines(map(candidate_row, candidates(engine))))


# --- the same alerts in another form ------------------------------------------------------------


def as_containers(rows: Sequence[Mapping[str, Any]], schema: Any, path: Path) -> Form:
    path.mkdir()
    with (path / "a.avro").open("wb") as file:
        fastavro.writer(file, schema, rows, codec="deflate")
    return Form(path)


def as_wire(rows: Sequence[Mapping[str, Any]], schema: Any, number: int, path: Path) -> Form:
    path.mkdir()
    for row in rows:
        out = io.BytesIO()
        out.write(b"\0" + number.to_bytes(4, "big"))
        fastavro.schemaless_writer(out, schema, row)
        (path / f"{row['diaSource']['diaSourceId']}.avro").write_bytes(out.getvalue())
    known = path.with_name("schemas")
    known.mkdir(exist_ok=True)
    (known / f"{number}.avsc").write_text(json.dumps(schema))
    return Form(path, known)


def as_parquet(rows: Sequence[Mapping[str, Any]], path: Path) -> Form:
    path.mkdir()
    table = pa.Table.from_pylist([{name: row[name] for name in READ} for row in rows])
    pq.write_table(table, path / "a.parquet", row_group_size=7)
    return Form(path)


def containers(folder: Path) -> Iterator[tuple[Any, list[Mapping[str, Any]]]]:
    """Records of the containers of a folder, by their writer schemas."""
    by_schema: dict[str, tuple[Any, list[Mapping[str, Any]]]] = {}
    for path in sorted(folder.glob("*.avro")):
        with path.open("rb") as file:
            reader = fastavro.reader(file)
            key = json.dumps(reader.writer_schema)
            by_schema.setdefault(key, (reader.writer_schema, []))[1].extend(
                row for row in reader if isinstance(row, dict)
            )
    return iter(by_schema.values())


def official(data_dir: Path, number: int) -> Any:
    text = (data_dir / "lsst" / "schemas" / f"{number}.avsc").read_text()
    return fastavro.parse_schema(json.loads(text))


MakeTopology = Callable[[str], Topology]


@pytest.fixture(params=["all", "kilonova-lsst"])
def topology(request: pytest.FixtureRequest, make_topology: MakeTopology) -> Topology:
    name = str(request.param)
    return make_topology(ALL if name == "all" else shipped(name))


@pytest.mark.parametrize("folder", ["fink-v7_4", "fink-v9_0"])
def test_real_containers(data_dir: Path, tmp_path: Path, topology: Topology, folder: str) -> None:
    real = data_dir / "lsst" / folder
    expected = as_bytes(found(topology, Form(real)))
    assert expected
    wire, tables = [], []
    for number, (schema, rows) in enumerate(containers(real)):
        wire.append(as_wire(rows, schema, 4000 + number, tmp_path / f"wire{number}"))
        tables.append(as_parquet(rows, tmp_path / f"rows{number}"))
    assert sum(len(list(one.alerts.iterdir())) for one in wire) == len(list(real.iterdir()))
    assert as_bytes(found(topology, *wire)) == expected
    assert as_bytes(found(topology, *tables)) == expected


def test_real_rows(data_dir: Path, tmp_path: Path, topology: Topology) -> None:
    real = data_dir / "lsst" / "rubin-v10_parquet"
    expected = as_bytes(found(topology, Form(real)))
    rows = [
        row for path in sorted(real.glob("*.parquet")) for row in pq.read_table(path).to_pylist()
    ]
    for row in rows:  # a table has structs of nulls where a packet has null
        row["ssSource"] = row["mpc_orbits"] = None
        if row["diaObject"]["diaObjectId"] is None:
            row["diaObject"] = None
    schema = official(data_dir, 1000)
    assert as_bytes(found(topology, as_wire(rows, schema, 1000, tmp_path / "wire"))) == expected
    assert as_bytes(found(topology, as_containers(rows, schema, tmp_path / "a"))) == expected
    assert as_bytes(found(topology, as_parquet(rows, tmp_path / "rows"))) == expected


def test_real_packets_of_the_wire(
    data_dir: Path, tmp_path: Path, make_topology: MakeTopology
) -> None:
    # whole sky and years: their own dates and places are far apart
    kept = "retention: {objects: 20000, events: 1}\nchannels:"
    wide = ALL.replace("[0, 3]", "[0, 9999]").replace("0.9", "1.0").replace("channels:", kept)
    topology = make_topology(wide)
    folder = data_dir / "lsst" / "boom-wire"
    expected = as_bytes(found(topology, Form(folder, data_dir / "lsst" / "schemas")))
    assert expected.count(b"\n") == 1 + 3 + 4  # of each with the events before it
    forms: list[list[Form]] = [[], []]
    for path in sorted(folder.glob("*.avro")):
        value = path.read_bytes()
        schema = official(data_dir, int.from_bytes(value[1:5], "big"))
        row: Any = fastavro.schemaless_reader(io.BytesIO(value[5:]), schema, None)
        forms[0].append(as_containers([row], schema, tmp_path / f"{path.stem}-a"))
        forms[1].append(as_parquet([row], tmp_path / f"{path.stem}-rows"))
    assert [as_bytes(found(topology, *form)) for form in forms] == [expected] * 2


# --- what comes of them -------------------------------------------------------------------------


def test_the_kilonova_search_says_why_it_rejects(
    data_dir: Path, make_topology: MakeTopology
) -> None:
    topology = make_topology(shipped("kilonova-lsst"))
    folders = ("fink-v7_4", "fink-v9_0", "rubin-v10_parquet")
    engine = found(topology, *(Form(data_dir / "lsst" / name) for name in folders))
    counts = {key: n for key, n in engine.accounting.counts().items() if key[0] == "rejected"}
    reasons = {key[2]: number for key, number in counts.items()}
    assert reasons == {
        "psfFlux": 35,
        "reliability": 23,
        "ssObjectId": 6,
        "isDipole": 2,
        "pixelFlags_cr": 1,
        "psfFlux_flag": 1,
    }
    active = candidates(engine)
    assert Counter(one.event_id for one in active) == {
        "MS160307b": 3,
        "MS250411a": 3,
        "MS250906c": 7,
    }
    # all objects of 2026 were seen before: with the histories goes what rejects them
    assert {result.error for one in active for result in one.results} == {""}
    assert all(one.rank is not None for one in active)


def test_asteroids_are_where_and_when_their_alerts_are(
    data_dir: Path, make_topology: MakeTopology
) -> None:
    topology = make_topology(ALL)
    folder = Form(data_dir / "lsst" / "rubin-v10_parquet")
    engine = found(topology, folder)
    alerts = [decode(one.value) for one in open_source(folder.alerts, "alerts").read({})]
    moving = {one.object_id: one for one in alerts if one.object_id.startswith("ss")}
    by_name = {one.object_id: one for one in candidates(engine)}
    assert len(moving) == 5
    assert moving.keys() <= by_name.keys()
    for name, alert in moving.items():
        ra, dec = by_name[name].ra, by_name[name].dec
        assert (ra, dec) == pytest.approx((alert.ra, alert.dec), abs=1e-6)
        assert alert.candidate["diaObjectId"] in {0, None}
        assert by_name[name].provenance.alerts == (alert.candid,)
    for alert in alerts:
        assert abs(alert.jd - 2400000.5 - alert.candidate["midpointMjdTai"]) * 86400 == (
            pytest.approx(37, abs=0.01)
        )

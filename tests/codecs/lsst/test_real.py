"""Real Rubin alerts of schemas 7.1 to 10.0: decoding lazily equals decoding whole."""

import io
import json
from pathlib import Path
from typing import Any

import fastavro
import pyarrow.parquet as pq
import pytest
from astropy.time import Time

from ampelstream.codecs import alerts
from ampelstream.codecs.lsst import FixedSchemas
from ampelstream.codecs.lsst.datapoints import FIELDS
from ampelstream.errors import DecodeError, UnknownSchema
from ampelstream.model.alert import Alert

pytestmark = pytest.mark.realdata

WIRE = {
    701: "25409136044802067.avro",
    703: "3527242430321524769.avro",
    900: "7912941781254298.avro",
}


@pytest.fixture(scope="module")
def rubin(data_dir: Path) -> FixedSchemas:
    files = (data_dir / "lsst" / "schemas").glob("*.avsc")
    return FixedSchemas({int(path.stem): json.loads(path.read_text()) for path in files})


def same(alert: Alert, whole: dict[str, Any]) -> None:
    """Compare by repr, because NaN is not equal to itself."""
    source, history = whole["diaSource"], whole["prvDiaSources"] or []
    moving = not source["diaObjectId"]
    name = f"ss{source['ssObjectId']}" if moving else str(source["diaObjectId"])
    assert (alert.survey, alert.object_id, alert.candid) == ("lsst", name, source["diaSourceId"])
    assert repr(dict(alert.candidate)) == repr(source)
    assert repr(list(alert.history.points())) == repr(history)
    assert repr(list(alert.history.forced())) == repr(whole["prvDiaForcedSources"] or [])
    times = [entry["midpointMjdTai"] for entry in [*history, source]]
    theirs = Time(times, format="mjd", scale="tai").utc.jd
    assert alert.detection_jds() == pytest.approx(list(theirs), abs=1e-8)
    points = alerts.datapoints(alert)
    forced = [one for one in whole["prvDiaForcedSources"] or [] if one["psfFlux"] is not None]
    assert len({(point.id, point.forced) for point in points}) == len(points)
    assert len(points) == len(history) + len(forced) + 1
    by_id = {point.id: point for point in points if point.forced}
    assert {one["diaForcedSourceId"]: one["psfFlux"] for one in forced} == {
        name: point.flux for name, point in by_id.items()
    }
    assert points[-1].own
    assert abs(points[-1].id) == alert.candid
    assert all(point.fid for point in points)


@pytest.mark.parametrize("version", WIRE)
def test_the_wire(data_dir: Path, rubin: FixedSchemas, version: int) -> None:
    value = (data_dir / "lsst" / "boom-wire" / WIRE[version]).read_bytes()
    schema: Any = rubin.known(version)
    body = io.BytesIO(value[5:])
    whole = fastavro.schemaless_reader(body, fastavro.parse_schema(dict(schema)), None)
    assert isinstance(whole, dict)
    same(alerts.decode(value, rubin), whole)
    with pytest.raises(UnknownSchema) as caught:
        alerts.decode(value, FixedSchemas({1: schema}))
    assert caught.value.schema_id == version


def test_another_version_than_the_writers_is_no_alert(data_dir: Path, rubin: FixedSchemas) -> None:
    value = (data_dir / "lsst" / "boom-wire" / WIRE[900]).read_bytes()
    wrong = FixedSchemas({900: rubin.known(701) or {}})
    with pytest.raises(DecodeError):
        alerts.decode(value, wrong)


@pytest.mark.parametrize(("folder", "count"), [("fink-v7_4", 25), ("fink-v9_0", 40)])
def test_containers(data_dir: Path, folder: str, count: int) -> None:
    files = sorted((data_dir / "lsst" / folder).glob("*.avro"))
    assert len(files) == count
    for path in files:
        whole = next(fastavro.reader(io.BytesIO(path.read_bytes())))
        assert isinstance(whole, dict)
        same(alerts.decode(path.read_bytes()), whole)


def test_rows_of_schema_10(data_dir: Path) -> None:
    files = sorted((data_dir / "lsst" / "rubin-v10_parquet").glob("*.parquet"))
    rows = [row for path in files for row in pq.read_table(path).to_pylist()]
    assert len(rows) == 40
    for row in rows:
        same(alerts.decode(row), row)


@pytest.mark.parametrize("version", [1000, 1100])
def test_real_rows_on_the_wire_of_new_schemas(
    data_dir: Path, rubin: FixedSchemas, version: int
) -> None:
    # no wire message of these versions is at hand: the rows are written with their schemas
    schema: Any = rubin.known(version)
    parsed = fastavro.parse_schema(dict(schema))
    path = min((data_dir / "lsst" / "rubin-v10_parquet").glob("*.parquet"))
    for row in pq.read_table(path).to_pylist():
        out = io.BytesIO()
        out.write(b"\0" + version.to_bytes(4, "big"))
        # a table has structs of nulls where a packet has null
        row["ssSource"] = row["mpc_orbits"] = None
        fastavro.schemaless_writer(out, parsed, row)
        whole = fastavro.schemaless_reader(io.BytesIO(out.getvalue()[5:]), parsed, None)
        assert isinstance(whole, dict)
        same(alerts.decode(out.getvalue(), rubin), whole)


@pytest.mark.parametrize("version", [701, 703, 704, 900, 1000, 1100])
def test_every_schema_has_what_is_read(rubin: FixedSchemas, version: int) -> None:
    schema: Any = rubin.known(version)
    fields = {field["name"]: field["type"] for field in schema["fields"]}
    assert {"diaSource", "prvDiaSources", "prvDiaForcedSources"} <= fields.keys()
    names = {field["name"] for field in fields["diaSource"]["fields"]}
    assert {*FIELDS, "diaObjectId", "ssObjectId"} <= names


def test_elasticc_is_refused_by_name(data_dir: Path) -> None:
    with pytest.raises(DecodeError, match="dec"):
        alerts.decode((data_dir / "lsst" / "elasticc" / "11290844.avro").read_bytes())

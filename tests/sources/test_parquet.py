"""Rows of tables in either survey's layout; lists stay in Arrow until a field is read."""

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ampelstream.codecs import alerts
from ampelstream.errors import DecodeError
from ampelstream.model.record import record_bytes
from ampelstream.model.tai import jd_from_mjd_tai
from ampelstream.sources import open_source
from ampelstream.sources.firsttime import first_time

MJD = 61109.25


def source(number: int, mjd: float = MJD, **changes: Any) -> dict[str, Any]:
    return {
        "diaSourceId": number,
        "visit": 2026030900027,
        "detector": 148,
        "diaObjectId": 77,
        "ssObjectId": None,
        "midpointMjdTai": mjd,
        "ra": 150.0,
        "dec": -2.0,
        "x": 10.0,
        "y": 20.0,
        "psfFlux": 1000.0,
        "psfFluxErr": 50.0,
        "reliability": 0.75,
        "band": "z",
    } | changes


def row(number: int, *earlier: Any, mjd: float = MJD, **changes: Any) -> dict[str, Any]:
    return {
        "observation_reason": "field_survey",
        "diaSource": source(number, mjd, **changes),
        "prvDiaSources": list(earlier) or None,
        "prvDiaForcedSources": [
            {"diaForcedSourceId": 5, "psfFlux": 3.5, "midpointMjdTai": MJD, "band": "g", "visit": 7}
        ],
        "cutoutDifference": b"pixels",
    }


ROWS = [
    row(1),
    row(2, source(11, MJD - 3), source(12, MJD - 2, psfFlux=None), mjd=MJD + 1),
    row(3, None, source(13, MJD - 1), mjd=MJD + 2, diaObjectId=None, ssObjectId=9),
    row(4, source(14, MJD - 4, psfFlux=-900.0), mjd=MJD + 3, psfFlux=20.0),
]


def table(path: Path, rows: Sequence[dict[str, Any]] = ROWS) -> Path:
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


def values(path: Path) -> list[Any]:
    records = list(open_source(path, "alerts").read({}))
    assert [one.fault for one in records] == [""] * len(records)
    return [one.value for one in records]


def test_rubins_rows_are_as_those_of_json(tmp_path: Path) -> None:
    lines = tmp_path / "a.ndjson"
    plain = ("diaSource", "prvDiaSources", "prvDiaForcedSources")
    lines.write_text("".join(json.dumps({k: one[k] for k in plain}) + "\n" for one in ROWS))
    found, said = values(table(tmp_path / "a.parquet")), values(lines)
    assert [dict(alerts.decode(one).candidate) for one in found] == [
        one["diaSource"] for one in ROWS
    ]
    for one, other in zip(found, said, strict=True):
        here, there = alerts.decode(one), alerts.decode(other)
        names = (here.object_id, here.candid, here.jd, here.ra, here.dec)
        assert names == (there.object_id, there.candid, there.jd, there.ra, there.dec)
        assert list(here.history.points()) == list(there.history.points())
        assert list(here.history.forced()) == list(there.history.forced())
        assert here.detection_jds() == there.detection_jds()
        assert alerts.datapoints(here) == alerts.datapoints(there)
    assert alerts.decode(found[2]).object_id == "ss9"


def test_of_a_list_only_what_is_read_becomes_objects(tmp_path: Path) -> None:
    # the other field is damaged: who reads it meets that, and nobody else does
    text = pa.StringArray.from_buffers(
        1, pa.py_buffer(struct.pack("<2i", 0, 2)), pa.py_buffer(b"\xff\xfe")
    )
    flux, number = pa.array([1.5]), pa.array([7])
    forced = pa.StructArray.from_arrays([number, flux, text], ["id", "flux", "note"])
    lists = pa.ListArray.from_arrays(pa.array([0, 1], pa.int32()), forced)
    whole = pa.Table.from_pylist([{"diaSource": source(1)}]).append_column(
        "prvDiaForcedSources", lists
    )
    pq.write_table(whole, tmp_path / "a.parquet")
    (value,) = values(tmp_path / "a.parquet")
    (entry,) = alerts.decode(value).history.forced()
    assert (entry["flux"], entry.get("id"), entry.get("absent")) == (1.5, 7, None)
    assert set(entry) == {"id", "flux", "note"}
    with pytest.raises(ValueError, match="utf-8"):
        entry["note"]


def test_a_row_travels_whole_as_json(tmp_path: Path) -> None:
    for record in open_source(table(tmp_path / "a.parquet"), "alerts").read({}):
        again = alerts.decode(record_bytes(record))
        assert alerts.datapoints(again) == alerts.datapoints(alerts.decode(record.value))
        assert len(again.history.forced()) == 1


def test_a_row_without_a_source_is_no_alert(tmp_path: Path) -> None:
    first, second = values(table(tmp_path / "a.parquet", [row(1), {"diaSource": None}]))
    assert alerts.decode(first).candid == 1
    with pytest.raises(DecodeError, match="diaSource"):
        alerts.decode(second)


def test_rubins_tables_say_when_they_begin(tmp_path: Path) -> None:
    found = first_time(table(tmp_path / "a.parquet"), "alerts")
    assert found == jd_from_mjd_tai(MJD + 1)  # the second earliest

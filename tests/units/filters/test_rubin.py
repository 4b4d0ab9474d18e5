"""RubinFilter rule by rule, of one alert and of columns, and on the real alerts."""

import io
import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fastavro
import pytest

from ampelstream.codecs import alerts
from ampelstream.codecs.lsst import FixedSchemas
from ampelstream.errors import ConfigError
from ampelstream.sources import open_source
from ampelstream.units.discovery import configure
from ampelstream.units.filters.rubin import FLAGS, RubinFilter

MJD = 61109.25
NUMBERS = ("psfFlux", "psfFluxErr", "snr", "reliability")
SOURCE = {
    "type": "record",
    "name": "made.diaSource",
    "fields": [
        {"name": "diaSourceId", "type": "long"},
        *({"name": name, "type": ["null", "long"]} for name in ("diaObjectId", "ssObjectId")),
        *({"name": name, "type": "double"} for name in ("midpointMjdTai", "ra", "dec")),
        *({"name": name, "type": ["null", "double"]} for name in NUMBERS),
        *({"name": name, "type": ["null", "boolean"]} for name in ("isNegative", *FLAGS)),
    ],
}
SCHEMA = fastavro.parse_schema(
    {
        "type": "record",
        "name": "made.alert",
        "fields": [
            {"name": "diaSource", "type": SOURCE},
            {
                "name": "prvDiaSources",
                "type": ["null", {"type": "array", "items": "made.diaSource"}],
            },
        ],
    }
)


def source(**changes: Any) -> dict[str, Any]:
    return {
        "diaSourceId": 1,
        "diaObjectId": 7,
        "ssObjectId": None,
        "midpointMjdTai": MJD,
        "ra": 180.0,
        "dec": -40.0,
        "psfFlux": 1000.0,
        "psfFluxErr": 50.0,
        "snr": 20.0,
        "reliability": 0.9,
        "isNegative": False,
        **dict.fromkeys(FLAGS, False),
        **changes,
    }


def packet(earlier: Sequence[float] = (), **changes: Any) -> bytes:
    past = [source(diaSourceId=2 + n, midpointMjdTai=mjd) for n, mjd in enumerate(earlier)]
    out = io.BytesIO()
    fastavro.writer(out, SCHEMA, [{"diaSource": source(**changes), "prvDiaSources": past or None}])
    return out.getvalue()


def reasons(unit: RubinFilter, values: Sequence[Any], schemas: Any = None) -> list[str]:
    """Of one alert after the other, after a look that the columns say the same."""
    found = [unit.evaluate(alerts.decode(value, schemas)) for value in values]
    assert [one.accept for one in found] == [one.reason == "" for one in found]
    for batch, rows in alerts.batches(values, unit.asks(), schemas):
        verdicts = unit.judge(batch)
        said = ["", *verdicts.reasons]
        assert [said[code] for code in verdicts.codes] == [found[row].reason for row in rows]
    return [one.reason for one in found]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ""),
        ({"ssObjectId": 0}, ""),
        ({"ssObjectId": 5}, "ssObjectId"),
        ({"diaObjectId": None, "ssObjectId": 5}, "ssObjectId"),
        ({"psfFlux": -1000.0}, "psfFlux"),
        ({"psfFlux": 0.0, "psfFluxErr": 0.0}, "psfFlux"),
        ({"psfFlux": 150.0}, ""),
        ({"psfFlux": 149.9}, "psfFlux"),
        ({"psfFlux": None}, "psfFlux"),
        ({"psfFlux": math.nan}, "psfFlux"),
        ({"psfFluxErr": None}, "psfFlux"),
        ({"isNegative": True}, "isNegative"),
        ({"isNegative": None}, ""),
        ({"snr": 5.0}, ""),
        ({"snr": 4.99}, "snr"),
        ({"snr": None}, "snr"),
        ({"snr": math.nan}, "snr"),
        ({"reliability": 0.5}, ""),
        ({"reliability": 0.499}, "reliability"),
        ({"reliability": None}, "reliability"),
        ({"reliability": math.nan}, "reliability"),
        ({"pixelFlags_bad": True}, "pixelFlags_bad"),
        ({"pixelFlags_cr": None}, ""),
        ({"shape_flag": True}, ""),  # not among those of the default
        ({"isDipole": True, "pixelFlags_edge": True}, "pixelFlags_edge"),
        ({"ra": 266.4, "dec": -29.0}, "galPlane"),
    ],
)
def test_each_rule_at_its_boundary(changes: dict[str, Any], expected: str) -> None:
    assert reasons(RubinFilter(), [packet(**changes), packet()]) == [expected, ""]


@pytest.mark.parametrize("flag", FLAGS)
def test_every_flag_can_be_asked_for(flag: str) -> None:
    changes: dict[str, Any] = {flag: True}
    values = [packet(**changes), packet()]
    assert reasons(RubinFilter(flags=(flag,)), values) == [flag, ""]
    assert reasons(RubinFilter(flags=()), values) == ["", ""]


def test_history() -> None:
    values = [packet(), packet([MJD - 0.01]), packet([MJD - 2.0, MJD - 1.0]), packet([MJD - 40])]
    assert reasons(RubinFilter(min_ndet=2), values) == ["nDet", "", "", ""]
    unit = RubinFilter(min_ndet=2, min_tspan=0.02, max_tspan=30)
    assert reasons(unit, values) == ["nDet", "tSpan", "", "tSpan"]


def test_each_cut_can_be_switched_off() -> None:
    bad = packet(psfFlux=-5.0, isNegative=True, snr=None, reliability=None, ssObjectId=4, ra=266.4)
    keys = {"min_reliability": 0, "min_snr": 0, "positive": False, "solar_system": True}
    unit = RubinFilter(**keys, flags=(), min_gal_lat=0)
    assert reasons(unit, [bad]) == [""]
    assert unit.asks().fields == {"ra", "dec", "ssObjectId"}
    assert not unit.asks().epochs


def test_a_schema_without_the_newer_fields() -> None:
    newer = {"isNegative", "glint_trail", "isDipole"}
    own = {name: value for name, value in source().items() if name not in newer}
    assert reasons(RubinFilter(), [{"diaSource": own}]) == [""]
    assert reasons(RubinFilter(), [{"diaSource": own | {"is_negative": True}}]) == ["isNegative"]


def test_what_it_saw_is_said() -> None:
    verdict = RubinFilter().evaluate(alerts.decode(packet(reliability=0.25)))
    assert (verdict.seen, verdict.allowed) == ({"reliability": 0.25}, {"min_reliability": 0.5})


@pytest.mark.parametrize("name", ["pixelFlags_satured", "pixelFlags_sat"])
def test_a_misspelt_flag_is_named(name: str) -> None:
    with pytest.raises(
        ConfigError, match=f"'{name}' is no flag.*did you mean pixelFlags_saturated"
    ):
        configure("RubinFilter", {"flags": [name]})


def test_the_order_of_flags_says_nothing() -> None:
    assert RubinFilter(flags=("isDipole", "pixelFlags_bad")) == RubinFilter(
        flags=("pixelFlags_bad", "isDipole", "isDipole")
    )


@pytest.mark.realdata
def test_the_real_alerts(data_dir: Path) -> None:
    folder = data_dir / "lsst"
    files = (folder / "schemas").glob("*.avsc")
    schemas = FixedSchemas({int(path.stem): json.loads(path.read_text()) for path in files})
    unit = RubinFilter(min_gal_lat=0)
    found = {}
    for name in ("fink-v7_4", "fink-v9_0", "rubin-v10_parquet", "boom-wire"):
        values = [one.value for one in open_source(folder / name, "alerts").read({})]
        found[name] = Counter(reasons(unit, values, schemas))
    faint = {"ssObjectId": 1, "isDipole": 1, "pixelFlags_cr": 1}
    bright = {"ssObjectId": 5, "isDipole": 1, "psfFlux_flag": 1}
    assert found == {
        "fink-v7_4": {"psfFlux": 18, "reliability": 4, "": 3},
        "fink-v9_0": {"": 10, "reliability": 19, "psfFlux": 8, **faint},
        "rubin-v10_parquet": {"": 24, "psfFlux": 9, **bright},
        "boom-wire": {"": 2, "psfFlux": 1},
    }


@pytest.mark.realdata
def test_all_flags_are_rubins(data_dir: Path) -> None:
    schema = json.loads((data_dir / "lsst" / "schemas" / "1100.avsc").read_text())
    (kind,) = (one["type"] for one in schema["fields"] if one["name"] == "diaSource")
    assert set(FLAGS) <= {one["name"] for one in kind["fields"]}

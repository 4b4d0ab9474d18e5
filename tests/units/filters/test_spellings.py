"""isdiffpos and drb, spelled and missing in every way, mean the same to all who ask for them."""

import copy
import io
import json
import math
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.codecs.alerts import batches, datapoints, decode
from ampelstream.codecs.avro.container import first_block, metadata, read_header
from ampelstream.model.flags import flag, flag_number
from ampelstream.model.lightcurve import Datapoint
from ampelstream.report.lightcurveplot import _classes
from ampelstream.simulate import simulate_packets
from ampelstream.units.filters.decent import DecentFilter

ABSENT = object()
NULLABLE = ["null", "string"]
ENUM = {"type": "enum", "name": "sign", "symbols": ["t", "f", "x"]}
MIXED = ["null", "boolean", "string", "double"]

YES: list[tuple[Any, Any]] = [
    *[(one, NULLABLE) for one in ("t", "T", "true", "True", "TRUE", "1", "1.0", " t ")],
    *[("t", "string"), (True, "boolean"), (True, ["null", "boolean"]), (1, "int")],
    *[(1, ["null", "long"]), (1.0, "double"), (1.0, ["null", "float"]), ("t", ENUM)],
    *[(True, MIXED), ("t", MIXED), (1.0, MIXED)],
]
NO: list[tuple[Any, Any]] = [
    *[(one, NULLABLE) for one in ("f", "F", "false", "False", "FALSE", "0", "0.0", "f\n")],
    *[("f", "string"), (False, "boolean"), (False, ["null", "boolean"]), (0, "int")],
    *[(0, ["null", "long"]), (0.0, "double"), (0.0, ["null", "float"]), ("f", ENUM)],
    *[(False, MIXED), ("f", MIXED), (0.0, MIXED)],
]
NEITHER: list[tuple[Any, Any]] = [
    *[(None, one) for one in (NULLABLE, ["null", "boolean"], ["null", "int"], ["null", "double"])],
    *[(None, MIXED), (ABSENT, NULLABLE), (math.nan, "double"), (math.nan, MIXED)],
    *[("", NULLABLE), ("x", NULLABLE), ("maybe", "string"), ("x", ENUM), (2, "int"), (-1, "int")],
    *[(0.5, "double"), (math.inf, "double")],
]

PACKET = simulate_packets(1, seed=4)[0]
HEADER = read_header(PACKET)
SCHEMA: Any = json.loads(metadata(HEADER.key)["avro.schema"])
RECORD: Any = fastavro.schemaless_reader(
    io.BytesIO(first_block(PACKET, HEADER.body, "null")),
    fastavro.parse_schema(copy.deepcopy(SCHEMA)),
    None,
)
HISTORY = {
    "type": "record",
    "name": "earlier",
    "fields": [
        {"name": "jd", "type": "double"},
        {"name": "candid", "type": ["null", "long"]},
        {"name": "fid", "type": "int"},
        {"name": "magpsf", "type": ["null", "float"]},
    ],
}


def packet(field: str, value: Any, kind: Any) -> tuple[bytes, dict[str, Any]]:
    """A packet, and the same as a row, whose field has this value, in its history too."""
    schema, record = copy.deepcopy(SCHEMA), copy.deepcopy(RECORD)
    (top,) = (one for one in schema["fields"] if one["name"] == "candidate")
    own, earlier = top["type"]["fields"], copy.deepcopy(HISTORY["fields"])
    assert isinstance(earlier, list)
    own[:] = [one for one in own if one["name"] != field]
    del record["candidate"][field]
    entry = {"jd": record["candidate"]["jd"] - 1.0, "candid": 7, "fid": 1, "magpsf": 19.0}
    if value is not ABSENT:
        own.append({"name": field, "type": kind})
        # a name is defined once
        again = {**kind, "name": "earlier_sign"} if isinstance(kind, dict) else kind
        earlier.append({"name": field, "type": again})
        record["candidate"][field] = entry[field] = value
    (array,) = (one for one in schema["fields"] if one["name"] == "prv_candidates")
    array["type"] = ["null", {"type": "array", "items": {**HISTORY, "fields": earlier}}]
    record["prv_candidates"] = [entry]
    out = io.BytesIO()
    fastavro.writer(out, fastavro.parse_schema(schema), [record])
    row = {name: one for name, one in record.items() if not name.startswith("cutout")}
    return out.getvalue(), row


def lenient(cuts: dict[str, Any], **changes: Any) -> DecentFilter:
    """A filter that asks for what is there and for the sign, and lets everything else pass."""
    wide = {name: -math.inf if name.startswith("min_") else math.inf for name in cuts}
    never = {
        "gaia_rs": 0,
        "ps1_sgveto_rad": -1,
        "ps1_confusion_rad": -1,
        "min_drb": 0,
        "min_ndet": 1,
        "max_nbad": 99,
    }
    return DecentFilter(**{**wide, **never, **changes})


def said(unit: DecentFilter, data: bytes, row: dict[str, Any]) -> set[str]:
    """Reasons by which the filter rejects: on columns, one by one, and as a row of a table."""
    alerts = [decode(data), decode(row)]
    found = set()
    for batch, _ in batches([data] * 3, unit.asks()):
        assert not batch.faults
        if batch.kind("isdiffpos") != "other" and batch.kind("drb") != "other":
            verdicts = unit.judge(batch)
            found |= {verdicts.reasons[code - 1] if code else "" for code in verdicts.codes}
        alerts.append(batch.alert(0))
    return found | {unit.evaluate(one).reason for one in alerts}


def points(data: bytes, row: dict[str, Any], unit: DecentFilter) -> list[Datapoint]:
    """What was found, of either sign: of columns, one by one, and as a row of a table."""
    found = datapoints(decode(data)) + datapoints(decode(row))
    for batch, _ in batches([data] * 3, unit.asks()):
        for several in batch.datapoints([0, 2]).values():
            assert isinstance(several, list), several
            found += several
    assert len(found) >= 4
    return [one for one in found if one.is_detection or one.is_negative]


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [(*one, True) for one in YES]
    + [(*one, False) for one in NO]
    + [(*one, None) for one in NEITHER],
)
def test_the_sign_of_a_subtraction(
    cuts: dict[str, Any], value: Any, kind: Any, *, expected: bool | None
) -> None:
    data, row = packet("isdiffpos", value, kind)
    unit = lenient(cuts)
    assert said(unit, data, row) == {{True: "", False: "isdiffpos", None: "missing"}[expected]}
    found = points(data, row, unit)
    assert {one.positive for one in found} == {expected}
    drawn = {"negative" in _classes(one) for one in found}
    assert drawn == {expected is False}


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (0.9, "double", ""),
        (0.25, ["null", "double"], "drb"),
        (1, "int", ""),
        (0, ["null", "int"], "drb"),
        (None, ["null", "double"], "drb"),
        (None, ["null", "int"], "drb"),
        (math.nan, "double", "drb"),
        (math.nan, ["null", "float"], "drb"),
        (ABSENT, None, ""),
    ],
)
def test_the_real_bogus_score(cuts: dict[str, Any], value: Any, kind: Any, expected: str) -> None:
    data, row = packet("drb", value, kind)
    unit = lenient(cuts, min_drb=0.5)
    assert said(unit, data, row) == {expected}
    known = value is not ABSENT and value is not None and not math.isnan(value)
    assert {one.drb for one in points(data, row, unit)} == {value if known else None}
    assert said(lenient(cuts), data, row) == {""}


@pytest.mark.parametrize("field", ["rb", "fwhm", "nbad", "sgscore2", "distpsnr3", "ssdistnr"])
@pytest.mark.parametrize("value", [None, math.nan, ABSENT])
def test_numbers_that_are_missing_in_any_way_are_missing(
    cuts: dict[str, Any], field: str, value: Any
) -> None:
    data, row = packet(field, value, ["null", "double"])
    assert said(lenient(cuts), data, row) == {"missing"}


VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.binary(max_size=4)
    | st.sampled_from(["t", "f", b"t", b"f", "1", "0"])
)


@given(VALUES | st.lists(VALUES, max_size=2))
def test_any_value_says_yes_or_no_or_neither(value: Any) -> None:
    found = flag(value)
    assert found in {True, False, None}
    number = flag_number(value)
    assert math.isnan(number) if found is None else number == found
    if isinstance(value, str | bytes):
        assert flag(value.upper()) is found


@settings(deadline=None, max_examples=40)
@given(st.text(max_size=5) | st.sampled_from(["t", "f", "T ", "FALSE", "\x00", "1.0"]))
def test_any_text_means_the_same_to_all(value: str) -> None:
    cuts = dict.fromkeys(DecentFilter.model_fields, 0.0)
    cuts = {
        name: one for name, one in cuts.items() if name not in {"apply_max_nbad", "gaia_catalog"}
    }
    data, row = packet("isdiffpos", value, NULLABLE)
    unit = lenient(cuts)
    (reason,) = said(unit, data, row)
    (positive,) = {one.positive for one in points(data, row, unit)}
    assert reason == {True: "", False: "isdiffpos", None: "missing"}[positive]

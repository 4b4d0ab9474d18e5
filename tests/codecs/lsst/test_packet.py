"""Packets of a schema in Rubin's manner: the wire, containers, rows; what is wrong is named."""

import contextlib
import math
import os
from collections.abc import Callable
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.codecs import alerts
from ampelstream.codecs.lsst import FixedSchemas, datapoints, decode
from ampelstream.errors import DecodeError, UnknownSchema

Row = Callable[..., dict[str, Any]]
As = Callable[[dict[str, Any]], bytes]


FUZZ = int(os.environ.get("AMPELSTREAM_FUZZ_CASES", "300"))


def exercise(value: Any, schemas: FixedSchemas | None) -> None:
    alert = alerts.decode(value, schemas)
    alert.history.epochs()
    alert.history.points()
    alert.history.forced()
    alerts.datapoints(alert)


def test_the_wire(row: Row, source: Row, as_wire: As, schemas: FixedSchemas) -> None:
    earlier = [source(diaSourceId=99, midpointMjdTai=61107.5), source(diaSourceId=100)]
    packet = row(*earlier)
    alert = decode(as_wire(packet), schemas)
    assert (alert.survey, alert.object_id, alert.candid) == ("lsst", "77", 101)
    assert (alert.ra, alert.dec) == (150.0, -2.0)
    assert alert.jd == pytest.approx(2461109.75 - 37 / 86400, abs=1e-9)
    assert alert.candidate == packet["diaSource"]
    assert alert.history.points() == earlier
    assert alert.history.epochs() == pytest.approx(
        [2461108.0 - 37 / 86400, 2461109.75 - 37 / 86400], abs=1e-9
    )
    assert alert.history.forced() == packet["prvDiaForcedSources"]
    assert [point.id for point in datapoints(alert)] == [99, 100, 5, 101]


def test_all_carriers_tell_the_same(
    row: Row, source: Row, as_wire: As, as_container: As, schemas: FixedSchemas
) -> None:
    packet = row(source(diaSourceId=99, psfFlux=None), source(diaSourceId=98, band="u"))
    values: list[Any] = [as_wire(packet), as_container(packet), packet]
    tellings = [
        (repr(alert), alert.candidate, alert.history.epochs(), alerts.datapoints(alert))
        for alert in (alerts.decode(value, schemas) for value in values)
    ]
    assert tellings[0] == tellings[1] == tellings[2]


def test_a_schema_parsed_by_fastavro_serves_as_well(
    row: Row, source: Row, as_wire: As, schemas: FixedSchemas
) -> None:
    parsed: Any = fastavro.parse_schema(dict(schemas.known(4201) or {}))
    alert = decode(as_wire(row(source(diaSourceId=9))), FixedSchemas({4201: parsed}))
    assert [point.id for point in datapoints(alert)] == [9, 5, 101]


def test_a_schema_that_is_not_known(row: Row, as_wire: As) -> None:
    for schemas in (None, FixedSchemas({})):
        with pytest.raises(UnknownSchema, match="schema 4201 ") as caught:
            alerts.decode(as_wire(row()), schemas)
        assert caught.value.schema_id == 4201


@pytest.mark.parametrize(
    ("diaobject", "ssobject", "name"),
    [
        (77, 0, "77"),
        (77, None, "77"),
        (0, 21164719644750924, "ss21164719644750924"),
        (None, 5, "ss5"),
    ],
)
def test_the_name_of_the_object(
    row: Row, diaobject: int | None, ssobject: int | None, name: str
) -> None:
    assert decode(row(diaObjectId=diaobject, ssObjectId=ssobject)).object_id == name


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"diaObjectId": 0, "ssObjectId": None}, "no object"),
        ({"diaObjectId": "77"}, "diaObjectId"),
        ({"diaObjectId": -1}, "diaObjectId"),
        ({"diaSourceId": None}, "diaSourceId"),
        ({"diaSourceId": 1 << 63}, "diaSourceId"),
        ({"ra": None}, "diaSource.ra"),
        ({"ra": math.nan}, "diaSource.ra"),
        ({"ra": 10**400}, "diaSource.ra"),
        ({"dec": -90.5}, "position"),
        ({"midpointMjdTai": None}, "midpointMjdTai"),
        ({"midpointMjdTai": 2461109.25}, "midpointMjdTai"),
        ({"midpointMjdTai": 100.0}, "1999"),
        ({"midpointMjdTai": math.inf}, "midpointMjdTai"),
    ],
)
def test_what_is_wrong_is_named(row: Row, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(DecodeError, match=words):
        decode(row(**changes))


@pytest.mark.parametrize("head", [b"\0", b"\0\0\0\x10", b"\0\0\0\x10\x69"])
def test_a_message_that_ends_early(head: bytes, schemas: FixedSchemas) -> None:
    with pytest.raises(DecodeError):
        exercise(head, schemas)


@pytest.mark.parametrize(
    "schema",
    [{}, {"type": "record", "name": "a", "fields": []}, {"type": "record", "name": "a"}],
)
def test_a_schema_that_is_not_rubins(row: Row, as_wire: As, schema: dict[str, Any]) -> None:
    for _ in range(2):  # the failure is remembered, and raised again
        with pytest.raises(DecodeError, match="not a Rubin alert"):
            decode(as_wire(row()), FixedSchemas({4201: schema}))


@pytest.mark.parametrize("history", ["text", [1], {"a": 1}, [{"diaSourceId": "x"}], [{}]])
def test_a_row_with_an_odd_history(row: Row, history: Any) -> None:
    with pytest.raises(DecodeError):
        exercise({**row(), "prvDiaSources": history}, None)


@settings(deadline=None, max_examples=FUZZ)
@given(st.data())
def test_corrupt_bytes_end_as_a_decode_error(
    row: Row, source: Row, as_wire: As, as_container: As, schemas: FixedSchemas, data: st.DataObject
) -> None:
    packet = row(source(diaSourceId=99), source(diaSourceId=100, note="a note"))
    make = data.draw(st.sampled_from([as_wire, as_container]))
    value = bytearray(make(packet))
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(5, len(value)))
        piece = data.draw(st.binary(max_size=6))
        value[at : at + data.draw(st.integers(0, 6))] = piece
    with contextlib.suppress(DecodeError):
        exercise(bytes(value), schemas)


@settings(deadline=None, max_examples=FUZZ)
@given(st.binary(max_size=80))
def test_any_bytes_behind_the_schema(schemas: FixedSchemas, body: bytes) -> None:
    with contextlib.suppress(DecodeError):
        exercise(b"\0\0\0\x10\x69" + body, schemas)

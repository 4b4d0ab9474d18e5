"""Packets made by hand: odd unions, odd rows, wrong content."""

import io
from typing import Any

import fastavro
import pytest

from ampelstream.codecs.ztf import datapoints, decode
from ampelstream.errors import DecodeError

JD = 2460000.5


def nullable(schema: Any) -> list[Any]:
    return ["null", schema]


def spark_packet() -> bytes:
    """A packet in which everything is nullable, as Spark writes it."""
    entry = {
        "type": "record",
        "name": "prv",
        "fields": [
            {"name": "jd", "type": nullable("double")},
            {"name": "fid", "type": nullable("int")},
            {"name": "pdiffimfilename", "type": nullable("string")},
            {"name": "candid", "type": nullable("long")},
            {"name": "magpsf", "type": nullable("float")},
            {"name": "isdiffpos", "type": nullable("string")},
        ],
    }
    own = {
        "type": "record",
        "name": "own",
        "fields": [{"name": n, "type": nullable("double")} for n in ("jd", "ra", "dec", "magpsf")],
    }
    schema = {
        "type": "record",
        "name": "alert",
        "fields": [
            {"name": "objectId", "type": nullable("string")},
            {"name": "candid", "type": nullable("long")},
            {"name": "candidate", "type": nullable(own)},
            {"name": "note", "type": nullable("string")},
            {
                "name": "prv_candidates",
                "type": nullable({"type": "array", "items": nullable(entry)}),
            },
        ],
    }
    blank = dict.fromkeys(("fid", "pdiffimfilename", "candid", "magpsf", "isdiffpos"))
    record = {
        "objectId": "ZTF24aaaaaaa",
        "candid": 9,
        "candidate": {"jd": JD, "ra": 1.0, "dec": 2.0, "magpsf": 18.0},
        "note": "between",
        "prv_candidates": [
            {**blank, "jd": JD - 2},
            None,
            {**blank, "jd": JD - 1, "candid": 8, "magpsf": 18.5, "isdiffpos": "f", "fid": 2},
        ],
    }
    out = io.BytesIO()
    fastavro.writer(out, schema, [record])
    return out.getvalue()


def row(**changes: Any) -> dict[str, Any]:
    candidate = {"jd": JD, "ra": 1.0, "dec": 2.0, "magpsf": 18.0, "fid": 1}
    candidate.update(changes.pop("candidate", {}))
    return {"objectId": "ZTF24aaaaaaa", "candid": 9, "candidate": candidate, **changes}


def test_everything_nullable() -> None:
    alert = decode(spark_packet())
    assert list(alert.history.epochs()) == [JD - 1]
    points = datapoints(alert)
    assert [(point.jd, point.mag) for point in points if point.mag is not None] == [
        (JD - 1, 18.5),
        (JD, 18.0),
    ]
    assert [point.positive for point in points if point.mag is not None] == [False, None]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b"", "empty"),
        (b"hello", "not an Avro container"),
        (b"\x00\x00\x00\x02\xbd" + bytes(40), "not an Avro container"),
        (row(candidate={"jd": None}), "candidate.jd"),
        (row(candidate={"ra": "12"}), "candidate.ra"),
        (row(candidate={"dec": float("nan")}), "candidate.dec"),
        (row(candidate={"dec": -91.0}), "position"),
        (row(candidate={"jd": 1e10}), "Julian date"),
        (row(objectId=None), "objectId"),
        (row(objectId=""), "objectId"),
        (row(objectId="ZTF\x1f"), "objectId"),
        (row(objectId="Z" * 257), "objectId is 257 characters"),
        (row(candid="9"), "candid"),
        (row(candid=1 << 63), "64 bits"),
        (row(candid=10**400), "64 bits"),
        (row(candidate={"ra": 10**400}), "candidate.ra"),
        ({"objectId": "a", "candid": 1}, "no candidate"),
    ],
)
def test_what_is_wrong_is_named(value: Any, words: str) -> None:
    with pytest.raises(DecodeError, match=words):
        decode(value)


@pytest.mark.parametrize(
    "history", ["text", [1, 2], [{"candid": 1, "jd": "x"}], [{"candid": 1 << 64}], {"a": 1}]
)
def test_a_row_with_an_odd_history(history: Any) -> None:
    alert = decode(row(prv_candidates=history))
    with pytest.raises(DecodeError):
        datapoints(alert)


def test_an_upper_limit_has_the_same_id_in_every_packet() -> None:
    limit = {"jd": JD - 1, "fid": 2, "pid": 77, "diffmaglim": 20.1, "candid": None}
    first = datapoints(decode(row(prv_candidates=[limit])))[0]
    again = datapoints(decode(row(candid=10, prv_candidates=[dict(limit)])))[0]
    assert first == again
    assert first.id < 0
    assert (first.mag, first.limmag) == (None, 20.1)

"""A schema in Rubin's manner, written by us, and packets of it."""

import io
from collections.abc import Callable
from typing import Any

import fastavro
import pytest

from ampelstream.codecs.lsst import FixedSchemas

MADE = 4201


def field(name: str, kind: Any) -> dict[str, Any]:
    return {"name": name, "type": kind}


def nullable(kind: Any) -> list[Any]:
    return ["null", kind]


SOURCE = {
    "type": "record",
    "name": "made.v42_1.diaSource",
    "fields": [
        field("diaSourceId", "long"),
        field("visit", "long"),
        field("detector", "int"),
        field("diaObjectId", nullable("long")),
        field("ssObjectId", nullable("long")),
        field("midpointMjdTai", "double"),
        field("ra", "double"),
        field("dec", "double"),
        field("x", "float"),
        field("y", "float"),
        field("psfFlux", nullable("float")),
        field("psfFluxErr", nullable("float")),
        field("note", nullable("string")),
        field("reliability", nullable("float")),
        field("band", nullable("string")),
    ],
}
FORCED = {
    "type": "record",
    "name": "made.v42_1.diaForcedSource",
    "fields": [
        field("diaForcedSourceId", "long"),
        field("visit", "long"),
        field("detector", "int"),
        field("psfFlux", nullable("float")),
        field("psfFluxErr", nullable("float")),
        field("midpointMjdTai", "double"),
        field("band", nullable("string")),
    ],
}
SCHEMA = {
    "type": "record",
    "name": "made.v42_1.alert",
    "fields": [
        field("diaSourceId", "long"),
        field("observation_reason", nullable("string")),
        field("diaSource", SOURCE),
        field("between", nullable("string")),
        field("prvDiaSources", nullable({"type": "array", "items": "made.v42_1.diaSource"})),
        field("prvDiaForcedSources", nullable({"type": "array", "items": FORCED})),
        field("cutoutDifference", nullable("bytes")),
    ],
}


def made_source(**changes: Any) -> dict[str, Any]:
    """A source of 1 microjansky, 21 mag to a few hundredths."""
    source = {
        "diaSourceId": 101,
        "visit": 2026030900027,
        "detector": 148,
        "diaObjectId": 77,
        "ssObjectId": 0,
        "midpointMjdTai": 61109.25,
        "ra": 150.0,
        "dec": -2.0,
        "x": 10.0,
        "y": 20.0,
        "psfFlux": 1000.0,
        "psfFluxErr": 50.0,
        "note": None,
        "reliability": 0.75,
        "band": "z",
    }
    return {**source, **changes}


def made_forced(**changes: Any) -> dict[str, Any]:
    """Forced photometry of the exposure before, within the noise."""
    forced = {
        "diaForcedSourceId": 5,
        "visit": 2026030800011,
        "detector": 148,
        "psfFlux": 3.5,
        "psfFluxErr": 50.0,
        "midpointMjdTai": 61108.25,
        "band": "z",
    }
    return {**forced, **changes}


def made_row(*earlier: dict[str, Any], **changes: Any) -> dict[str, Any]:
    source = made_source(**changes)
    return {
        "diaSourceId": source["diaSourceId"],
        "observation_reason": "field_survey",
        "diaSource": source,
        "between": "text",
        "prvDiaSources": list(earlier) or None,
        "prvDiaForcedSources": [made_forced()],
        "cutoutDifference": b"pixels",
    }


def wire(row: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    out.write(b"\0" + MADE.to_bytes(4, "big"))
    fastavro.schemaless_writer(out, fastavro.parse_schema(SCHEMA), row)
    return out.getvalue()


def container(row: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    fastavro.writer(out, fastavro.parse_schema(SCHEMA), [row], codec="deflate")
    return out.getvalue()


@pytest.fixture(scope="session")
def schemas() -> FixedSchemas:
    return FixedSchemas({MADE: SCHEMA})


@pytest.fixture(scope="session")
def source() -> Callable[..., dict[str, Any]]:
    return made_source


@pytest.fixture(scope="session")
def row() -> Callable[..., dict[str, Any]]:
    return made_row


@pytest.fixture(scope="session")
def as_wire() -> Callable[[dict[str, Any]], bytes]:
    return wire


@pytest.fixture(scope="session")
def as_container() -> Callable[[dict[str, Any]], bytes]:
    return container

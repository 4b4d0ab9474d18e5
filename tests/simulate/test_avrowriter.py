"""Simulated packets as Avro: the schema is ZTF's, and fastavro reads what was encoded."""

import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.simulate.avrowriter import VERSION, compiled, encode_long, packet_schema

Fields = dict[str, Any]


def fields(schema: Any) -> Iterator[tuple[str, Any]]:
    """Names and types of a record's fields, in order; records in them as such pairs again."""
    for field in schema["fields"]:
        yield field["name"], plain(field["type"])


def plain(kind: Any) -> Any:
    if isinstance(kind, list):
        return [plain(one) for one in kind]
    if isinstance(kind, dict) and kind["type"] == "array":
        return ["array", plain(kind["items"])]
    if isinstance(kind, dict) and kind["type"] == "record":
        return list(fields(kind))
    return kind


def test_the_schema_is_valid() -> None:
    parsed = fastavro.parse_schema(packet_schema())
    assert isinstance(parsed, dict)
    assert len(packet_schema()["fields"][4]["type"]["fields"]) == 103


@pytest.mark.realdata
def test_a_real_packet_has_the_same_fields(data_dir: Path) -> None:
    path = data_dir / "ztf/boom/tests/data/alerts/ztf/3005140370015010009.avro"
    with path.open("rb") as file:
        reader = fastavro.reader(file)
        real: Any = reader.writer_schema
        packet: Any = next(reader)
    assert packet["schemavsn"] == VERSION
    assert list(fields(packet_schema())) == list(fields(real))


# The encoder, against fastavro, an independent reader

LONGS = st.integers(-(2**63), 2**63 - 1)
INNER = {"type": "record", "name": "t.inner", "fields": [{"name": "x", "type": ["null", "double"]}]}
SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "t.outer",
    "fields": [
        {"name": "number", "type": "long"},
        {"name": "small", "type": ["null", "int"]},
        {"name": "text", "type": "string"},
        {"name": "raw", "type": ["null", "bytes"]},
        {"name": "real", "type": "float"},
        {"name": "many", "type": ["null", {"type": "array", "items": INNER}]},
        {"name": "one", "type": ["null", "t.inner"]},
    ],
}
RECORDS = st.fixed_dictionaries(
    {
        "number": LONGS,
        "small": st.none() | st.integers(-(2**31), 2**31 - 1),
        "text": st.text(),
        "raw": st.none() | st.binary(),
        "real": st.floats(width=32, allow_nan=False),
        "many": st.none()
        | st.lists(st.fixed_dictionaries({"x": st.none() | st.floats(allow_nan=False)})),
        "one": st.none() | st.fixed_dictionaries({"x": st.floats(allow_nan=False)}),
    }
)


@settings(deadline=None)
@given(record=RECORDS)
def test_fastavro_reads_what_was_encoded(record: dict[str, Any]) -> None:
    source = io.BytesIO(compiled(SCHEMA)(record))
    assert fastavro.schemaless_reader(source, SCHEMA, None) == record
    assert source.read() == b""


@settings(deadline=None)
@given(number=LONGS)
def test_longs_are_encoded_as_fastavro_encodes_them(number: int) -> None:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, "long", number)
    assert encode_long(number) == out.getvalue()


def test_what_does_not_fit_is_refused() -> None:
    encode = compiled(SCHEMA)
    good = dict.fromkeys(("small", "raw", "many", "one")) | {"number": 1, "text": "", "real": 0.0}
    assert encode(good)
    with pytest.raises(KeyError, match="number"):
        encode({key: value for key, value in good.items() if key != "number"})
    with pytest.raises(struct.error):
        encode(good | {"real": "bright"})
    with pytest.raises(KeyError, match="unknown"):
        compiled({**SCHEMA, "fields": [{"name": "x", "type": "unknown"}]})

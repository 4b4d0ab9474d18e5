"""Our Avro encoder against fastavro, an independent reader."""

import io
import struct
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.simulate.binary import compiled, encode_long

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

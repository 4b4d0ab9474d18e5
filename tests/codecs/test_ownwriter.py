"""What is written is what fastavro writes, byte for byte."""

import io
import json
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.codecs.ownwriter import long, writer
from ampelstream.shipped import schema_path

PLAIN: dict[str, st.SearchStrategy[Any]] = {
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(),
    "boolean": st.booleans(),
    "string": st.text(max_size=200),
    "bytes": st.binary(max_size=200),
}


def values_of(schema: Any, known: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """Records of a schema, as fastavro takes them."""
    if isinstance(schema, list):
        return st.none() | values_of(schema[1], known)
    if isinstance(schema, str):
        return PLAIN[schema] if schema in PLAIN else known[schema]
    if schema["type"] == "array":
        return st.lists(values_of(schema["items"], known), max_size=3)
    names = [field["name"] for field in schema["fields"]]
    values = st.tuples(*(values_of(field["type"], known) for field in schema["fields"]))
    known[schema["name"]] = found = values.map(lambda drawn: dict(zip(names, drawn, strict=True)))
    return found


def in_order(value: Any) -> Any:
    """Records as sequences of their values."""
    if isinstance(value, dict):
        return tuple(in_order(one) for one in value.values())
    return [in_order(one) for one in value] if isinstance(value, list) else value


def by_fastavro(schema: Any, record: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, record)
    return out.getvalue()


@pytest.mark.parametrize("name", ["detection", "candidate", "tick", "announcement", "dead_letter"])
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_as_fastavro_writes(name: str, data: st.DataObject) -> None:
    schema = json.loads(schema_path(name).read_text())
    record = data.draw(values_of(schema, {}))
    assert writer(schema)(in_order(record)) == by_fastavro(schema, record)


@given(PLAIN["long"])
def test_integers(number: int) -> None:
    assert long(number) == by_fastavro("long", number)


@pytest.mark.parametrize("bits", range(64))
def test_every_length(bits: int) -> None:
    for number in (1 << bits) - 1, -(1 << bits), 1 << (bits - 1) if bits else 0:
        assert long(number) == by_fastavro("long", number)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**30])
def test_no_integer_is_cut(number: int) -> None:
    with pytest.raises(OverflowError, match="64 bits"):
        long(number)


@pytest.mark.parametrize("number", [2**31, -(2**31) - 1])
def test_nor_one_of_32_bits(number: int) -> None:
    write = writer({"type": "record", "name": "A", "fields": [{"name": "a", "type": "int"}]})
    with pytest.raises(OverflowError, match="32 bits"):
        write([number])


def test_what_is_missing_is_not_written() -> None:
    write = writer({"type": "record", "name": "A", "fields": [{"name": "a", "type": "double"}]})
    with pytest.raises(Exception, match="required argument is not a float"):
        write([None])
    with pytest.raises(ValueError, match="shorter"):
        write([])


@pytest.mark.parametrize("schema", [{"type": "map", "values": "int"}, ["int", "string"], "other"])
def test_what_it_cannot_write(schema: Any) -> None:
    with pytest.raises(ValueError, match="no writer"):
        writer(schema)

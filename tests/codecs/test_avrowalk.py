"""Skipping lands where decoding would, for any schema."""

import io
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.codecs import avropick
from ampelstream.codecs.avro.container import long_bytes
from ampelstream.codecs.avropick import compile_entries
from ampelstream.codecs.avrowalk import compile_skip, read_long
from ampelstream.errors import DecodeError

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(width=32, allow_nan=False),
    "double": st.floats(allow_nan=False),
    "string": st.text(max_size=90),
    "bytes": st.binary(max_size=90),
}


@st.composite
def typed(draw: st.DrawFn) -> tuple[Any, Any]:
    """A schema, and a value of it."""
    kind = draw(st.sampled_from([*VALUES, "nullable", "swapped", "array", "map"]))
    if kind in VALUES:
        return kind, draw(VALUES[kind])
    inner = draw(st.sampled_from([name for name in VALUES if name != "null"]))
    if kind == "array":
        return {"type": "array", "items": inner}, draw(st.lists(VALUES[inner], max_size=4))
    if kind == "map":
        keys = st.text(max_size=5)
        return (
            {"type": "map", "values": inner},
            draw(st.dictionaries(keys, VALUES[inner], max_size=3)),
        )
    union = ["null", inner] if kind == "nullable" else [inner, "null"]
    return union, draw(st.none() | VALUES[inner])


records = st.lists(typed(), min_size=1, max_size=12)


@settings(deadline=None, max_examples=200)
@given(fields=records, cut=st.integers(0, 10_000))
def test_skip_lands_behind_the_record(fields: list[tuple[Any, Any]], cut: int) -> None:
    schema = {
        "type": "record",
        "name": "r",
        "fields": [{"name": f"f{n}", "type": kind} for n, (kind, _) in enumerate(fields)],
    }
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, {f"f{n}": value for n, (_, value) in enumerate(fields)})
    body = out.getvalue()
    skip = compile_skip(schema, {})
    assert skip(body + b"more", 0) == len(body)
    if body:
        with pytest.raises(DecodeError):
            skip(body[: cut % len(body)], 0)


def test_named_types_are_found_again() -> None:
    point = {"type": "record", "name": "a.point", "fields": [{"name": "x", "type": "double"}]}
    schema = {
        "type": "record",
        "name": "two",
        "fields": [{"name": "one", "type": point}, {"name": "other", "type": ["null", "a.point"]}],
    }
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, {"one": {"x": 1.0}, "other": {"x": 2.0}})
    assert compile_skip(schema, {})(out.getvalue(), 0) == len(out.getvalue())


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff" * 11])
def test_a_number_that_breaks_off_or_is_too_long(data: bytes) -> None:
    with pytest.raises(DecodeError):
        read_long(data, 0)


@given(st.integers(-(2**63), 2**63 - 1))
def test_numbers(value: int) -> None:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, "long", value)
    assert read_long(out.getvalue(), 0) == (value, len(out.getvalue()))


def test_a_huge_array_is_refused_at_once() -> None:
    skip = compile_skip({"type": "array", "items": "null"}, {})
    out = io.BytesIO()
    fastavro.schemaless_writer(out, "long", 2**60)
    with pytest.raises(DecodeError, match="does not fit"):
        skip(out.getvalue(), 0)


def test_items_of_no_size_are_bounded_in_all_blocks_together() -> None:
    skip = compile_skip({"type": "array", "items": "null"}, {})
    block = long_bytes(60)  # sixty values of nothing
    assert skip(block + b"\0" + bytes(100), 0) == 2
    with pytest.raises(DecodeError, match="does not fit"):
        skip(block * 50 + b"\0" + bytes(100), 0)


def test_a_history_of_nothing_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(avropick, "_MANY_ENTRIES", 100)
    nothing = {"type": "record", "name": "n", "fields": []}
    entries = compile_entries("h", {"type": "array", "items": nothing}, frozenset({"jd"}), {})
    assert entries is not None
    assert entries(long_bytes(50) * 2 + b"\0" + bytes(100), 0) == [{}] * 100
    with pytest.raises(DecodeError, match="a history of 150 entries does not fit"):
        entries(long_bytes(50) * 3 + b"\0" + bytes(100), 0)

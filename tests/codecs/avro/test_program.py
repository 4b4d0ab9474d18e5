"""Columns of generated schemas and values are those of fastavro, in both interpreters."""

import io
import time
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.codecs.avro import backend
from ampelstream.codecs.avro.columns import Reader, Walker
from ampelstream.codecs.avro.program import UnfitSchema, compile_program
from ampelstream.errors import DecodeError
from tests.codecs.avro.conftest import COMPILED, PLAIN
from tests.codecs.avro.told import column, same

INTERPRETERS = [PLAIN] if COMPILED is None else [PLAIN, COMPILED]

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(width=32),
    "double": st.floats(),
    "string": st.text(max_size=90),
    "bytes": st.binary(max_size=300),
}


@st.composite
def typed(draw: st.DrawFn) -> tuple[Any, Any]:
    """A schema, and a value of it."""
    kind = draw(st.sampled_from([*VALUES, "null", "nullable", "swapped", "array", "map", "any"]))
    if kind == "null":
        return kind, None
    if kind in VALUES:
        return kind, draw(VALUES[kind])
    inner = draw(st.sampled_from(list(VALUES)))
    if kind == "array":
        return {"type": "array", "items": inner}, draw(st.lists(VALUES[inner], max_size=4))
    if kind == "map":
        keys = st.text(max_size=5)
        return (
            {"type": "map", "values": inner},
            draw(st.dictionaries(keys, VALUES[inner], max_size=3)),
        )
    if kind == "any":
        return ["null", "long", "string"], draw(st.none() | VALUES["long"] | VALUES["string"])
    union = ["null", inner] if kind == "nullable" else [inner, "null"]
    return union, draw(st.none() | VALUES[inner])


fields_of = st.lists(typed(), min_size=1, max_size=12)


def record(name: str, fields: list[tuple[Any, Any]]) -> dict[str, Any]:
    made = [{"name": f"f{n}", "type": kind} for n, (kind, _) in enumerate(fields)]
    return {"type": "record", "name": name, "fields": made}


def values(fields: list[tuple[Any, Any]]) -> dict[str, Any]:
    return {f"f{n}": value for n, (_, value) in enumerate(fields)}


def written(schema: Any, value: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, value)
    return out.getvalue()


@settings(deadline=None, max_examples=300)
@given(
    head=fields_of,
    entry=fields_of,
    number=st.integers(0, 5),
    spark=st.booleans(),
    wanted=st.sets(st.integers(0, 11)),
    cut=st.integers(0, 3000),
)
def test_columns(
    head: list[tuple[Any, Any]],
    entry: list[tuple[Any, Any]],
    number: int,
    spark: bool,  # noqa: FBT001  (drawn)
    wanted: set[int],
    cut: int,
) -> None:
    inner = record("entry", entry)
    schema = record("packet", head)
    items: Any = [inner, "null"] if spark else inner
    array = {"type": "array", "items": items}
    small = not spark and all(kind == "null" for kind, _ in entry)
    schema["fields"] += [
        {"name": "own", "type": ["null", {**record("own", head), "name": "own"}]},
        {"name": "history", "type": ["null", array] if spark else array},
        {"name": "last", "type": "long"},
    ]
    names = [f"f{n}" for n in wanted]
    asked = {"": [*names, "last"], "own": names, "history": names}
    entries: list[Any] = [values(entry)] * number
    if spark and number > 1:
        entries[1] = None
    whole = {
        **values(head),
        "own": values(head) if cut % 2 else None,
        "history": entries,
        "last": 7,
    }
    data = written(fastavro.parse_schema(schema), whole)
    if small:
        with pytest.raises(DecodeError, match="no size"):
            compile_program(schema, asked)
        return
    for interpreter in INTERPRETERS:
        try:
            reader = Reader(schema, asked, interpreter)
        except UnfitSchema:
            assert any(
                isinstance(kind, dict | list) or kind in {"bytes", "null"} for kind, _ in entry
            )
            return
        columns = reader.read([data, data[:cut], data], [0, 0, 0], framed=False)
        assert columns.status[0] == columns.status[2] == len(data)
        if cut < len(data):
            assert columns.status[1] < 0
        for place, expected in (
            ("", [whole]),
            ("own", [whole["own"] or {}]),
            ("history", [one for one in entries if one is not None]),
        ):
            for name in asked[place]:
                got = column(columns, place, name)
                if got is None:
                    continue
                first = got[: len(expected)]
                assert all(map(same, first, [one.get(name) for one in expected])), (place, name)
                assert len(got) == (
                    3 if place != "history" else (2 + (cut >= len(data))) * len(first)
                )


@settings(deadline=None, max_examples=200)
@given(fields=fields_of, behind=st.binary(max_size=20))
def test_a_walker_finds_the_end(fields: list[tuple[Any, Any]], behind: bytes) -> None:
    schema = record("packet", fields)
    data = written(fastavro.parse_schema(schema), values(fields))
    assert Walker(schema).behind(b"xx" + data + behind, 2) == 2 + len(data)


@settings(deadline=None, max_examples=500)
@given(fields=fields_of, junk=st.binary(max_size=60))
def test_junk_gives_the_same_in_both_and_ends(fields: list[tuple[Any, Any]], junk: bytes) -> None:
    schema = record("packet", fields)
    asked = {"": [one["name"] for one in schema["fields"]]}
    told = []
    for interpreter in INTERPRETERS:
        columns = Reader(schema, asked, interpreter).read([junk], [0], framed=False)
        status = int(columns.status[0])
        told.append(
            (
                status,
                [
                    repr(column(columns, "", name))
                    for name in asked[""]
                    if status >= 0 and columns.kind("", name) != "text"
                ],
            )
        )
        assert status <= len(junk)
    assert told[0] == told[-1]


def test_both_have_the_same_instructions() -> None:
    if COMPILED is None:
        pytest.skip("there is no compiled interpreter")
    names = [name for name in vars(PLAIN.module) if name.isupper() and name[0] != "_"]
    assert len(names) > 30
    for name in names:
        if name != "NAN":
            assert int(getattr(COMPILED.module, name)) == getattr(PLAIN.module, name), name


@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_more_rows_than_there_is_room_for(interpreter: backend.Interpreter) -> None:
    entry = {"type": "record", "name": "e", "fields": [{"name": "x", "type": ["null", "long"]}]}
    schema = {
        "type": "record",
        "name": "p",
        "fields": [{"name": "history", "type": {"type": "array", "items": entry}}],
    }
    parsed = fastavro.parse_schema(schema)
    long = written(parsed, {"history": [{"x": n} for n in range(3000)]})
    short = written(parsed, {"history": [{"x": None}]})
    columns = Reader(schema, {"history": ["x"]}, interpreter).read(
        [short, long, short], [0, 0, 0], framed=False
    )
    assert columns.offsets("history").tolist() == [0, 1, 3001, 3002]
    assert column(columns, "history", "x") == [None, *range(3000), None]
    endless = b"\x80\x80\x80\x02" + bytes(3_000_000)
    found = Reader(schema, {"history": ["x"]}, interpreter).read([endless], [0], framed=False)
    assert found.status[0] == backend.CODES.FULL


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "record", "name": "r", "fields": [{"name": "a", "type": "nowhere"}]},
        {"type": "record", "name": "r", "fields": [{"name": "a", "type": ["null", "r"]}]},
        {
            "type": "record",
            "name": "r",
            "fields": [{"name": "a", "type": {"type": "array", "items": "null"}}],
        },
    ],
)
def test_what_is_no_schema_of_packets(schema: Any) -> None:
    with pytest.raises(DecodeError):
        compile_program(schema, {})


def nested(leaf: str, width: int, depth: int) -> dict[str, Any]:
    """A record of records of records, each of which names the next one many times."""
    schema: Any = {"type": "record", "name": "r0", "fields": [{"name": "x", "type": leaf}]}
    for level in range(1, depth):
        first = [{"name": "f0", "type": schema}]
        others = [{"name": f"f{n}", "type": f"r{level - 1}"} for n in range(1, width)]
        schema = {"type": "record", "name": f"r{level}", "fields": first + others}
    return dict(schema)


@pytest.mark.parametrize("leaf", ["null", "int"])
@pytest.mark.parametrize("inside_array", [False, True])
def test_a_schema_that_grows_without_end_is_refused_at_once(
    leaf: str, *, inside_array: bool
) -> None:
    schema: Any = nested(leaf, 12, 14)
    if inside_array:
        field = {"name": "a", "type": {"type": "array", "items": schema}}
        schema = {"type": "record", "name": "outer", "fields": [field]}
    began = time.perf_counter()
    with pytest.raises(DecodeError, match=r"larger than that of any alert|no size"):
        compile_program(schema, {})
    assert time.perf_counter() - began < 20


def test_a_crowded_packet_is_read_by_itself(interpreter: backend.Interpreter) -> None:
    entry = {"type": "record", "name": "e", "fields": [{"name": "x", "type": "int"}]}
    history = {"name": "history", "type": {"type": "array", "items": entry}}
    schema = {"type": "record", "name": "p", "fields": [history]}
    parsed = fastavro.parse_schema(schema)
    long = written(parsed, {"history": [{"x": n} for n in range(20_000)]})
    short = written(parsed, {"history": [{"x": 1}]})
    reader = Reader(schema, {"history": ["x"]}, interpreter)
    together = reader.read([short, long, short], [0, 0, 0], framed=False)
    assert together.crowded() == [1]
    assert together.offsets("history").tolist() == [0, 1, 1, 2]
    alone = reader.read([long], [0], framed=False)
    assert alone.crowded() == []
    assert column(alone, "history", "x") == list(range(20_000))

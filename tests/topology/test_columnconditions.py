"""A condition says the same of columns as of each alert."""

import io
import json
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.codecs.alerts import batches
from ampelstream.codecs.avro.container import first_block, metadata, read_header, write_header
from ampelstream.codecs.ztf import decode
from ampelstream.model.alertbatch import AlertBatch, Asked
from ampelstream.simulate import simulate_packets
from ampelstream.topology.conditions import Condition

PACKET = simulate_packets(1)[0]
HEADER = read_header(PACKET)
SCHEMA = json.loads(metadata(HEADER.key)["avro.schema"])
PARSED = fastavro.parse_schema(json.loads(json.dumps(SCHEMA)))
BODY: Any = fastavro.schemaless_reader(
    io.BytesIO(first_block(PACKET, HEADER.body, "null")), PARSED, None
)


def packet(**changes: Any) -> bytes:
    out = io.BytesIO()
    candidate = {**BODY["candidate"], **changes}
    fastavro.schemaless_writer(out, PARSED, {**BODY, "candidate": candidate})
    record = out.getvalue()
    head = write_header(metadata(HEADER.key), b"m" * 16)
    size = io.BytesIO()
    fastavro.schemaless_writer(size, "long", len(record))
    return head + b"\x02" + size.getvalue() + record + b"m" * 16


def batch_of(packets: list[bytes], condition: Condition) -> AlertBatch:
    ((batch, rows),) = batches(packets, Asked(condition.names))
    assert rows == list(range(len(packets)))
    return batch


FLOATS = ("rb", "drb", "ssdistnr", "distpsnr1")
INTEGERS = ("fid", "ndethist", "nbad")
floats = (
    st.none() | st.sampled_from([0.0, -0.0, 1.0, 17.5, -999.0, float("nan")]) | st.floats(width=32)
)
integers = st.sampled_from([0, 1, 2, 3]) | st.integers(-(2**31), 2**31 - 1)
drawn = st.fixed_dictionaries(
    {
        **dict.fromkeys(FLOATS, floats),
        "magpsf": floats.filter(lambda one: one is not None),
        "nbad": st.none() | integers,
        "fid": integers,
        "ndethist": integers,
        "isdiffpos": st.sampled_from(["t", "f", "1", ""]),
    }
)
names = st.sampled_from([*FLOATS, *INTEGERS, "magpsf", "absent", "candid"])
numbers = st.sampled_from(
    ["0", "1", "2.5", "-1", "17.5", "1e9", "null", "true", "9007199254740993"]
)
texts = st.sampled_from(["'t'", "'f'", "isdiffpos"])


def grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = st.sampled_from(["<", "<=", "==", "!=", ">", ">="])
    sums = st.sampled_from(["+", "-", "*", "/"])
    return st.one_of(
        st.tuples(inner, operators, inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(inner, operators, inner, operators, inner).map(
            lambda t: f"({t[0]} {t[1]} {t[2]} {t[3]} {t[4]})"
        ),
        st.tuples(inner, sums, inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda t: f"({' '.join(t)})"),
        inner.map(lambda t: f"(not {t})"),
        inner.map(lambda t: f"(-{t})"),
        st.tuples(inner, st.sampled_from(["in", "not in"]), inner, inner).map(
            lambda t: f"({t[0]} {t[1]} [{t[2]}, {t[3]}])"
        ),
        st.tuples(texts, st.sampled_from(["==", "!=", "<"]), texts).map(
            lambda t: f"({' '.join(t)})"
        ),
    )


conditions = st.recursive(names | numbers, grow, max_leaves=8)


@settings(deadline=None, max_examples=600)
@given(text=conditions, rows=st.lists(drawn, min_size=1, max_size=4))
def test_columns_and_alerts_agree(text: str, rows: list[dict[str, Any]]) -> None:
    condition = Condition(text)
    packets = [packet(**row) for row in rows]
    found = condition.mask(batch_of(packets, condition))
    if found is not None:
        expected = [condition.holds(decode(one).candidate) for one in packets]
        assert found.tolist() == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "magpsf < 19 and fid in [1, 2]",
        "isdiffpos == 't' or isdiffpos in ['1', 'true']",
        "drb == null or drb > 0.5",
        "ndethist / nbad > 2",
        "not (17 < magpsf <= 18.5)",
        "candid == 1234567890123456789",
        "magpsf - ssdistnr > 1 and absent == null",
    ],
)
def test_what_people_write_has_columns(text: str) -> None:
    condition = Condition(text)
    packets = [packet(magpsf=mag, nbad=nbad) for mag in (17.5, 18.5, 20.0) for nbad in (0, 3)]
    found = condition.mask(batch_of(packets, condition))
    assert found is not None
    assert found.tolist() == [condition.holds(decode(one).candidate) for one in packets]


@pytest.mark.parametrize("text", ["'t' in isdiffpos", "isdiffpos", "isdiffpos < 'u'"])
def test_the_rest_is_asked_of_each(text: str) -> None:
    condition = Condition(text)
    assert condition.mask(batch_of([packet()], condition)) is None


@pytest.mark.parametrize(
    "text",
    [
        "ndethist + 1 > ndethist",
        "ndethist*ndethist*ndethist + 1 > ndethist*ndethist*ndethist",
        "candid - 1 < candid",
        "-ndethist < 0",
        r"isdiffpos == '\ud800'",
        "rb in [rb]",
    ],
)
def test_what_floats_cannot_hold_is_asked_of_each(text: str) -> None:
    condition = Condition(text)
    numbers = (-(2**31), -1, 0, 40_000_000, 2**31 - 1)
    packets = [packet(ndethist=n, rb=float("nan")) for n in numbers]
    expected = [condition.holds(decode(one).candidate) for one in packets]
    alone = [([one], [right]) for one, right in zip(packets, expected, strict=True)]
    for some, right in ((packets, expected), *alone):
        found = condition.mask(batch_of(some, condition))
        assert found is None or found.tolist() == right

"""Numbers that are none are named; all else is as the decoder says."""

import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampelstream.codecs import alerts
from ampelstream.codecs.jsonfault import json_fault
from ampelstream.errors import DecodeError


def fault(text: str) -> str:
    with pytest.raises(msgspec.DecodeError) as caught:
        msgspec.json.decode(text)
    return json_fault(text.encode(), caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": NaN}', "it holds NaN (line 1, byte 6, at 'a'), which is no number of JSON"),
        ('{"a": [1,\n  -Infinity]}', "it holds -Infinity (line 2, byte 12, at 'a')"),
        ('{"NaN": "NaN", "b": "x\\\\" , "c":NaN}', "at 'c')"),
        ("[inf]", "it holds inf (line 1, byte 1, at its begin)"),
        ('{"a": 1,, "b": "NaN"}', "JSON is malformed"),
        ("nan is no number", "JSON is malformed"),
        ('{"a": nano}', "JSON is malformed"),
        ('{"a": "NaN', "truncated"),
    ],
)
def test_what_is_said(text: str, words: str) -> None:
    assert words in fault(text)


def test_a_row_of_a_table_with_nan() -> None:
    with pytest.raises(DecodeError, match=r"is no JSON: it holds NaN \(line 1, byte .*'magpsf'\)"):
        alerts.decode(b'{"objectId": "ZTF24x", "candidate": {"magpsf": NaN}}')


def test_what_is_json_but_something_else_is_not_searched() -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(b'{"a": []}', type=dict[str, int])
    assert json_fault(b'{"a": NaN}', caught.value) == str(caught.value)


@given(st.binary(max_size=80) | st.text(alphabet='NaInfty"\\:,[]{} -', max_size=60).map(str.encode))
def test_any_bytes_have_a_fault(data: bytes) -> None:
    try:
        msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        said = json_fault(data, error)
    else:
        said = "JSON" if json_fault(data, ValueError("none")) == "none" else ""
    assert said


@pytest.mark.parametrize("data", [b'"' + b"\\" * 3_000_001, b'\\"' * 2_000_000, b'{"' * 2_000_000])
def test_long_documents_are_searched_once(data: bytes) -> None:
    began = time.perf_counter()
    assert json_fault(data, ValueError("x")) == "x"
    assert time.perf_counter() - began < 20

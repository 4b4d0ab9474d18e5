"""A copied record keeps its first coordinates, and no header can do harm."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampelstream.model.coordinates import Coordinates
from ampelstream.runtime.kafka.headers import MEMBER, ORIGIN, decode_origin, encode_origin

places = st.builds(
    Coordinates,
    source=st.text(min_size=1),
    partition=st.integers(0, 2**31 - 1),
    offset=st.integers(0, 2**63 - 1),
)


@given(where=places, member=st.text())
def test_round_trip(where: Coordinates, member: str) -> None:
    headers = encode_origin(where, member)
    assert decode_origin(headers) == (where, member)
    assert decode_origin([("other", b"1"), (ORIGIN, b"old"), *headers]) == (where, member)


@given(origin=st.binary(max_size=40), member=st.binary(max_size=10))
def test_rubbish_is_ignored(origin: bytes, member: bytes) -> None:
    found = decode_origin([(ORIGIN, origin), (MEMBER, member)])
    if found is not None:  # it may be right by chance
        assert encode_origin(*found)[0][0] == ORIGIN
        assert 0 <= found[0].partition < 2**31


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(MEMBER, b"a")],
        [(ORIGIN, None)],
        [(ORIGIN, b"")],
        [(ORIGIN, msgspec.msgpack.encode(["a", 0]))],
        [(ORIGIN, msgspec.msgpack.encode(["a", "0", 1]))],
        [(ORIGIN, msgspec.msgpack.encode(["", 0, 1]))],
        [(ORIGIN, msgspec.msgpack.encode(["a", -1, 1]))],
        [(ORIGIN, msgspec.msgpack.encode(["a", 2**31, 1]))],
        [(ORIGIN, msgspec.msgpack.encode(["a", 0, 2**63]))],
        [(ORIGIN, msgspec.msgpack.encode({"source": "a", "partition": 0, "offset": 1}))],
        [(ORIGIN, msgspec.msgpack.encode(["a", 0, 1])), (MEMBER, b"\xff")],
    ],
)
def test_malformed_headers_are_ignored(headers: list[tuple[str, bytes | None]]) -> None:
    assert decode_origin(headers) is None


def test_a_member_that_is_not_utf8_still_travels() -> None:
    headers = encode_origin(Coordinates("a", 0, 1), "x\udcff.avro")
    assert decode_origin(headers) == (Coordinates("a", 0, 1), "x?.avro")

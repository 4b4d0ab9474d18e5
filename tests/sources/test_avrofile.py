"""Avro files of many blocks: whole, cut off, damaged in the middle, joined."""

import gzip
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.codecs.alerts import decode
from ampelstream.codecs.avro.container import first_block, metadata, read_header
from ampelstream.sources import avrofile
from ampelstream.sources.avrofile import split_container
from ampelstream.sources.window import Piece, Window

SCHEMA = fastavro.parse_schema(
    {
        "type": "record",
        "name": "r",
        "fields": [
            {"name": "n", "type": "long"},
            {"name": "ra", "type": "double"},
            {"name": "text", "type": ["null", "string"]},
            {"name": "cutout", "type": "bytes"},
        ],
    }
)
MARKER = bytes(range(100, 116))


def record(number: int) -> dict[str, Any]:
    cutout = Random(number).randbytes(40)  # noqa: S311  (a picture, not a secret)
    return {"n": 10**12 + number, "ra": number / 7, "text": f"t{number}" * 3, "cutout": cutout}


def container(
    numbers: Sequence[int], *, codec: str = "null", per_block: int = 1, marker: bytes = MARKER
) -> tuple[bytes, list[tuple[int, int, list[int]]]]:
    """A container; for each block its begin, its end, and what it holds."""
    out = io.BytesIO()
    fastavro.writer(out, SCHEMA, [], codec=codec, sync_marker=marker)
    blocks: list[tuple[int, int, list[int]]] = []
    for at in range(0, len(numbers), per_block):
        held = list(numbers[at : at + per_block])
        part = io.BytesIO()
        fastavro.writer(part, SCHEMA, map(record, held), codec=codec, sync_marker=marker)
        empty = io.BytesIO()
        fastavro.writer(empty, SCHEMA, [], codec=codec, sync_marker=marker)
        block = part.getvalue()[len(empty.getvalue()) :]
        begin = out.tell()
        out.write(block)
        blocks.append((begin, out.tell(), held))
    return out.getvalue(), blocks


def split(data: bytes, step: int = 50) -> list[Piece]:
    stream = io.BytesIO(data)
    return list(split_container(Window(lambda _: stream.read(step)), "x.avro"))


def numbers_of(pieces: Sequence[Piece]) -> list[int]:
    """Records as they came in; -1 for one whose content the damage has changed."""
    found = []
    for piece in pieces:
        if piece.fault:
            continue
        assert isinstance(piece.value, bytes)
        header = read_header(piece.value)
        codec = metadata(header.key)["avro.codec"].decode()
        body = first_block(piece.value, header.body, codec)
        try:
            one: Any = fastavro.schemaless_reader(io.BytesIO(body), SCHEMA, None)
        except UnicodeDecodeError:
            found.append(-1)
            continue
        number = one["n"] - 10**12
        found.append(number if one == record(number) else -1)
    return found


codecs = st.sampled_from(["null", "deflate"])
per_block = st.sampled_from([1, 1, 3])


@settings(deadline=None, max_examples=300)
@given(codec=codecs, per_block=per_block, cut=st.integers(0, 10**6), step=st.integers(1, 400))
def test_a_cut_costs_what_is_behind_it_and_is_said(
    codec: str, per_block: int, cut: int, step: int
) -> None:
    data, blocks = container(range(7), codec=codec, per_block=per_block)
    cut %= len(data) + 1
    pieces = split(data[:cut], step)
    found = numbers_of(pieces) if cut > blocks[0][0] else []
    whole = [n for _, end, held in blocks if end <= cut for n in held]
    assert found[: len(whole)] == whole
    assert found == list(range(len(found)))
    faults = [piece.fault for piece in pieces if piece.fault]
    # a file that ends behind a block is a whole file: nobody can know that there was more
    at_an_end = cut in {blocks[0][0], *(end for _, end, _ in blocks)}
    # the first packet of a file is whole without its marker; behind the header there is no block
    alone = per_block == 1 and blocks[0][1] - 16 <= cut <= blocks[0][1]
    if at_an_end or alone or cut < 4:
        assert not faults
    else:
        assert len(faults) == 1


@settings(deadline=None, max_examples=600)
@given(
    codec=codecs,
    per_block=per_block,
    which=st.integers(0, 10**6),
    at=st.integers(0, 10**6),
    change=st.integers(1, 255),
    step=st.integers(1, 400),
)
def test_a_changed_byte_costs_no_other_block(
    codec: str, per_block: int, which: int, at: int, change: int, step: int
) -> None:
    data, blocks = container(range(7), codec=codec, per_block=per_block)
    begin, end, held = blocks[which % len(blocks)]
    damaged = bytearray(data)
    damaged[begin + at % (end - begin)] ^= change
    pieces = split(bytes(damaged), step)
    found = Counter(numbers_of(pieces))
    others = [n for *_, numbers in blocks for n in numbers if n not in held]
    assert {n: found[n] for n in others} == dict.fromkeys(others, 1)
    assert all(found[n] <= 1 for n in held)
    assert found.total() <= 7, "nothing is invented"
    said = sum(bool(piece.fault) for piece in pieces)
    assert said <= 2
    if found.total() < 7:
        assert said


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_anything_at_all_ends_and_is_said(data: st.DataObject) -> None:
    whole, _ = container(range(5))
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(damaged)))
        damaged[at : at + data.draw(st.integers(0, 200))] = data.draw(st.binary(max_size=60))
    split(bytes(damaged))


@pytest.mark.parametrize("codec", ["null", "deflate"])
@pytest.mark.parametrize("per_block", [1, 3])
def test_joined_files_are_both_read(codec: str, per_block: int) -> None:
    first, blocks = container(range(4), codec=codec, per_block=per_block)
    second, _ = container(range(10, 14), codec=codec, per_block=per_block, marker=bytes(16))
    pieces = split(first + second)
    assert numbers_of(pieces) == [0, 1, 2, 3, 10, 11, 12, 13]
    assert not any(piece.fault for piece in pieces)
    cut = blocks[-1][1] - 20
    pieces = split(first[:cut] + second)
    assert numbers_of(pieces)[-4:] == [10, 11, 12, 13]
    assert sum(bool(piece.fault) for piece in pieces) == 1


def test_packets_joined_to_one_file() -> None:
    data = b"".join(container([n], marker=bytes([n]) * 16)[0] for n in range(5))
    assert numbers_of(split(data)) == list(range(5))


def test_a_damaged_marker_in_the_header_costs_nothing() -> None:
    data, blocks = container(range(4))
    damaged = bytearray(data)
    damaged[blocks[0][0] - 1] ^= 1
    pieces = split(bytes(damaged))
    assert numbers_of(pieces) == [0, 1, 2, 3]
    assert ["sync marker of the header" in piece.fault for piece in pieces if piece.fault] == [True]


def test_a_damaged_header_in_the_middle_costs_its_file_only() -> None:
    first, _ = container([0, 1])
    second = bytearray(container([2, 3], marker=bytes(range(16)))[0])
    second[5] = 0xFF
    third, _ = container([4, 5], marker=bytes(range(50, 66)))
    pieces = split(first + bytes(second) + third)
    assert numbers_of(pieces) == [0, 1, 4, 5]
    assert sum(bool(piece.fault) for piece in pieces) == 1


def test_a_block_of_impossible_length_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(avrofile, "BLOCK_LIMIT", 1000)
    data, blocks = container(range(60), per_block=2)
    begin, _, _ = blocks[3]
    broken = data[:begin] + b"\x04\xfe\xff\xff\xff\x0f" + data[begin + 3 :]
    pieces = split(broken)
    assert [n for n in numbers_of(pieces) if n >= 0] == [n for n in range(60) if n not in {6, 7}]


def test_a_marker_of_zeros_in_a_packet_of_zeros() -> None:
    out = io.BytesIO()
    zeros = [record(n) | {"cutout": bytes(64)} for n in range(3)]
    fastavro.writer(out, SCHEMA, zeros, sync_interval=1, sync_marker=bytes(16))
    pieces = split(out.getvalue())
    assert len(pieces) == 3
    assert not any(piece.fault for piece in pieces)


def test_a_codec_that_is_not_supported_is_said() -> None:
    data, _ = container(range(6), codec="bzip2", per_block=3)
    pieces = split(data)
    assert [piece.fault.split(": ", 1)[1].split(" is", 1)[0] for piece in pieces] == [
        "the container's codec 'bzip2'"
    ] * 2


def test_the_place_of_a_damage_is_said() -> None:
    data, blocks = container(range(3), per_block=3)
    begin, end, _ = blocks[0]
    (_, _, fault) = split(data[: end - 70])
    assert fault.value == data[begin : end - 70]
    assert fault.fault.startswith(f"block 1 at byte {begin} (3 records): breaks off after ")


def test_a_compressed_file_that_breaks_off_gives_what_it_holds() -> None:
    data, _ = container(range(300), codec="deflate")
    packed = gzip.compress(data)
    pieces = list(
        split_container(
            Window(gzip.GzipFile(fileobj=io.BytesIO(packed[: len(packed) * 2 // 3])).read1), "x"
        )
    )
    found = numbers_of(pieces)
    assert len(found) > 50
    assert found == list(range(len(found)))
    assert [bool(piece.fault) for piece in pieces] == [False] * len(found) + [True]
    assert "end-of-stream" in pieces[-1].fault


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "records", "fault"),
    [
        ("b-truncated", 6, "block 7 at byte 28477 (1 record): breaks off after 478 of 976 bytes"),
        ("c-one-block-damaged", 9, "block 6 at byte 27483 (1 record): its compressed records"),
        ("e-eight-in-two-files-joined", 8, ""),
    ],
)
def test_files_of_the_reports(data_dir: Path, name: str, records: int, fault: str) -> None:
    data = (data_dir / "reports" / f"{name}.avro").read_bytes()
    pieces = split(data, 4096)
    candids = [decode(piece.value).candid for piece in pieces if not piece.fault]
    assert len(candids) == len(set(candids)) == records
    faults = [piece.fault for piece in pieces if piece.fault]
    assert len(faults) == bool(fault)
    assert all(one.startswith(fault) for one in faults)

"""Archives: whole, cut off, damaged, joined; and what lies in them that is no record."""

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.codecs.ztf import decode
from ampelstream.model.record import SourceRecord
from ampelstream.simulate import simulate_packets
from ampelstream.sources import open_source
from ampelstream.sources.archive import members
from ampelstream.sources.window import Window

PACKETS = simulate_packets(4, seed=3)
CONTENTS = [b"a" * 700, b"", b"b" * 512, b"c" * 5]


def archive(contents: list[bytes], kind: int = tarfile.PAX_FORMAT, name: str = "{}.avro") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as file:
        for number, data in enumerate(contents):
            info = tarfile.TarInfo(name.format(number))
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return out.getvalue()


def read(path: Path, data: bytes) -> list[SourceRecord]:
    path.write_bytes(data)
    return list(open_source(path, "alerts").read({}))


def good(records: list[SourceRecord]) -> list[int]:
    return [decode(one.value).candid for one in records if not one.fault]


CANDIDS = [decode(packet).candid for packet in PACKETS]


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_every_kind_of_archive(tmp_path: Path, kind: int, pack: Callable[[bytes], bytes]) -> None:
    long = "{}" if kind == tarfile.USTAR_FORMAT else "ä/" * 150 + "{}.avro"
    name = "{}.avro" if kind == tarfile.USTAR_FORMAT else long
    records = read(tmp_path / "a.tar", pack(archive(PACKETS, kind, name)))
    assert good(records) == CANDIDS
    assert [one.member for one in records] == [name.format(n) for n in range(4)]


def test_joined_archives_are_both_read(tmp_path: Path) -> None:
    both = archive(PACKETS[:2]) + archive(PACKETS[2:])
    assert good(read(tmp_path / "a.tar", both)) == CANDIDS
    packed = gzip.compress(archive(PACKETS[:2])) + gzip.compress(archive(PACKETS[2:]))
    assert good(read(tmp_path / "a.tar.gz", packed)) == CANDIDS


def test_a_damaged_header_costs_its_member_only(tmp_path: Path) -> None:
    data = bytearray(archive(PACKETS))
    second = 512 + (len(PACKETS[0]) + 511) // 512 * 512
    data[second + 130] ^= 1
    records = read(tmp_path / "a.tar", bytes(data))
    assert good(records) == [CANDIDS[0], *CANDIDS[2:]]
    (fault,) = (one.fault for one in records if one.fault)
    assert f"no header of a member at byte {second}" in fault


def test_a_cut_between_members_is_said(tmp_path: Path) -> None:
    data = archive(PACKETS)
    records = read(tmp_path / "a.tar", data[: 512 + (len(PACKETS[0]) + 511) // 512 * 512])
    assert good(records) == CANDIDS[:1]
    assert "without an end mark" in records[-1].fault


def test_a_wrong_checksum_is_said(tmp_path: Path) -> None:
    data = bytearray(gzip.compress(archive(PACKETS)))
    data[-6] ^= 1
    records = read(tmp_path / "a.tar.gz", bytes(data))
    assert good(records) == CANDIDS
    assert "CRC" in records[-1].fault


@pytest.mark.parametrize("content", [b"", b"junk", b"junk" * 500])
def test_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    records = read(tmp_path / "a.tar", content)
    assert [bool(one.fault) for one in records] == [True]


def test_a_broken_packed_member(tmp_path: Path) -> None:
    packed = gzip.compress(PACKETS[1])
    contents = [gzip.compress(PACKETS[0]), packed[: len(packed) // 2], gzip.compress(PACKETS[2])]
    records = read(tmp_path / "a.tar", archive(contents, name="{}.avro.gz"))
    assert good(records) == [CANDIDS[0], CANDIDS[2]]
    assert "end-of-stream" in records[1].fault
    assert records[1].member == "1.avro.gz"


def test_what_is_not_read_is_named(tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        for name in ("1.avro", "._1.avro", "README", "deep/2.png"):
            info = tarfile.TarInfo(name)
            info.size = len(PACKETS[0])
            file.addfile(info, io.BytesIO(PACKETS[0]))
        link = tarfile.TarInfo("3.avro")
        link.type, link.linkname = tarfile.SYMTYPE, "1.avro"
        file.addfile(link)
    path = tmp_path / "a.tar"
    path.write_bytes(out.getvalue())
    source = open_source(path, "alerts")
    assert good(list(source.read({}))) == CANDIDS[:1]
    assert {one.name: one.reason.split(" ", 2)[1] for one in source.skipped} == {
        "a.tar: README": "name",
        "a.tar: deep/2.png": "name",
        "a.tar: 3.avro": "link,",
    }


def test_lines_in_an_archive(tmp_path: Path) -> None:
    lines = b'{"a": 1}\n{"a": 2}\n'
    records = read(tmp_path / "a.tar", archive([lines], name="x.ndjson"))
    assert [(one.member, one.value) for one in records] == [
        ("x.ndjson:1", {"a": 1}),
        ("x.ndjson:2", {"a": 2}),
    ]


@settings(deadline=None, max_examples=300)
@given(cut=st.integers(0, 10**6), step=st.integers(1, 2000))
def test_a_cut_anywhere_is_said(cut: int, step: int) -> None:
    whole = archive(CONTENTS)
    end = whole.rindex(b"c" * 5) // 512 * 512 + 512  # behind it are zeros only
    stream = io.BytesIO(whole[: cut % (end + 1)])
    found, said = [], 0
    for member in members(Window(lambda _: stream.read(step)), "x.tar"):
        if member.fault:
            said += 1
            continue
        window = Window(member.read)
        data, fault = window.rest(10_000)
        if fault:
            said += 1
        else:
            found.append(data)
    assert found == CONTENTS[: len(found)]
    assert said == 1


def test_a_name_that_is_no_unicode_is_escaped(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT, encoding="latin-1") as file:
        for name in ("café.avro", "é" * 200 + ".avro", "café.txt"):
            file.addfile(tarfile.TarInfo(name), io.BytesIO())
    source = open_source(path, "alerts")
    names = [one.member for one in source.read({})]
    assert names == [r"caf\xe9.avro", r"\xe9" * 200 + ".avro"]
    assert [one.name for one in source.skipped] == [r"a.tar: caf\xe9.txt"]

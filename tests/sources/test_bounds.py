"""Files that stand for more than they are: passed over by name, in bounded memory."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
from collections.abc import Iterator
from pathlib import Path

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.model.record import SourceRecord, Stream
from ampelstream.runtime.embedded.engine import next_batch
from ampelstream.simulate import simulate_packets
from ampelstream.sources import avrofile, formats, open_source, window
from ampelstream.sources.window import KEPT_BYTES, Window
from ampelstream.sources.xz import XzFile
from tests.bombs import gzipped, run_alone, zeros

GOOD = [json.dumps({"n": n}).encode() for n in range(4)]
LIMIT = 300_000


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits of a third of a megabyte."""
    for module in (window, formats, avrofile):
        monkeypatch.setattr(module, "RECORD_LIMIT", LIMIT)
    monkeypatch.setattr(formats, "_MAP_LIMIT", 2 * LIMIT)


def read(path: Path, stream: Stream = "alerts") -> list[SourceRecord]:
    return list(open_source(path, stream).read({}))


def archive(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return out.getvalue()


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("end", [b"\n", b""])
def test_a_line_that_is_too_long_costs_no_other(tmp_path: Path, end: bytes) -> None:
    path = tmp_path / "a.ndjson.gz"
    lines = [GOOD[0], b"x" * (5 * LIMIT), GOOD[1], b'"' + bytes(LIMIT), b"", GOOD[2]]
    path.write_bytes(gzip.compress(b"\n".join(lines) + end))
    records = read(path)
    assert [(one.member, one.fault[:18]) for one in records] == [
        ("a.ndjson.gz:1", ""),
        ("a.ndjson.gz:2", "the line is longer"),
        ("a.ndjson.gz:3", ""),
        ("a.ndjson.gz:4", "the line is longer"),
        ("a.ndjson.gz:6", ""),
    ]
    assert [one.value for one in records if not one.fault] == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert records[1].value == b"x" * min(KEPT_BYTES, len(records[1].value))
    assert 0 < len(records[1].value) <= KEPT_BYTES
    assert [one.where.offset for one in records] == list(range(5))
    # who goes on behind the bad line meets the same offsets
    after = {(records[0].where.source, 0): 1}
    assert [one.member for one in open_source(path, "alerts").read(after)] == [
        *("a.ndjson.gz:3", "a.ndjson.gz:4", "a.ndjson.gz:6"),
    ]


@pytest.mark.usefixtures("small")
def test_a_last_line_without_end(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(GOOD[0] + b"\n" + bytes(10 * LIMIT))
    good, bad = read(path)
    assert (good.fault, bad.fault) == (
        "",
        "the line is longer than 0 MiB, and is passed over",
    )


lines = st.lists(st.integers(0, 12).map(lambda n: b"x" * n) | st.just(b"y" * 40), max_size=12)


@settings(deadline=None)
@given(lines, st.integers(1, 50), st.sampled_from([b"\n", b""]))
def test_lines_are_those_that_are_not_too_long(content: list[bytes], step: int, end: bytes) -> None:
    stream = io.BytesIO(b"\n".join(content) + end)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(formats, "RECORD_LIMIT", 20)
        patch.setattr(window, "_STEP", 7)
        pieces = list(formats._lines(Window(lambda size: stream.read(min(size, step))), "a"))
    expected = [
        (f"a:{number}", bool(len(line) > 20), line)
        for number, line in enumerate(content, 1)
        if line
    ]
    assert [piece.member for piece in pieces] == [member for member, _, _ in expected]
    for piece, (_, long, line) in zip(pieces, expected, strict=True):
        assert isinstance(piece.value, bytes)
        if bool(piece.fault) == long:
            assert line.startswith(piece.value) if long else piece.value == line
        else:  # the last one may be known to be long only when it has ended
            assert long
            assert piece is pieces[-1]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", ["a.json", "a.json.gz", "a.xml"])
def test_a_notice_that_is_too_long(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(gzip.compress(b"{" + b" " * (3 * LIMIT)))
    (tmp_path / "b.json").write_bytes(b"{}")
    bad, good = read(tmp_path, "notices")
    assert bad.fault == "a record is longer than 0 MiB, and is passed over"
    assert isinstance(bad.value, bytes)
    assert bad.value.startswith(b"{   ")
    assert (good.value, good.fault) == (b"{}", "")


@pytest.mark.usefixtures("small")
def test_a_sky_map_may_be_longer_than_a_notice(tmp_path: Path) -> None:
    (tmp_path / "a.fits").write_bytes(bytes(LIMIT + 100_000))
    (tmp_path / "b.fits.gz").write_bytes(bytes(2 * LIMIT + 1))
    good, bad = read(tmp_path, "notices")
    assert (good.fault, len(good.value)) == ("", LIMIT + 100_000)
    assert "longer than" in bad.fault


@pytest.mark.usefixtures("small")
def test_members_that_are_too_long_cost_no_other(tmp_path: Path) -> None:
    packet = simulate_packets(1, seed=3)[0]
    long = packet[:4] + bytes(4 * LIMIT)
    members = {
        "1.avro": packet,
        "2.avro": b"x" * (4 * LIMIT),
        "3.avro": packet,
        "4.avro.gz": gzip.compress(b"x" * (4 * LIMIT)),
        "5.avro": long,
        "6.json.gz": gzip.compress(bytes(4 * LIMIT)),
        "7.avro": packet,
    }
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(archive(members)))
    records = read(path)
    assert [(one.member, bool(one.fault)) for one in records] == [
        *(("1.avro", False), ("2.avro", True), ("3.avro", False), ("4.avro.gz", True)),
        *(("5.avro", True), ("6.json.gz", True), ("7.avro", False)),
    ]
    assert all(one.value == packet for one in records if not one.fault)
    assert all(len(one.value) <= KEPT_BYTES for one in records if one.fault)


def test_a_line_of_very_many_values_stays_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(b'{"n": [' + b"0," * 2_100_000 + b"0]}\n" + GOOD[1])
    many, good = read(path)
    assert isinstance(many.value, bytes)
    assert good.value == {"n": 1}


def container(records: int, per_block: int, fields: list[dict[str, str]]) -> bytes:
    schema = {"type": "record", "name": "r", "fields": fields}
    out = io.BytesIO()
    rows = ({field["name"]: True for field in fields} for _ in range(records))
    fastavro.writer(out, schema, rows, codec="deflate", sync_interval=per_block)
    return out.getvalue()


def test_a_block_of_too_many_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(avrofile, "_BLOCK_RECORDS", 50)
    path = tmp_path / "a.avro"
    path.write_bytes(container(100, 10**6, [{"name": "a", "type": "boolean"}]))
    [record] = read(path)
    assert record.fault.endswith("(100 records): a block has no more than 50 records")
    path.write_bytes(container(100, 20, [{"name": "a", "type": "boolean"}]))
    assert [one.fault for one in read(path)] == [""] * 100


@pytest.mark.parametrize("pack", [lzma.compress, gzip.compress, bz2.compress])
def test_packed_files_are_read_in_pieces(tmp_path: Path, pack: type[bytes]) -> None:
    path = tmp_path / "a.ndjson.gz"
    path.write_bytes(pack(b"\n".join(GOOD)))
    assert [one.value for one in read(path)] == [{"n": n} for n in range(4)]


def test_xz_streams_and_what_may_stand_around_them() -> None:
    def contents(data: bytes, size: int = 10) -> bytes:
        file = XzFile(io.BufferedReader(io.BytesIO(data)))
        return b"".join(iter(lambda: file.read1(size), b""))

    one, two = lzma.compress(b"first" * 9), lzma.compress(b"second" * 9)
    assert contents(one + two) == b"first" * 9 + b"second" * 9
    assert contents(one + bytes(8) + two + bytes(4)) == b"first" * 9 + b"second" * 9
    assert contents(one + b"junk") == b"first" * 9
    assert contents(lzma.compress(b"") + one) == b"first" * 9
    with pytest.raises(EOFError, match="end-of-stream"):
        contents(one[:-20])
    huge = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 30, "preset": 0, "depth": 1}]
    packed = lzma.compress(b"x", filters=huge)
    with pytest.raises(lzma.LZMAError, match="limit"):
        contents(packed)


def test_attributes_of_a_member_that_nobody_asks_for_are_not_kept() -> None:
    from ampelstream.sources.archive import _attributes  # noqa: PLC0415  (used here only)

    def line(name: str, value: str) -> bytes:
        text = f" {name}={value}\n"
        return f"{len(text) + 2}{text}".encode()

    told = line("path", "a.avro") + line("comment", "no") + line("GNU.sparse.map", "0")
    told += line("GNU.sparse.x", "1") + line("size", "12")
    assert _attributes(told) == {"path": "a.avro", "GNU.sparse": "1", "size": "12"}


def test_a_batch_ends_where_its_values_come_to_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ampelstream.runtime.embedded.engine._BATCH_BYTES", 100)

    def records() -> Iterator[SourceRecord]:
        for size in (10, 10, 80, 500, 1, 1, 1):
            yield SourceRecord(None, "alerts", bytes(size))  # type: ignore[arg-type]  # (not asked)

    shown = records()
    found = [[len(one.value) for one in next_batch(shown, 3)] for _ in range(5)]
    assert found == [[10, 10, 80], [500], [1, 1, 1], [], []]


READ = """
import pathlib, tempfile
from ampelstream.sources import open_source
count = faults = 0
path = pathlib.Path(tempfile.mkdtemp()) / inputs[0].decode()
path.write_bytes(inputs[1])
for record in open_source(path, inputs[2].decode()).read({}):
    count += 1
    faults += bool(record.fault)
path.unlink()
path.parent.rmdir()
say(f"{count} records, {faults} faults")
"""


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("name", "stream"),
    [
        ("a.ndjson.gz", "alerts"),
        ("a.json.gz", "notices"),
        ("a.avro.gz", "alerts"),
        ("a.tar.gz", "alerts"),
    ],
)
def test_two_gigabytes_of_zeros(name: str, stream: str) -> None:
    size = 2 << 30
    head = b""
    if name == "a.tar.gz":
        info = tarfile.TarInfo("x.ndjson")
        info.size = size
        head = info.tobuf()
    data = gzipped(iter([head, *zeros(size), bytes(1024)]))
    said, before, after = run_alone(READ, name.encode(), data, stream.encode(), seconds=120)
    assert said == "1 records, 1 faults"
    assert after - before < 450, said

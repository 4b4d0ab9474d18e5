"""Files that break off, are damaged, or are of no known kind."""

import gzip
import json
import struct
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ampelstream.codecs.ztf import decode
from ampelstream.model.record import SourceRecord, Stream
from ampelstream.simulate import simulate_packets
from ampelstream.sources import open_source


def read(path: Path, stream: Stream = "alerts") -> list[SourceRecord]:
    return list(open_source(path, stream).read({}))


LINES = [json.dumps({"n": n, "text": "x" * (n * 37 % 400)}).encode() for n in range(400)]


def test_lines_that_break_off(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson.gz"
    packed = gzip.compress(b"\n".join(LINES))
    for cut in range(20, len(packed), 53):
        path.write_bytes(packed[:cut])
        records = read(path)
        found = [one.value for one in records if not one.fault]
        assert found == [json.loads(line) for line in LINES[: len(found)]]
        assert [bool(one.fault) for one in records] == [False] * len(found) + [True]
        assert "breaks off" in records[-1].fault


def test_the_last_line_counts_where_only_the_checksum_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson.gz"
    path.write_bytes(gzip.compress(b"\n".join(LINES))[:-4])
    records = read(path)
    assert len(records) == len(LINES) + 1
    assert records[-1].fault
    assert records[-1].value == b""


def test_a_plain_file_with_a_packed_name_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson.gz"
    path.write_bytes(b"\n".join(LINES))
    assert len(read(path)) == len(LINES)


@pytest.mark.parametrize("damage", ["cut", "checksum"])
def test_a_packed_packet_that_is_damaged_is_no_record(tmp_path: Path, damage: str) -> None:
    packed = bytearray(gzip.compress(simulate_packets(1, seed=1)[0]))
    if damage == "cut":
        del packed[-20:]
    else:
        packed[-6] ^= 1
    path = tmp_path / "a.avro.gz"
    path.write_bytes(packed)
    (record,) = read(path)
    assert record.fault
    assert record.value


def test_a_packed_notice_that_breaks_off_keeps_what_there_is(tmp_path: Path) -> None:
    path = tmp_path / "a.json.gz"
    path.write_bytes(gzip.compress(b"{" + bytes(range(256)) * 40)[:200])
    (record,) = read(path, "notices")
    assert "breaks off" in record.fault
    assert isinstance(record.value, bytes)
    assert record.value.startswith(b"{\x00\x01")


def table(path: Path) -> None:
    rows = [
        {
            "objectId": f"ZTF{number}",
            "candid": number,
            "candidate": {"jd": 2460000.5 + number, "ra": 1.0, "dec": 2.0},
        }
        for number in range(90)
    ]
    columns = pa.Table.from_pylist(rows)
    pq.write_table(columns, path, row_group_size=30, write_page_checksum=True, compression="none")


def test_a_damaged_row_group_costs_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table(path)
    data = bytearray(path.read_bytes())
    data[data.index(b"ZTF45")] ^= 1
    path.write_bytes(data)
    records = read(path)
    found = [decode(one.value).candid for one in records if not one.fault]
    assert found == [*range(30), *range(60, 90)]
    (fault,) = (one.fault for one in records if one.fault)
    assert fault.startswith("row group 1: rows 30 to 59 cannot be read")


def test_a_row_with_text_that_is_none_costs_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    rows = pa.table(
        {
            "objectId": pa.StringArray.from_buffers(
                3, pa.py_buffer(struct.pack("<4i", 0, 4, 6, 10)), pa.py_buffer(b"ZTF0\xff\xfeZTF2")
            ),
            "candid": [0, 1, 2],
            "candidate": [{"jd": 2460000.5, "ra": 1.0, "dec": 2.0}] * 3,
        }
    )
    pq.write_table(rows, path)
    records = read(path)
    assert [bool(one.fault) for one in records] == [False, True, False]
    assert "row 1 cannot be read" in records[1].fault


def test_what_is_not_read_is_named_once(tmp_path: Path) -> None:
    root = tmp_path / "lvk"
    (root / "deep").mkdir(parents=True)
    (root / "bayestar.fits.gz,1").write_bytes(b"x")
    (root / "bayestar.multiorder.fits,0").write_bytes(b"y")
    (root / "deep" / "chart.png").write_bytes(b"z")
    (root / "notes.txt,3").write_bytes(b"z")
    (root / ".hidden").write_bytes(b"z")
    (root / "gone.json").symlink_to(root / "nowhere")
    source = open_source(root, "notices")
    for _ in range(2):
        records = list(source.read({}))
    assert {one.member: one.value for one in records} == {
        "bayestar.fits.gz,1": b"x",
        "bayestar.multiorder.fits,0": b"y",
    }
    assert [one.name for one in source.skipped] == [
        "lvk/deep/chart.png",
        "lvk/gone.json",
        "lvk/notes.txt,3",
    ]
    assert ".fits.gz" in source.skipped[0].reason
    assert source.estimate() == 2


def test_every_format_may_be_packed(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b"\n".join(LINES)))
    assert len(read(tmp_path / "a.jsonl.gz")) == len(LINES)
    (tmp_path / "n.xml.gz").write_bytes(gzip.compress(b"<VOEvent/>"))
    [record] = open_source(tmp_path / "n.xml.gz", "notices").read({})
    assert record.value == b"<VOEvent/>"

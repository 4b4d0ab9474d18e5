"""Sources: every format, every way to break, resuming, merging."""

import errno
import gzip
import io
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ampelstream.codecs.ztf import decode
from ampelstream.errors import DecodeError, SourceError
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.record import SourceRecord, record_bytes
from ampelstream.simulate import simulate_notice, simulate_packets
from ampelstream.sources import event_time, merge, open_source
from ampelstream.sources.avrofile import split_container
from ampelstream.sources.files import FileSource
from ampelstream.sources.merge import Removed, timed
from ampelstream.sources.window import Piece, Window

JD = 2460000.5


@pytest.fixture(scope="module")
def packets() -> list[bytes]:
    return simulate_packets(6, seed=1)


def row(number: int) -> dict[str, Any]:
    return {
        "objectId": f"ZTF{number}",
        "candid": number,
        "candidate": {"jd": JD + number, "ra": 1.0, "dec": 2.0, "magpsf": 18.0, "fid": 1},
        "prv_candidates": [{"jd": JD - 1, "candid": 77, "magpsf": 18.0, "fid": 1}],
    }


def notice(created: str) -> bytes:
    return simulate_notice(
        event_id="SIM1",
        alert_type="PRELIMINARY",
        time_created=created,
        t0_jd=JD,
        ra=1.0,
        dec=2.0,
        width_deg=5.0,
        order=4,
    )


@pytest.fixture
def everything(tmp_path: Path, packets: list[bytes]) -> Path:
    """A directory with one file of each format, nested, with things that are none."""
    root = tmp_path / "night"
    (root / "deep").mkdir(parents=True)
    (root / "a.avro").write_bytes(packets[0])
    (root / "b.avro.gz").write_bytes(gzip.compress(packets[1]))
    with tarfile.open(root / "deep" / "c.tar.gz", "w:gz") as archive:
        for number, packet in enumerate(packets[2:5]):
            info = tarfile.TarInfo(f"{number}.avro")
            info.size = len(packet)
            archive.addfile(info, io.BytesIO(packet))
        folder = tarfile.TarInfo("empty-directory")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        archive.addfile(tarfile.TarInfo("README.txt"))
    pq.write_table(pa.Table.from_pylist([row(1), row(2)]), root / "d.parquet")
    (root / "e.ndjson").write_text(f"{json.dumps(row(3))}\n\nnonsense\n{json.dumps(row(4))}\n")
    many = io.BytesIO()
    reader = fastavro.reader(io.BytesIO(packets[0]))
    schema = reader.writer_schema
    assert schema is not None
    fastavro.writer(many, schema, [next(fastavro.reader(io.BytesIO(p))) for p in packets[:3]])
    (root / "f.avro").write_bytes(many.getvalue())
    (root / ".hidden.avro").write_bytes(packets[0])
    (root / "README.txt").write_text("not for reading")
    return root


def outcomes(records: list[SourceRecord]) -> list[str]:
    found: list[str] = []
    for record in records:
        try:
            found.append(decode(record.value).object_id)
        except DecodeError:
            found.append("undecodable")
    return found


def test_every_format(everything: Path, packets: list[bytes]) -> None:
    records = list(open_source(everything, "alerts").read({}))
    names = [decode(packet).object_id for packet in packets]
    # by the time of each file's first records: packets are of 2017, rows of 2023
    assert outcomes(records) == [
        *(names[0], names[1], *names[:3], *names[2:5]),
        *("ZTF1", "ZTF2"),
        *("ZTF3", "undecodable", "ZTF4"),
    ]
    assert len({record.where for record in records}) == len(records)
    assert {record.where.source.split("/")[0] for record in records} == {"night"}
    histories = [decode(r.value).history for r in records if "parquet" in r.where.source]
    assert [list(one.epochs()) for one in histories] == [[JD - 1]] * 2


def test_resuming_anywhere_gives_exactly_the_rest(everything: Path) -> None:
    source = open_source(everything, "alerts")
    records = list(source.read({}))
    for cut in range(len(records) + 1):
        after = {(r.where.source, r.where.partition): r.where.offset for r in records[:cut]}
        assert [r.where for r in source.read(after)] == [r.where for r in records[cut:]]


def test_merge_is_by_time_deterministic_and_resumable(everything: Path, tmp_path: Path) -> None:
    letters = tmp_path / "letters"
    letters.mkdir()
    (letters / "z.json").write_bytes(notice("2023-01-01T00:00:00Z"))
    (letters / "a.json").write_bytes(notice("2024-01-01T00:00:00Z"))
    sources = [open_source(letters, "notices"), open_source(everything, "alerts")]
    records = list(merge(sources, {}))
    assert [r.where for r in merge(sources, {})] == [r.where for r in records]
    created = [r.member for r in records if r.stream == "notices"]
    assert created == ["z.json", "a.json"]
    for cut in range(len(records) + 1):
        after = {(r.where.source, r.where.partition): r.where.offset for r in records[:cut]}
        rest = sorted(r.where for r in merge(sources, after))
        assert rest == sorted(r.where for r in records[cut:])


def test_times(packets: list[bytes], everything: Path) -> None:
    record = next(iter(open_source(everything / "a.avro", "alerts").read({})))
    assert event_time(record) == decode(packets[0]).jd


def test_an_empty_file_is_a_record(tmp_path: Path) -> None:
    (tmp_path / "empty.avro").write_bytes(b"")
    records = list(open_source(tmp_path / "empty.avro", "alerts").read({}))
    assert [record.value for record in records] == [b""]


def test_a_truncated_archive_ends_with_a_record_that_says_so(everything: Path) -> None:
    path = everything / "deep" / "c.tar.gz"
    data = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(data)[: len(path.read_bytes()) // 2])
    records = list(open_source(path, "alerts").read({}))
    assert "its archive c.tar.gz breaks off" in records[-1].fault
    assert not any(record.fault for record in records[:-1])


@pytest.mark.parametrize("content", [b"junk", b""])
def test_a_corrupt_table_in_a_directory_does_not_stop_it(everything: Path, content: bytes) -> None:
    (everything / "d.parquet").write_bytes(content)
    records = list(open_source(everything, "alerts").read({}))
    bad = [record for record in records if record.where.source.endswith("d.parquet")]
    assert [record.value for record in bad] == [b""]
    assert bad[0].member == "d.parquet"
    assert "d.parquet cannot be read as Parquet" in bad[0].fault
    assert len(records) > 5


def test_a_table_without_alerts(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(SourceError, match=r"x\.parquet.*candidate"):
        list(open_source(path, "alerts").read({}))


def test_what_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nowhere"):
        open_source(tmp_path / "nowhere", "alerts")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(SourceError, match=r"notes\.txt.*avro"):
        open_source(tmp_path / "notes.txt", "alerts")


def test_records_as_bytes(everything: Path) -> None:
    for record in open_source(everything, "alerts").read({}):
        assert isinstance(record_bytes(record), bytes)
        if not isinstance(record.value, bytes):
            assert json.loads(record_bytes(record))["objectId"] == record.value["objectId"]


def split(data: bytes) -> list[Piece]:
    return list(split_container(Window(io.BytesIO(data).read), "x.avro"))


def test_what_is_no_container_is_given_whole(packets: list[bytes]) -> None:
    for given in (b"", b"junk", packets[0]):
        assert split(given) == [Piece("x.avro", given)]
    (broken,) = split(packets[0][:5000])
    assert broken.value == packets[0][:5000]
    assert broken.fault


@pytest.mark.realdata
def test_the_real_night(data_dir: Path) -> None:
    source = open_source(data_dir / "ztf" / "night-20240115", "alerts")
    records = list(source.read({}))
    assert source.estimate() == len(records) == 849
    table = pq.read_table(data_dir / "ztf" / "night-20240115").to_pylist()
    whole = {entry["candid"]: entry for entry in table}
    for record in records[::50]:
        alert = decode(record.value)
        assert repr(list(alert.history.points())) == repr(whole[alert.candid]["prv_candidates"])


def test_a_file_whose_name_is_no_unicode_is_read_under_an_escaped_one(tmp_path: Path) -> None:
    for name in (b"caf\xe9.avro", b"caf\xe9.txt"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(b"junk")
    source = open_source(tmp_path, "alerts")
    [record] = source.read({})
    assert record.where.source == rf"{tmp_path.name}/caf\xe9.avro"
    assert record.member == r"caf\xe9.avro"
    assert [one.name for one in source.skipped] == [rf"{tmp_path.name}/caf\xe9.txt"]
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.avro"))
    assert open_source(path, "alerts").name == rf"{tmp_path}/caf\xe9.avro"


class Failing(io.RawIOBase):
    """A file whose disk fails after so many bytes."""

    def __init__(self, path: Path, whole: int) -> None:
        with io.open(path, "rb") as file:  # noqa: UP020  (a Path opens this one)
            self._data = io.BytesIO(file.read(whole))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._data.read(len(buffer))
        if not piece:
            raise OSError(errno.EIO, "Input/output error")
        buffer[: len(piece)] = piece
        return len(piece)


@pytest.mark.parametrize("whole", [0, 20, 400, 3000])
def test_a_failing_disk_is_told_from_a_damaged_file(
    everything: Path, monkeypatch: pytest.MonkeyPatch, whole: int
) -> None:
    """In every format: another try may give what a disk did not, and not what is damaged."""
    expected = {record.where.source for record in open_source(everything, "alerts").read({})}

    def failing(path: Path, *_args: Any, **_more: Any) -> Any:
        return io.BufferedReader(Failing(path, whole))

    monkeypatch.setattr(Path, "open", failing)
    faulty = [one for one in open_source(everything, "alerts").read({}) if one.fault]
    parquet = {one for one in expected if one.endswith(".parquet")}  # which Arrow opens
    assert {one.where.source for one in faulty} >= expected - parquet
    assert all(one.unread for one in faulty)


def test_a_damaged_file_is_not_one_of_a_failing_disk(tmp_path: Path, packets: list[bytes]) -> None:
    root = tmp_path / "night"
    root.mkdir()
    (root / "a.avro").write_bytes(packets[0][:-40])
    (root / "b.avro.gz").write_bytes(gzip.compress(packets[1])[:-30])
    (root / "c.tar.gz").write_bytes(b"\x1f\x8b\x08 and no more")
    (root / "d.avro.gz").write_bytes(b"\x1f\x8b\x07" + bytes(40))
    (root / "e.parquet").write_bytes(b"PAR1 it is not")
    found = list(open_source(root, "alerts").read({}))
    assert {one.where.source[-2:] for one in found if one.fault} == {"ro", "gz", "et"}
    assert not [one for one in found if one.unread]


@pytest.mark.parametrize("name", ["a.avro", "e.parquet"])
def test_a_file_that_cannot_be_opened_may_be_read_later(
    tmp_path: Path, packets: list[bytes], name: str
) -> None:
    root = tmp_path / "night"
    root.mkdir()
    (root / name).write_bytes(packets[0])
    source = FileSource(root, "alerts")
    [record] = source.rest(f"night/{name}", root / f"not-there-{name}", -1)
    assert record.fault
    assert record.unread


def test_an_input_knows_what_it_holds(tmp_path: Path, packets: list[bytes]) -> None:
    root = tmp_path / "night"
    root.mkdir()
    (root / "a.avro").write_bytes(packets[0])
    night, one = open_source(root, "alerts"), open_source(root / "a.avro", "alerts")
    (root / "a.avro").unlink()
    root.rmdir()  # the disk is away
    for source in (night, night.following()):
        assert source.holds("night/b.avro") == "alerts"
        assert source.holds("nights/b.avro") is None
        assert source.removed({("night/b.avro", 0): 3}, {}) == Removed()
    assert one.holds("a.avro") == "alerts"
    assert one.holds("night/a.avro") is None


def test_what_a_source_gave_before_it_failed_is_not_lost(packets: list[bytes]) -> None:
    def failing() -> Iterator[SourceRecord]:
        for number in range(20):
            where = Coordinates("here", 0, number)
            yield SourceRecord(where, "alerts", packets[number % len(packets)])
        raise SourceError("the disk is gone")

    given: list[int] = []
    with pytest.raises(SourceError, match="gone"):  # noqa: PT012  (it goes on until it fails)
        for _, record in timed(failing()):
            given.append(record.where.offset)
    # eight are held back to compare their times; they come again at the next start
    assert given == list(range(12))

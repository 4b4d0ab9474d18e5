"""A directory that is followed: everything once, whatever grows, and no more looks than needed."""

import gzip
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import fastavro
import pytest

from ampelstream.errors import SourceError
from ampelstream.simulate import simulate_packets
from ampelstream.sources import open_source
from ampelstream.sources.follower import EVERYTHING_EVERY
from ampelstream.sources.formats import read_file

JD = 2460000.5


@pytest.fixture(scope="module")
def packets() -> list[bytes]:
    return simulate_packets(6, seed=1)


def line(number: int) -> str:
    own = {"jd": JD + number, "ra": 1.0, "dec": 2.0, "magpsf": 18.0, "fid": 1}
    return json.dumps({"objectId": f"ZTF{number}", "candid": number, "candidate": own}) + "\n"


class Reader:
    """Follows a directory as the embedded engine does."""

    def __init__(self, path: Path, stream: Any = "alerts") -> None:
        self.source = open_source(path, stream).following()
        self.after: dict[tuple[str, int], int] = {}

    def read(self) -> list[str]:
        """A pass; gives file and offset of what was new."""
        found = []
        for record in self.source.read(self.after):
            at = record.where
            assert self.after.get((at.source, 0), -1) < at.offset
            self.after[(at.source, 0)] = at.offset
            found.append(f"{at.source.partition('/')[2]}@{at.offset}")
        return found


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Files that were read, one after the other; not what is opened to see when it was."""
    found: list[str] = []

    def counted(path: Path, stream: Any) -> Any:
        found.append(path.name)
        return read_file(path, stream)

    monkeypatch.setattr("ampelstream.sources.files.read_file", counted)
    return found


def pack(path: Path, packets: list[bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for number, packet in enumerate(packets):
            info = tarfile.TarInfo(f"{number}.avro")
            info.size = len(packet)
            archive.addfile(info, io.BytesIO(packet))


def container(packets: list[bytes]) -> bytes:
    reader = fastavro.reader(io.BytesIO(packets[0]))
    out = io.BytesIO()
    fastavro.writer(
        out,
        reader.writer_schema or {},
        [next(fastavro.reader(io.BytesIO(packet))) for packet in packets],
        sync_interval=1,
        sync_marker=bytes(16),
    )
    return out.getvalue()


def test_what_was_read_is_not_opened_again(
    tmp_path: Path, packets: list[bytes], opened: list[str]
) -> None:
    (tmp_path / "a.avro").write_bytes(packets[0])
    (tmp_path / "b.avro.gz").write_bytes(gzip.compress(packets[1]))
    (tmp_path / "c.ndjson").write_text(line(1) + line(2))
    pack(tmp_path / "d.tgz", packets[2:4])
    reader = Reader(tmp_path)
    assert reader.read() == [
        "a.avro@0",
        "b.avro.gz@0",
        "d.tgz@0",
        "d.tgz@1",
        "c.ndjson@0",
        "c.ndjson@1",
    ]
    assert opened == ["a.avro", "b.avro.gz", "d.tgz", "c.ndjson"]
    for _ in range(2 * EVERYTHING_EVERY):
        assert reader.read() == []
    assert len(opened) == 4
    assert (
        len(list(open_source(tmp_path, "alerts").read({}))) == 6
    )  # who asks for all of it gets it


def test_what_grows_is_read_on(tmp_path: Path, packets: list[bytes], opened: list[str]) -> None:
    (tmp_path / "c.ndjson").write_text(line(1))
    (tmp_path / "d.avro").write_bytes(container(packets[:2]))
    pack(tmp_path / "e.tgz", packets[:2])
    reader = Reader(tmp_path)
    assert len(reader.read()) == 5
    with (tmp_path / "c.ndjson").open("a") as file:
        file.write(line(2))
    (tmp_path / "d.avro").write_bytes(container(packets[:3]))
    pack(tmp_path / "e.tgz", packets[:3])
    assert sorted(reader.read()) == ["c.ndjson@1", "d.avro@2", "e.tgz@2"]
    (tmp_path / "f.ndjson").write_text("")
    assert reader.read() == []
    (tmp_path / "f.ndjson").write_text(line(3))
    assert reader.read() == ["f.ndjson@0"]
    assert reader.read() == []
    assert len(opened) == 8


def test_a_file_that_held_one_packet_and_grows_is_noticed_after_a_while(
    tmp_path: Path, packets: list[bytes]
) -> None:
    (tmp_path / "a.avro").write_bytes(container(packets[:1]))
    reader = Reader(tmp_path)
    assert reader.read() == ["a.avro@0"]
    (tmp_path / "a.avro").write_bytes(container(packets[:3]))
    found = [reader.read() for _ in range(EVERYTHING_EVERY)]
    assert [one for one in found if one] == [["a.avro@1", "a.avro@2"]]
    (tmp_path / "a.avro").write_bytes(container(packets[:4]))
    assert reader.read() == ["a.avro@3"]  # it holds several now


def test_a_pass_asks_for_what_may_grow_and_for_nothing_else(
    tmp_path: Path, packets: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(40):
        (tmp_path / f"{number}.avro").write_bytes(packets[number % 6])
    (tmp_path / "c.ndjson").write_text(line(1))
    then = tmp_path.stat().st_mtime_ns - 10**10
    os.utime(tmp_path, ns=(then, then))
    reader = Reader(tmp_path)
    assert len(reader.read()) == 41
    asked: list[str] = []
    stat, scandir = os.stat, os.scandir

    def stat_counted(path: Any, **more: Any) -> Any:
        asked.append(Path(path).name)
        return stat(path, **more)

    def scandir_counted(path: Any) -> Any:
        asked.append("list")
        return scandir(path)

    monkeypatch.setattr(os, "stat", stat_counted)
    monkeypatch.setattr(os, "scandir", scandir_counted)
    assert reader.read() == []
    assert asked == [tmp_path.name, "c.ndjson"]


def test_a_new_packet_is_read_alone_and_those_that_come_together_by_their_time(
    tmp_path: Path, packets: list[bytes], opened: list[str]
) -> None:
    (tmp_path / "m.avro").write_bytes(packets[0])
    reader = Reader(tmp_path)
    assert reader.read() == ["m.avro@0"]
    for name, packet in (("a", packets[4]), ("b", packets[2]), ("z", packets[1])):
        (tmp_path / f"{name}.avro").write_bytes(packet)
    assert reader.read() == ["z.avro@0", "b.avro@0", "a.avro@0"]
    assert opened == ["m.avro", "z.avro", "b.avro", "a.avro"]


def test_notices_are_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, created in (("a", "2024-01-02T00:00:00Z"), ("b", "2024-01-01T00:00:00Z")):
        (tmp_path / f"{name}.json").write_text(json.dumps({"time_created": created}))
    reader = Reader(tmp_path, "notices")
    assert reader.read() == ["b.json@0", "a.json@0"]
    monkeypatch.setattr(Path, "open", None)
    for _ in range(2 * EVERYTHING_EVERY):
        assert reader.read() == []


def test_a_restart_reads_what_it_does_not_have(tmp_path: Path, packets: list[bytes]) -> None:
    (tmp_path / "c.ndjson").write_text(line(1) + line(2))
    (tmp_path / "a.avro").write_bytes(packets[0])
    first = Reader(tmp_path)
    first.read()
    (tmp_path / "b.avro").write_bytes(packets[1])
    with (tmp_path / "c.ndjson").open("a") as file:
        file.write(line(3))
    second = Reader(tmp_path)
    second.after = first.after
    assert second.read() == ["c.ndjson@2", "b.avro@0"]


def test_what_has_gone_is_let_go_and_what_is_odd_is_listed(
    tmp_path: Path, packets: list[bytes]
) -> None:
    (tmp_path / "a.avro").write_bytes(packets[0])
    (tmp_path / "c.ndjson").write_text(line(1))
    (tmp_path / "x.txt").touch()
    reader = Reader(tmp_path)
    next(iter(reader.source.read({})))  # stopped in the middle
    (tmp_path / "c.ndjson").unlink()
    reader.after[(f"{tmp_path.name}/a.avro", 0)] = 0
    assert reader.read() == []
    assert [one.name for one in reader.source.skipped] == [f"{tmp_path.name}/x.txt"]
    assert (reader.source.name, reader.source.estimate()) == (str(tmp_path), 1)
    assert reader.source.following() is reader.source


def test_a_file_that_was_named_is_followed_too(tmp_path: Path) -> None:
    path = tmp_path / "c.ndjson"
    path.write_text(line(1))
    reader = Reader(path)
    assert reader.read() == ["@0"]
    with path.open("a") as file:
        file.write(line(2))
    assert reader.read() == ["@1"]
    assert reader.read() == []
    path.unlink()
    with pytest.raises(SourceError, match=r"c\.ndjson cannot be read"):
        reader.read()


def test_a_directory_that_goes_away_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "night").mkdir()
    reader = Reader(tmp_path / "night")
    assert reader.read() == []
    (tmp_path / "night").rmdir()
    with pytest.raises(SourceError, match="night cannot be listed"):
        reader.read()


def test_what_was_skipped_and_is_gone_or_readable_now_is_not_named_any_more(
    tmp_path: Path,
) -> None:
    [packet] = simulate_packets(1, seed=1)
    source = open_source(tmp_path, "alerts")
    followed = source.following()
    (tmp_path / "a.avro.zst").write_bytes(packet)
    (tmp_path / "b.avro").symlink_to(tmp_path / "behind")
    assert list(followed.read({})) == []
    assert len(source.skipped) == 2
    (tmp_path / "a.avro.zst").rename(tmp_path / "a.avro")
    (tmp_path / "b.avro").unlink()
    (tmp_path / "b.avro").write_bytes(packet)
    assert len(list(followed.read({}))) == 2
    assert source.skipped == []

"""Files are read in the order of what they hold, whatever they are called."""

import gzip
import io
import json
import math
import random
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ampelstream.codecs.alerts import decode
from ampelstream.simulate import simulate_packets
from ampelstream.sources import event_time, open_source
from ampelstream.sources.firsttime import first_time

JD = 2460000.5


@pytest.fixture(scope="module")
def packets() -> list[bytes]:
    return simulate_packets(6, seed=1)


def row(jd: float) -> dict[str, Any]:
    own = {"jd": jd, "ra": 1.0, "dec": 2.0, "magpsf": 18.0, "fid": 1}
    return {"objectId": "ZTF1", "candid": 1, "candidate": own}


def lines(*times: float) -> str:
    return "".join(json.dumps(row(jd)) + "\n" for jd in times)


def test_every_format_says_when_it_begins(tmp_path: Path, packets: list[bytes]) -> None:
    times = [decode(packet).jd for packet in packets]
    (tmp_path / "a.avro").write_bytes(packets[0])
    (tmp_path / "a.avro.gz").write_bytes(gzip.compress(packets[3]))
    (tmp_path / "a.ndjson").write_text(lines(JD, JD + 1))
    pq.write_table(pa.Table.from_pylist([row(JD + 2), row(JD + 3)]), tmp_path / "a.parquet")
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as archive:
        for number, packet in enumerate(packets[:4]):
            info = tarfile.TarInfo(f"{number}.avro")
            info.size = len(packet)
            archive.addfile(info, io.BytesIO(packet))
    found = {path.suffix: first_time(path, "alerts") for path in tmp_path.iterdir()}
    assert found == {
        ".avro": times[0],
        ".gz": times[3],
        ".ndjson": JD,
        ".parquet": JD + 2,
        ".tgz": sorted(times[:3])[1],
    }


def test_one_record_with_a_wrong_time_does_not_speak_for_its_file(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    for wrong in (JD + 9000, JD - 365):
        for at in range(3):
            times = [JD + 1, JD + 2]
            times.insert(at, wrong)
            path.write_text(lines(*times))
            assert JD + 1 <= first_time(path, "alerts") <= JD + 2
        rows = [row(JD + number) for number in range(50)] + [row(wrong)]
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
        assert JD <= first_time(tmp_path / "a.parquet", "alerts") <= JD + 1


def test_what_does_not_say_goes_last(tmp_path: Path) -> None:
    (tmp_path / "empty.avro").touch()
    (tmp_path / "junk.ndjson").write_text("junk\n")
    (tmp_path / "junk.parquet").write_bytes(b"PAR1")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    pq.write_table(pa.Table.from_pylist([row(JD)])[:0], tmp_path / "none.parquet")
    pq.write_table(pa.Table.from_pylist([row(math.nan)]), tmp_path / "nan.parquet")
    found = {path.name: first_time(path, "alerts") for path in tmp_path.iterdir()}
    found["gone.avro"] = first_time(tmp_path / "gone.avro", "alerts")
    found["gone.json"] = first_time(tmp_path / "gone.json", "notices")
    assert set(found.values()) == {math.inf}
    assert len(found) == 8


def test_packets_are_read_by_time_whatever_their_names(
    tmp_path: Path, packets: list[bytes]
) -> None:
    dice = random.Random(3)  # noqa: S311  (a reproducible test, not a secret)
    times = sorted(decode(packet).jd for packet in packets)
    for turn in range(3):
        names = dice.sample("abcdefgh", len(packets))
        directory = tmp_path / str(turn)
        directory.mkdir()
        for name, packet in zip(names, packets, strict=True):
            (directory / f"{name}.avro").write_bytes(packet)
        (directory / "0-junk.avro").write_bytes(b"junk")
        records = list(open_source(directory, "alerts").read({}))
        assert [event_time(record) for record in records] == [*times, None]


def test_what_was_begun_is_gone_on_with_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "b.ndjson").write_text(lines(JD, JD + 1, JD + 2))
    (tmp_path / "a.ndjson").write_text(lines(JD + 5))
    source = open_source(tmp_path, "alerts")
    whole = [record.where for record in source.read({})]
    assert [where.source[-8:] for where in whole] == ["b.ndjson"] * 3 + ["a.ndjson"]
    for cut in range(len(whole)):
        after = {(where.source, 0): where.offset for where in whole[:cut]}
        assert [record.where for record in source.read(after)] == whole[cut:]
    # and is not opened once more to see when it begins
    asked: list[str] = []

    def counted(path: Path, stream: Any, schemas: Any) -> float:
        asked.append(path.name)
        return first_time(path, stream, schemas)

    monkeypatch.setattr("ampelstream.sources.files.first_time", counted)
    (tmp_path / "c.ndjson").write_text(lines(JD + 4))
    rest = list(source.read({(where.source, 0): where.offset for where in whole}))
    assert [record.where.source[-8:] for record in rest] == ["c.ndjson"]
    assert asked == ["c.ndjson"]

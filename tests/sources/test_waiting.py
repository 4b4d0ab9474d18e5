"""How many files a directory has that were not read to their end."""

from pathlib import Path

from ampelstream.simulate import simulate_packets
from ampelstream.sources import open_source


def test_files_that_wait(tmp_path: Path) -> None:
    packets = simulate_packets(3, seed=1)
    source = open_source(tmp_path, "alerts")
    assert source.waiting({}) == ("files", 0)
    for number, packet in enumerate(packets):
        (tmp_path / f"{number}.avro").write_bytes(packet)
    (tmp_path / ".hidden.avro").write_bytes(packets[0])
    (tmp_path / "notes.txt").write_text("no alert")
    done: dict[tuple[str, int], int] = {}
    for left, record in zip((2, 1), source.read({}), strict=False):
        assert source.waiting(done) == ("files", left + 1)
        done[(record.where.source, 0)] = record.where.offset
    for record in source.read(done):
        done[(record.where.source, 0)] = record.where.offset
    assert list(source.read(done)) == []
    assert source.waiting(done) == ("files", 0)
    with (tmp_path / "1.avro").open("ab") as file:
        file.write(packets[0])
    assert source.waiting(done) == ("files", 1)

"""How many files a directory that is followed has that were not read to their end."""

from pathlib import Path

from ampelstream.simulate import simulate_packets
from ampelstream.sources import open_source


def test_files_that_wait(tmp_path: Path) -> None:
    packets = simulate_packets(3, seed=1)
    source = open_source(tmp_path, "alerts")
    assert source.waiting({}) == ("files", None)
    followed = source.following()
    assert followed.waiting({}) == ("files", None)  # nobody has looked yet
    assert list(followed.read({})) == []
    assert followed.waiting({}) == ("files", 0)
    for number, packet in enumerate(packets):
        (tmp_path / f"{number}.avro").write_bytes(packet)
    (tmp_path / ".hidden.avro").write_bytes(packets[0])
    (tmp_path / "notes.txt").write_text("no alert")
    done: dict[tuple[str, int], int] = {}
    reading = followed.read({})
    for left in (3, 2, 1):
        record = next(reading)
        assert followed.waiting(done) == ("files", left)
        done[(record.where.source, 0)] = record.where.offset
    assert list(reading) == []
    assert followed.waiting(done) == ("files", 0)

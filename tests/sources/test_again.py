from pathlib import Path

from ampelstream.model.coordinates import Coordinates
from ampelstream.sources import open_source
from ampelstream.sources.again import read_again


def test_only_what_is_wanted_is_given(tmp_path: Path) -> None:
    folder = tmp_path / "night"
    folder.mkdir()
    for name in "abc":
        lines = [f'{{"candid": {number}, "of": "{name}"}}' for number in range(5)]
        (folder / f"{name}.ndjson").write_text("\n".join(lines) + "\n")
    source = open_source(folder, "alerts")
    wanted = [
        Coordinates("night/a.ndjson", 0, 1),
        Coordinates("night/a.ndjson", 0, 3),
        Coordinates("night/c.ndjson", 0, 4),
        Coordinates("night/gone.ndjson", 0, 0),
        Coordinates("elsewhere/a.ndjson", 0, 0),
    ]
    found = list(read_again([source], wanted, largest=10_000))
    assert [one.where for one in found] == wanted[:3]
    assert [one.where.offset for one in found] == [1, 3, 4]
    assert list(read_again([source], wanted, largest=10)) == []
    assert list(read_again([], wanted, largest=10_000)) == []

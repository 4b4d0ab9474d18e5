"""Dead letters in a file: each once, whenever the process is killed."""

import json
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.errors import StateError
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.deadletter import DeadLetter
from ampelstream.model.record import SourceRecord
from ampelstream.runtime.embedded.engine import Engine, Progress
from ampelstream.runtime.embedded.letterfile import LetterFile
from ampelstream.runtime.outputs import letter_row
from ampelstream.state.memory import MemoryBackend
from ampelstream.state.store import Transaction

TOPOLOGY = "{name: simple, version: 1, channels: {all: {window: [0, 10]}}}"


def letter(number: int, *, error: str = "DecodeError", value: bytes = b"\x00junk") -> DeadLetter:
    where = Coordinates("night/é.avro", 0, number)
    return DeadLetter(where, "alerts", "decode", error, f"no {number}\nlike it", "é.avro", value)


class Process:
    """A process that has the state and the file until it is killed."""

    def __init__(self, backend: MemoryBackend, path: Path) -> None:
        self.tables = Transaction(backend)
        self.progress = Progress(self.tables)
        progress = self.progress
        self.file = LetterFile(path, self.tables, progress.letter, progress.letter_keys)

    def add(self, *letters: DeadLetter) -> None:
        for one in letters:
            key = self.progress.add_letter(one)
            if key is not None:
                self.file.add(key, one)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "simple" / "dead-letters.ndjson"


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


def offsets(path: Path) -> list[int]:
    return [row["offset"] for row in rows(path)] if path.exists() else []


def test_a_line_is_what_a_replay_writes_and_comes_after_the_commit(path: Path) -> None:
    process = Process(MemoryBackend(), path)
    process.add(letter(1), letter(2), letter(1))  # the third is the first
    process.tables.commit()
    assert not path.exists()
    process.file.write()
    assert rows(path) == [letter_row(letter(1)), letter_row(letter(2))]
    process.file.write()
    assert len(rows(path)) == 2


def test_killed_between_the_commit_and_the_line(path: Path) -> None:
    backend = MemoryBackend()
    killed = Process(backend, path)
    killed.add(letter(1))
    killed.tables.commit()
    Process(backend, path)
    assert offsets(path) == [1]


def test_killed_between_the_line_and_the_next_commit(path: Path) -> None:
    backend = MemoryBackend()
    killed = Process(backend, path)
    killed.add(letter(1), letter(2))
    killed.tables.commit()
    killed.file.write()
    for _ in range(2):
        again = Process(backend, path)
        assert sorted(offsets(path)) == [1, 2]
    again.add(letter(3))
    again.tables.commit()
    again.file.write()
    assert sorted(offsets(path)) == [1, 2, 3]


def test_killed_in_the_middle_of_a_line(path: Path) -> None:
    backend = MemoryBackend()
    killed = Process(backend, path)
    killed.add(letter(1), letter(2), letter(3))
    killed.tables.commit()
    killed.file.write()
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1][:30])
    Process(backend, path)
    assert sorted(offsets(path)) == [1, 2, 3]
    assert len(rows(path)) == 3


@pytest.mark.parametrize("moved", [True, False])
def test_a_file_that_was_moved_away_is_not_written_again(path: Path, *, moved: bool) -> None:
    backend = MemoryBackend()
    process = Process(backend, path)
    process.add(letter(1), letter(2))
    process.tables.commit()
    process.file.write()
    process.tables.commit()
    if moved:
        path.rename(path.with_suffix(".1"))
    process = Process(backend, path)
    process.add(letter(3))
    process.tables.commit()
    process = Process(backend, path)  # killed before the line
    assert offsets(path) == ([3] if moved else [1, 2, 3])


def test_a_state_that_never_had_a_file_gets_it_whole(path: Path) -> None:
    backend = MemoryBackend()
    tables = Transaction(backend)
    for number in range(250):
        Progress(tables).add_letter(letter(number))
    tables.commit()
    for _ in range(2):  # killed before its first commit
        process = Process(backend, path)
        assert sorted(offsets(path)) == list(range(250))
        assert [one.count for one in process.file.kinds()] == [250]
    process.tables.commit()
    path.unlink()
    assert [one.count for one in Process(backend, path).file.kinds()] == [250]
    assert not path.exists()


def test_a_disk_that_takes_nothing_loses_nothing(path: Path) -> None:
    backend = MemoryBackend()
    process = Process(backend, path)
    process.add(letter(1))
    process.tables.commit()
    path.mkdir(parents=True)
    with pytest.raises(StateError, match=r"dead-letters.ndjson: Is a directory.*the next start"):
        process.file.write()
    path.rmdir()
    Process(backend, path)
    assert offsets(path) == [1]


def test_kinds_are_counted_for_the_life_of_the_state_and_are_few(path: Path) -> None:
    backend = MemoryBackend()
    process = Process(backend, path)
    process.add(*(letter(n) for n in range(3)), *(letter(n, error=f"E{n}") for n in range(3, 99)))
    process.tables.commit()
    kinds = Process(backend, path).file.kinds()
    assert len(kinds) == 51
    assert sum(one.count for one in kinds) == 99
    assert (kinds[0].step, kinds[0].error) == ("other", "other")
    assert (kinds[1].step, kinds[1].error, kinds[1].count) == ("decode", "DecodeError", 3)
    assert kinds[1].reason == "no 2\nlike it"


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["", "added", "committed", "torn", "written"]))
    )
)
def test_whenever_it_is_killed(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, str]]
) -> None:
    """Each step adds letters, and the process is killed at that point, or not."""
    path = tmp_path_factory.mktemp("letters") / "dead-letters.ndjson"
    backend, numbers = MemoryBackend(), count()
    process = Process(backend, path)
    made: list[int] = []
    for many, killed_when in steps:
        fresh = [next(numbers) for _ in range(many)]
        process.add(*map(letter, fresh))
        if killed_when != "added":
            process.tables.commit()
            made += fresh
        if killed_when in {"", "torn", "written"}:
            before = path.stat().st_size if path.exists() else 0
            process.file.write()
            if killed_when == "torn" and path.exists():
                size = path.stat().st_size
                with path.open("r+b") as file:
                    file.truncate(before + (size - before) * 2 // 3)
        if killed_when:
            process = Process(backend, path)
    Process(backend, path)
    assert sorted(offsets(path)) == made


@pytest.fixture
def records(make_row: Callable[..., Any]) -> Iterator[SourceRecord]:
    """Alerts, each third of them junk."""
    return (
        SourceRecord(
            Coordinates("alerts", 0, number),
            "alerts",
            b"junk" if number % 3 == 0 else make_row("ZTF01", number, 2460000.0, 40.0, 0.0),
        )
        for number in count()
    )


def test_the_engine_writes_them_at_each_commit(
    make_topology: Callable[[str], Any], records: Iterator[SourceRecord], path: Path
) -> None:
    backend = MemoryBackend()
    topology = make_topology(TOPOLOGY)
    engine = Engine(topology, backend, commit_every=4, letter_file=path)
    engine.process([next(records) for _ in range(3)])
    assert offsets(path) == []
    engine.process([next(records) for _ in range(3)])
    assert offsets(path) == [0, 3]
    engine.process([next(records)])
    engine.commit()
    assert offsets(path) == [0, 3, 6]
    assert rows(path) == [letter_row(one) for one in engine.progress.letters()]
    again = Engine(topology, backend, letter_file=path)
    assert again.letters is not None
    assert [(one.error, one.count) for one in again.letters.kinds()] == [("DecodeError", 3)]
    assert offsets(path) == [0, 3, 6]
    assert Engine(topology, backend).letters is None

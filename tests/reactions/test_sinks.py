"""Sinks take each reaction once, also after a kill."""

import errno
import fcntl
import io
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
import pytest

from ampelstream.errors import ConfigError
from ampelstream.model.reaction import Reaction
from ampelstream.reactions import sinks
from ampelstream.reactions.dispatch import Dispatcher
from ampelstream.reactions.sinks import ConsoleSink, FileSink, Sink, headline, open_sinks
from ampelstream.sky.catalogs import CatalogStore
from ampelstream.topology import Topology, build, load
from ampelstream.units import Resources


def reaction(identity: str = "0123456789abcdef", **payload: object) -> Reaction:
    return Reaction(
        id=identity,
        rule="bright",
        topology="kilonova",
        event_id="SIM1",
        object_id="ZTF17aaa",
        channel="kilonova",
        klass="new",
        payload=payload,
    )


def ids(*paths: Path) -> list[str]:
    return [
        msgspec.json.decode(line)["id"] for path in paths for line in path.read_bytes().splitlines()
    ]


@pytest.fixture
def topology(tmp_path: Path) -> Callable[..., Topology]:
    """A topology whose rules have these sinks."""

    def make(**rules: Sequence[str]) -> Topology:
        text = 'name: t\nversion: "1"\nchannels: {c: {}}\nreact:\n'
        for rule, given in rules.items():
            listed = ", ".join(one if one == "console" else f'{{file: "{one}"}}' for one in given)
            text += f"  - {{name: {rule}, when: status == 'active', sinks: [{listed}]}}\n"
        path = tmp_path / "topology.yml"
        path.write_text(text)
        return build(load(path), Resources(catalogs=CatalogStore(tmp_path)))

    return make


def close(opened: Mapping[str, Sequence[Sink]]) -> None:
    for rule in opened.values():
        for sink in rule:
            if isinstance(sink, FileSink):
                sink.close()


def test_file_takes_an_id_once(tmp_path: Path) -> None:
    path = tmp_path / "out.ndjson"
    sink = FileSink(path)
    sink.send(reaction())
    sink.send(reaction())
    sink.close()
    again = FileSink(path)
    again.send(reaction())
    again.send(reaction("fedcba9876543210"))
    again.close()
    rows = [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]
    assert [row["id"] for row in rows] == ["0123456789abcdef", "fedcba9876543210"]


def test_an_unfinished_last_line_is_cut_off_and_sent_again(tmp_path: Path) -> None:
    path = tmp_path / "out.ndjson"
    sink = FileSink(path)
    sink.send(reaction())
    sink.close()
    path.write_bytes(path.read_bytes() + b'{"id":"fedc')
    again = FileSink(path)
    again.send(reaction("fedcba9876543210"))
    again.close()
    assert [msgspec.json.decode(line)["id"] for line in path.read_bytes().splitlines()] == [
        "0123456789abcdef",
        "fedcba9876543210",
    ]


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("dear diary\n")
    with pytest.raises(ConfigError, match=r"notes\.txt:1"):
        FileSink(path)
    assert path.read_text() == "dear diary\n"


def test_console_says_what_where_and_why() -> None:
    stream = io.StringIO()
    ConsoleSink(stream).send(
        reaction(ra=197.45, dec=-23.38, rank=14.0, latest={"mag": 17.41, "band": "g"})
    )
    line = stream.getvalue()
    for word in ("ZTF17aaa", "SIM1", "197.45000", "-23.38000", "14", "17.41 mag (g)"):
        assert word in line


def test_headline_without_any_measurement() -> None:
    assert "RA unknown" in headline(reaction())


def test_two_processes_may_share_a_file(tmp_path: Path) -> None:
    one, other = FileSink(tmp_path / "out.ndjson"), FileSink(tmp_path / "out.ndjson")
    one.send(reaction("a"))
    other.send(reaction("a"))
    other.send(reaction("b"))
    one.send(reaction("b"))
    one.send(reaction("c"))
    one.close()
    other.close()
    lines = (tmp_path / "out.ndjson").read_bytes().splitlines()
    assert [msgspec.json.decode(line)["id"] for line in lines] == ["a", "b", "c"]


@pytest.mark.parametrize("how", ["renamed", "deleted", "directory removed"])
def test_a_file_that_is_rotated_is_opened_anew(tmp_path: Path, how: str) -> None:
    path, rotated = tmp_path / "out" / "r.ndjson", tmp_path / "r.ndjson.1"
    sink, other = FileSink(path), FileSink(path)
    sink.send(reaction("a"))
    other.send(reaction("b"))  # which the first has not read yet
    if how == "renamed":
        path.rename(rotated)
    elif how == "deleted":
        path.unlink()
    else:
        shutil.rmtree(path.parent)
    for one in (sink, other):
        for identity in "abc":
            one.send(reaction(identity))
        one.close()
    assert ids(path) == ["c"]
    if how == "renamed":
        assert ids(rotated) == ["a", "b"]


def test_a_file_that_is_truncated_is_written_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "r.ndjson"
    sink, other = FileSink(path), FileSink(path)
    sink.send(reaction("a"))
    os.truncate(path, 0)
    sink.send(reaction("a"))
    sink.send(reaction("b"))
    assert ids(path) == ["b"]
    # truncated, and grown past what the first has read, so that its length says nothing
    os.truncate(path, 0)
    other.send(reaction("c", why="x" * 500))
    sink.send(reaction("c"))
    sink.send(reaction("d"))
    sink.close()
    other.close()
    assert ids(path) == ["c", "d"]


def test_a_path_that_cannot_be_opened_anew_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "r.ndjson"
    sink = FileSink(path)
    sink.send(reaction("a"))
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigError, match="directory"):
        sink.send(reaction("b"))
    path.rmdir()
    sink.send(reaction("b"))
    sink.close()
    assert ids(path) == ["b"]


class Full:
    """A file on a disk that is full in the middle of a line, or fails to write it down."""

    def __init__(self, file: io.FileIO) -> None:
        self._file = file

    def write(self, data: bytes) -> int:
        return self._file.write(data[: len(data) // 2])

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)


def test_disk_full_in_the_middle_of_a_line(tmp_path: Path) -> None:
    path = tmp_path / "r.ndjson"
    sink = FileSink(path)
    sink.send(reaction("a"))
    good = sink._file
    sink._file = Full(good)  # type: ignore[assignment,arg-type]  # (stands in for the file)
    with pytest.raises(OSError, match="not written whole"):
        sink.send(reaction("b"))
    assert ids(path) == ["a"]  # nothing of the line stays
    sink._file = good
    sink.send(reaction("b"))
    sink.close()
    assert ids(path) == ["a", "b"]


def test_a_line_that_did_not_reach_the_disk_is_not_taken_for_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "r.ndjson"
    sink = FileSink(path)

    def broken(_number: int) -> None:
        raise OSError(errno.EIO, "the disk fails")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", broken)
        for _ in range(2):
            with pytest.raises(OSError, match="the disk fails"):
                sink.send(reaction("a"))
    assert path.read_bytes() == b""
    sink.send(reaction("a"))
    sink.close()
    assert ids(path) == ["a"]


def test_a_lock_that_is_never_given_back_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sinks, "_LOCK_SECONDS", 0.05)
    path = tmp_path / "r.ndjson"
    sink = FileSink(path)
    with path.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(TimeoutError, match="locked"):
            sink.send(reaction("a"))
        with pytest.raises(ConfigError, match="locked"):
            FileSink(path)
    sink.send(reaction("a"))
    sink.close()
    assert ids(path) == ["a"]


@pytest.mark.parametrize("kind", ["fifo", "device", "directory", "null", "below a file"])
def test_what_cannot_hold_reactions_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "r.ndjson"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path = Path(os.devnull)
    elif kind == "directory":
        path.mkdir()
    elif kind == "null":
        path = tmp_path / "a\0b"
    else:
        path.write_text("")
        path /= "r.ndjson"
    with pytest.raises(ConfigError, match="reactions cannot be written to"):
        FileSink(path)


def test_files_of_one_name_in_two_directories_are_two_sinks(
    topology: Callable[..., Topology], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = topology(bright=["a/r.ndjson", "b/r.ndjson"])
    by_rule = open_sinks(made, tmp_path)
    opened = by_rule["bright"]
    assert [sink.name for sink in opened] == ["file:a/r.ndjson", "file:b/r.ndjson"]

    def broken(_reaction: Reaction) -> None:
        raise OSError("no route to host")

    dispatcher = Dispatcher({"bright": opened})
    with monkeypatch.context() as patch:
        patch.setattr(opened[1], "send", broken)
        taken = dispatcher.deliver(reaction(), ())
    assert taken == ["file:a/r.ndjson"]
    assert dispatcher.deliver(reaction(), taken) == ["file:b/r.ndjson"]
    assert len(ids(tmp_path / "a" / "r.ndjson", tmp_path / "b" / "r.ndjson")) == 2
    close(by_rule)


def test_what_was_opened_before_a_file_that_cannot_be_is_closed(
    topology: Callable[..., Topology], tmp_path: Path
) -> None:
    (tmp_path / "bad.ndjson").mkdir()
    with pytest.raises(ConfigError, match="bad"):  # and no warning of a file left open
        open_sinks(topology(one=["good.ndjson", "bad.ndjson"]), tmp_path)


def test_one_file_has_one_name_however_it_is_spelled(
    topology: Callable[..., Topology], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, elsewhere = tmp_path / "state", tmp_path / "elsewhere" / "r.ndjson"
    made = topology(
        one=["a/../r.ndjson", "r.ndjson", "console", "console"],
        two=["./r.ndjson"],
        three=[str(state / "r.ndjson")],
        four=["../beside.ndjson", str(elsewhere)],
    )
    opened = open_sinks(made, state)
    assert [sink.name for sink in opened["one"]] == ["file:r.ndjson", "console"]
    assert opened["one"][0] is opened["two"][0] is opened["three"][0]
    names = [sink.name for sink in opened["four"]]
    assert names == ["file:../beside.ndjson", f"file:{elsewhere}"]
    monkeypatch.chdir(tmp_path)
    again = open_sinks(made, Path("state"))  # the same directory, spelled another way
    assert [[one.name for one in rule] for rule in again.values()] == [
        [one.name for one in rule] for rule in opened.values()
    ]
    close(opened)
    close(again)


@pytest.mark.parametrize("hostile", ["\x1b[31m", "a\nb", "\u202e", "\ud800", "x" * 1_000_000])
def test_the_console_shows_text_from_outside_and_does_not_obey_it(hostile: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    one = msgspec.structs.replace(
        reaction(), object_id=hostile, event_id=hostile, rule=hostile, klass="new"
    )
    ConsoleSink(stream).send(one)
    stream.seek(0)
    (line,) = stream.read().splitlines()
    assert line.isprintable()
    assert len(line) < 1000
    assert one.id in line


def test_a_console_that_is_gone_raises() -> None:
    stream = io.StringIO()
    stream.close()
    with pytest.raises(ValueError, match="closed"):
        ConsoleSink(stream).send(reaction())

"""Sinks take each reaction once, also after a kill."""

import io
from pathlib import Path

import msgspec
import pytest

from ampelstream.errors import ConfigError
from ampelstream.model.reaction import Reaction
from ampelstream.reactions.sinks import ConsoleSink, FileSink, headline


def reaction(identity: str = "0123456789abcdef", **payload: object) -> Reaction:
    return Reaction(
        id=identity,
        rule="bright",
        topology="kilonova",
        event_id="MS1",
        object_id="ZTF17aaa",
        channel="kilonova",
        klass="new",
        payload=payload,
    )


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
    for word in ("ZTF17aaa", "MS1", "197.45000", "-23.38000", "14", "17.41 mag (g)"):
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

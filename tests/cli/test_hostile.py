"""Text from outside reaches terminal, log and report as text, and does nothing there."""

import io
import json
import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import fastavro
import pytest

from ampelstream.model.record import record_bytes
from ampelstream.simulate import Night
from ampelstream.sources import open_source

CLEAR, TITLE = "\x1b[2J", "\x1b]0;owned\x07"
NAMES = ("[red]ZTF[/red][/nothing]", "ZTF<script>alert(1)</script>", "ZTF" + "x" * 200)
"""Odd, but printable: names that an object may have."""
IDS = (
    *NAMES,
    f"ZTF{CLEAR}{TITLE}",
    "ZTF\r\nerror: forged\n",
    "ZTF\u202e71aaa\u200b\u2066",
    "ZTF\x9b31m\x7f",
    "ZTF" + "x" * 1_000_000,
)
FORBIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")


def ampelstream(
    *arguments: object, stdout: int = subprocess.PIPE
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "ampelstream", *map(str, arguments)],
        stdout=stdout,
        stderr=subprocess.PIPE,
        check=False,
        env={**os.environ, "COLUMNS": "200"},
    )


def harmless(said: bytes) -> str:
    text = said.decode()
    assert FORBIDDEN.findall(text) == []
    assert max(map(len, text.splitlines()), default=0) < 10_000
    assert not any(line.startswith("error: forged") for line in text.splitlines())
    return text


def _rows(night: Path, ids: Sequence[str]) -> list[str]:
    """The alerts of the kilonova, once for each of these object ids."""
    rows: list[str] = []
    for record in open_source(night, "alerts").read({}):
        packet: Any = next(iter(fastavro.reader(io.BytesIO(record_bytes(record)))))
        if "gfo" in packet["objectId"]:
            plain = {key: value for key, value in packet.items() if not key.startswith("cutout")}
            rows += [json.dumps(plain | {"objectId": one}) for one in ids]
    return rows


@pytest.fixture(scope="module")
def inputs(
    tmp_path_factory: pytest.TempPathFactory, make_night: Callable[..., Night]
) -> list[object]:
    """Alerts of objects with hostile ids, broken ones in a file with a hostile name, and events."""
    directory = tmp_path_factory.mktemp("hostile")
    night = make_night()
    alerts, notices = directory / "alerts", directory / "notices"
    alerts.mkdir()
    notices.mkdir()
    (alerts / "good.ndjson").write_text("\n".join(_rows(night.alerts, IDS)))
    bad = [json.dumps({"objectId": one, "candidate": one, "candid": one}) for one in IDS]
    (alerts / f"bad{CLEAR}\nerror: forged.ndjson").write_text("\n".join(bad))
    for path in sorted(night.notices.iterdir()):
        text = path.read_text()
        (notices / path.name).write_text(text.replace("SIM170817a", "SIM[red]<script>alert(2)"))
        hostile = text.replace("SIM170817a", json.dumps(f"SIM{CLEAR}\n\u202e")[1:-1])
        (notices / f"hostile-{path.name}").write_text(hostile)
    return ["--alerts", alerts, "--notices", notices]


def test_a_replay_of_hostile_records(inputs: list[object], tmp_path: Path) -> None:
    done = ampelstream("replay", "skymap-only", *inputs, "--out", tmp_path / f"out{CLEAR}\n")
    said = harmless(done.stderr)
    assert done.returncode == 3
    assert r"bad\x1b[2J\x0aerror: forged.ndjson" in said
    assert r"out\x1b[2J\x0a/report.html" in said
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {row["object_id"] for row in rows} == set(NAMES)  # data stay data
    lines = (tmp_path / f"out{CLEAR}\n" / "dead-letters.ndjson").read_text().splitlines()
    letters = [json.loads(line) for line in lines]
    reasons = [letter["reason"] for letter in letters if letter["step"] == "decode"]
    assert sum("not a name" in one or "characters long" in one for one in reasons) >= len(IDS) - 3
    assert min(done.stdout.replace(b"\n", b" ")) >= 0x20
    page = (tmp_path / f"out{CLEAR}\n" / "report.html").read_text()
    assert FORBIDDEN.findall(page) == []
    assert "<script>alert" not in page
    assert "x" * 10_000 not in re.sub(r'"[^"]*"', "", page)


def test_the_table_on_a_terminal(inputs: list[object], tmp_path: Path) -> None:
    master, slave = pty.openpty()
    said: list[bytes] = []

    def read() -> None:
        while True:
            try:
                part = os.read(master, 65536)
            except OSError:  # the other end is closed
                return
            said.append(part)

    reader = threading.Thread(target=read)
    reader.start()
    ampelstream("replay", "skymap-only", *inputs, "--out", tmp_path / "out", stdout=slave)
    os.close(slave)
    reader.join()
    os.close(master)
    # what Rich itself says to a terminal: colours and styles, and the terminal's own line ends
    shown = re.sub(r"\x1b\[[0-9;]*m", "", b"".join(said).decode().replace("\r\n", "\n"))
    assert "[red]ZTF[/red][/nothing]" in shown
    assert "SIM[red]<script>alert(2)" in shown
    assert "ZTF" + "x" * 100 not in shown  # cut
    harmless(shown.encode())


@pytest.mark.parametrize(
    "arguments",
    [
        ("replay", f"no{CLEAR}\nerror: forged", "--alerts", ".", "--out", "o"),
        ("replay", "skymap-only", "--alerts", f"no{CLEAR}\nerror: forged", "--out", "o"),
        ("topology", "check", f"no{CLEAR}\nerror: forged"),
    ],
)
def test_errors_are_ours_alone(arguments: tuple[str, ...]) -> None:
    done = ampelstream(*arguments)
    assert done.returncode == 1
    assert harmless(done.stderr).startswith("error: ")


def test_a_log_message_is_one_line_and_a_traceback_keeps_its_lines() -> None:
    program = (
        "import logging, sys\n"
        "from ampelstream.cli import main\n"
        "main._root()\n"
        "hostile = 'a\\x1b[2J\\nerror: forged\\u202e'\n"
        "logging.getLogger('x').warning('message %s', hostile)\n"
        "logging.getLogger('x').warning('long %s', 'x' * 1000000)\n"
        "try:\n"
        "    raise ValueError(hostile)\n"
        "except ValueError:\n"
        "    logging.getLogger('x').exception('failed')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        check=False,
        env={**os.environ, "COLUMNS": "200"},
    )
    said = harmless(done.stderr)
    assert r"message a\x1b[2J\x0aerror: forged\u202e" in said
    assert "characters)" in said
    lines = [line.strip() for line in said.splitlines()]
    assert "Traceback (most recent call last):" in lines
    assert r"ValueError: a\x1b[2J" in lines
    assert len(said) < 5000

"""`ampelstream status` on what `ampelstream run` does in one process."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ampelstream.cli.main import app
from ampelstream.runtime.embedded.statefiles import StateFiles
from ampelstream.simulate import Night, simulate_packets

TOPOLOGY = """
name: bright
version: "3"
channels:
  all: {alerts: {where: "magpsf < 0"}, window: [0, 10]}
"""


class Desk:
    """A topology that accepts nothing, its inputs and its state."""

    def __init__(self, here: Path) -> None:
        self.topology = here / "bright.yml"
        self.topology.write_text(TOPOLOGY)
        self.incoming = here / "incoming"
        self.incoming.mkdir()
        self.state = here / "state"
        self.files = StateFiles(self.state, "bright")
        self.log = here / "log"

    def command(self, *more: str) -> list[str]:
        named = [self.topology, "--alerts", self.incoming, "--state", self.state]
        command = [sys.executable, "-m", "ampelstream", "run", *map(str, named)]
        return [*command, "--poll", "0.1", "--report", "0.5", *more]

    def once(self) -> subprocess.CompletedProcess[str]:
        """Handle what is there."""
        return subprocess.run(
            self.command("--once"), capture_output=True, text=True, check=False, timeout=60
        )

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """Follow, until the first lines were said and beyond; killed at the end."""
        with self.log.open("wb") as log, subprocess.Popen(self.command(), stderr=log) as process:
            try:
                self.wait(lambda: len(self.lines()) > 0)
                yield process
            finally:
                process.kill()

    def lines(self) -> list[str]:
        """What the process said of itself, line by line."""
        return [line for line in self.log.read_text().splitlines() if "Z bright: " in line]

    def wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30.0
        while not condition():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def status(self, *more: str) -> tuple[int, list[dict[str, Any]], str]:
        """Exit code, rows and what was said on standard error."""
        done = CliRunner().invoke(app, ["status", "--state", str(self.state), *more])
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        return done.exit_code, rows, done.stderr


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.delenv("AMPELSTREAM_BROKER", raising=False)
    desk = Desk(tmp_path)
    for number, packet in enumerate(simulate_packets(3, seed=1)):
        (desk.incoming / f"{number}.avro").write_bytes(packet)
    (desk.incoming / "junk.avro").write_bytes(b"junk")
    return desk


def test_while_it_runs_and_when_it_was_killed(desk: Desk) -> None:
    with desk.running() as process:
        said = desk.lines()[0]
        assert " 4 alerts (+4) and 0 notices (+0) in; 0 passed (+0): 3 rejected, 3 by where" in said
        assert "1 dead letter (+1), in all 1 decode DecodeError; " in said
        assert said.endswith("nothing waiting")
        code, [row], errors = desk.status()
        assert (code, errors) == (0, "")
        assert (row["topology"], row["version"], row["running"]) == ("bright", "3", True)
        assert (row["pid"], row["alerts"], row["rejected"]) == (process.pid, 4, {"where": 3})
        assert row["dead_letter_kinds"][0]["error"] == "DecodeError"
        assert (row["waiting"], row["wrong"]) == ({"files": 0}, [])
        # dead letters are there while it runs
        [letter] = map(json.loads, desk.files.dead_letters.read_text().splitlines())
        assert (letter["member"], letter["step"]) == ("junk.avro", "decode")
        (desk.incoming / "more.avro").write_bytes(b"more junk")
        desk.wait(lambda: len(desk.files.dead_letters.read_text().splitlines()) == 2)
        desk.wait(lambda: "2 dead letters (+1)" in desk.lines()[-1])
        desk.wait(lambda: "2 dead letters (+0)" in desk.lines()[-1])
    code, [row], errors = desk.status()
    assert code == 1
    assert not row["running"]
    assert f"bright: process {process.pid} is gone without a word" in errors
    assert row["wrong"][0] in errors


def test_when_it_was_stopped_or_hangs(desk: Desk) -> None:
    with desk.running() as process:
        process.send_signal(signal.SIGSTOP)
        time.sleep(1.1)
        code, [row], errors = desk.status("--max-age", "1")
        assert (code, row["running"]) == (1, True)
        assert "bright: its last heartbeat was " in errors
        process.send_signal(signal.SIGCONT)
        process.terminate()
        assert process.wait(30) == 3  # there are dead letters
    code, [row], errors = desk.status()
    assert code == 1
    assert "bright: the process was stopped" in errors
    assert row["error"] == ""
    # what it said at its end names the file
    assert f"1 dead letter is of this run, in {desk.files.dead_letters}" in desk.log.read_text()


def test_a_run_that_was_to_end_is_well_when_it_has(desk: Desk) -> None:
    for _ in range(2):
        done = desk.once()
        assert done.returncode in {0, 3}, done.stderr
        code, [row], errors = desk.status()
        assert (code, errors, row["running"]) == (0, "", False)
    assert len(desk.files.dead_letters.read_text().splitlines()) == 1
    code, _, errors = desk.status("bright", "--max-age", "0")
    assert code == 1
    assert "bright: the last run ended" in errors


def test_an_error_that_ended_it_is_named(desk: Desk) -> None:
    desk.once()
    desk.files.dead_letters.unlink()
    desk.files.dead_letters.mkdir()
    (desk.incoming / "more.avro").write_bytes(b"more junk")
    done = desk.once()
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    code, [row], errors = desk.status()
    assert code == 1
    assert "dead letters cannot be written" in row["error"]
    assert row["error"] in errors


def test_a_table_for_people(desk: Desk) -> None:
    desk.once()
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "ampelstream", "status", "--state", str(desk.state)],
        stdout=theirs,
        stderr=subprocess.PIPE,
        check=False,
        env={**os.environ, "COLUMNS": "120"},
    )
    os.close(theirs)
    text = os.read(ours, 100_000).decode()
    os.close(ours)
    assert (done.returncode, done.stderr) == (0, b"")
    assert "Z bright: 4 alerts" in text
    for words in ("bright, version 3, hash ", "not running", "1 by decode: DecodeError: "):
        assert words in text, text
    with pytest.raises(json.JSONDecodeError):
        json.loads(text.splitlines()[0])


def test_several_topologies_of_a_state(desk: Desk) -> None:
    desk.once()
    desk.topology.write_text(TOPOLOGY.replace("bright", "dark"))
    other = StateFiles(desk.state, "dark")
    other.directory.mkdir()
    other.status.write_bytes(desk.files.status.read_bytes().replace(b'"bright"', b'"dark"'))
    assert [row["topology"] for row in desk.status()[1]] == ["bright", "dark"]
    assert [row["topology"] for row in desk.status("dark")[1]] == ["dark"]
    assert [row["topology"] for row in desk.status(str(desk.topology))[1]] == ["dark"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ((), 2, "say where it runs: --state, or --broker"),
        (("--state", "s", "--max-age", "-1"), 2, "Invalid value for '--max-age'"),
        (("--state", "s", "--max-age", "inf"), 2, "inf is no number of seconds"),
        (("--broker", "b:1", "--max-age", "nan"), 2, "Invalid value for '--max-age'"),
        (("--broker", "b:1", "--sources", "none.yml", "x"), 1, "sources file none.yml cannot be"),
        (("--state", "nowhere"), 1, "nowhere holds no status of any topology"),
        (("kilonova", "--state", "nowhere"), 1, "no status of topology kilonova"),
        (("no.yml", "--state", "nowhere"), 1, "no.yml"),
    ],
)
def test_wrong_usage(words: tuple[str, ...], code: int, message: str, tmp_path: Path) -> None:
    environment = {**os.environ, "COLUMNS": "300"}
    environment.pop("AMPELSTREAM_BROKER", None)
    done = subprocess.run(
        [sys.executable, "-m", "ampelstream", "status", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=environment,
    )
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_counts_are_those_of_the_replay(make_night: Callable[..., Night], tmp_path: Path) -> None:
    """The line says what a replay of the same inputs says in its summary."""
    night = make_night()
    command = [sys.executable, "-m", "ampelstream"]
    named = ["skymap-only", "--alerts", str(night.alerts), "--notices", str(night.notices)]
    replay = [*command, "replay", *named, "--out", str(tmp_path / "out")]
    subprocess.run(replay, check=True, capture_output=True)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    run = [*command, "run", *named, "--state", str(tmp_path / "state"), "--once"]
    subprocess.run(run, check=True, capture_output=True)
    done = CliRunner().invoke(app, ["status", "--state", str(tmp_path / "state")])
    row = json.loads(done.stdout)
    assert done.exit_code == 0
    assert row["alerts"] == summary["alerts"]["records_in"] == 300
    assert row["notices"] == summary["notices"]["records_in"]
    assert row["accepted"] == summary["alerts"]["accepted"]
    assert row["events"] > 0
    assert row["candidates"] >= sum(
        sum(one["candidates"].values()) for one in summary["channels"].values()
    )


def test_one_place_is_looked_at(tmp_path: Path) -> None:
    for more in (["--broker", "b:1"], ["--sources", "s.yml"]):
        done = CliRunner(env={"COLUMNS": "200"}).invoke(
            app, ["status", "--state", str(tmp_path), *more]
        )
        assert done.exit_code == 2
        assert f"give one of --state and {more[0]}, not both" in done.output
    # that a cluster is named for all commands is no contradiction
    done = CliRunner().invoke(
        app, ["status", "--state", str(tmp_path)], env={"AMPELSTREAM_BROKER": "b:1"}
    )
    assert done.exit_code == 1


def test_a_log_of_json_calls_what_is_normal_no_warning(tmp_path: Path) -> None:
    done = subprocess.run(
        Desk(tmp_path).command("--once", "--log", "json"),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0
    told = [json.loads(line) for line in done.stderr.splitlines()]
    assert any("following 1 input;" in one["message"] for one in told)
    assert {one["level"] for one in told} == {"info"}


def test_a_warning_of_a_command_is_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ampelstream", "topology", "check", "kilonova"]
    done = subprocess.run(
        [*command, "--catalogs", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "COLUMNS": "60"},
    )
    [line] = done.stderr.splitlines()
    assert line.startswith("WARNING  no catalogue GLADE+ in ")
    assert "no object will match it. To make it: ampelstream catalogs add GLADE+ TABLE" in line


def test_what_nobody_typed_is_not_called_unused(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMPELSTREAM_BROKER", "b:1")
    assert "--broker" not in desk.once().stderr
    done = subprocess.run(
        desk.command("--once", "--broker", "c:1"), capture_output=True, text=True, check=False
    )
    assert "--broker is not used beside --alerts" in done.stderr


def test_files_that_nobody_reads_and_times_that_cannot_be_are_said_while_it_runs(
    desk: Desk,
) -> None:
    (desk.incoming / "night.avro.zst").write_bytes(b"packed")
    row = {"objectId": "ZTF1", "candid": 1, "candidate": {"jd": 2469807.5, "fid": 1, "pid": 1}}
    row["candidate"] |= {"candid": 1, "ra": 1.0, "dec": 2.0, "magpsf": 19.0}  # type: ignore[operator]  # (a dict)
    (desk.incoming / "future.ndjson").write_text(json.dumps(row))
    with desk.running():
        said = desk.lines()[0]
        code, [shown], errors = desk.status()
    assert (code, errors) == (0, "")
    assert "1 file or archive member cannot be read, such as incoming/night.avro.zst, " in said
    assert shown["skipped"]["count"] == 1
    [first] = shown["skipped"]["first"]
    assert first["name"] == "incoming/night.avro.zst"
    assert first["reason"].startswith("its name ends in none of ")
    named = "incoming/future.ndjson[0]@0 of 2050-01-01T00:00:00.000Z"
    assert f"1 alert (+1) younger than the clock, such as {named}, did not move " in said
    assert (shown["refused"], shown["refused_such_as"]) == (1, named)

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ampelstream.cli.main import app
from ampelstream.cli.run import _work
from ampelstream.runtime.settings import WorkerSettings

RUN = ("run", "kilonova", "--state", "s")


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CliRunner:
    monkeypatch.delenv("AMPELSTREAM_BROKER", raising=False)
    monkeypatch.chdir(tmp_path)
    return CliRunner(env={"COLUMNS": "300"})


def test_every_setting_is_an_option_once(runner: CliRunner) -> None:
    result = runner.invoke(app, ["run", "--help"])
    assert result.exit_code == 0
    for name in set(WorkerSettings.model_fields) - {"topology"}:
        shown = [
            line
            for line in result.output.splitlines()
            if f" --{name.replace('_', '-')} " in line[:30] and line.startswith("│")
        ]
        assert len(shown) == 1, name
    panels = [line for line in result.output.splitlines() if line.startswith("╭─ ")]
    assert [line.split("─")[1].split("(")[0].strip() for line in panels] == [
        "Arguments",
        "Options",
        "Directories",
        "Kafka",
        "A changed topology",
        "Timing",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "the embedded engine follows directories or topics; give --alerts, or --broker"),
        (("--engine", "faust"), "the faust engine needs --broker, or AMPELSTREAM_BROKER"),
        (
            ("--engine", "faust", "--broker", "b:1", "--steps", "ingest,objekts"),
            "Invalid value for --steps: there is no step objekts; steps are ingest, objects, react",
        ),
        (
            ("--engine", "faust", "--broker", "b:1", "--alerts", "a"),
            "the faust engine reads topics: --alerts, --notices and --once are for the embedded",
        ),
        (("--alerts", "a", "--poll", "0"), "Invalid value for '--poll': "),
        (("--alerts", "a", "--workers", "2"), "the embedded engine is one process with all steps"),
        (("--alerts", "a", "--steps", "ingest"), "--workers and --steps are for --engine faust"),
        (
            ("--engine", "faust", "--broker", "b:1", "--workers", "3", "--port", "65534"),
            "the last of 3 would be 65536: give a --port of 65533 or less",
        ),
    ],
)
def test_wrong_usage(runner: CliRunner, words: tuple[str, ...], message: str) -> None:
    result = runner.invoke(app, [*RUN, *words])
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output


def live(topology: str, state: Path, *words: str) -> "subprocess.Popen[str]":
    """A worker on brokers that are not there."""
    command = [sys.executable, "-m", "ampelstream", "run", topology, "--engine", "faust"]
    command += ["--broker", "127.0.0.1:1", "--state", str(state), "--port", "0", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("form", ["json", "text"])
def test_an_error_at_the_start_is_a_line_of_the_log(tmp_path: Path, form: str) -> None:
    (tmp_path / "wrong.yml").write_text("name: wrong\nversion: 1\nchannels: {a: {strange: 1}}\n")
    with live(str(tmp_path / "wrong.yml"), tmp_path / "state", "--log", form) as worker:
        out, err = worker.communicate(timeout=60)
    assert (worker.returncode, out) == (78, "")
    (line,) = err.splitlines()
    if form == "json":
        told = json.loads(line)
        assert (told["event"], told["level"], told["worker"]) == ("misconfigured", "error", 0)
        assert "strange" in told["message"]
    else:
        assert " ERROR   worker-0 - misconfigured: " in line
        assert "strange" in line


def test_a_worker_waits_for_brokers_and_stops_when_it_is_asked_to(tmp_path: Path) -> None:
    with live("skymap-only", tmp_path / "state", "--log", "json") as worker:
        assert worker.stderr is not None
        told: list[dict[str, object]] = []
        while not told or told[-1]["event"] != "broker_away":
            told.append(json.loads(worker.stderr.readline()))
        time.sleep(0.2)
        worker.send_signal(signal.SIGTERM)
        out, err = worker.communicate(timeout=30)
    assert (worker.returncode, out) == (0, "")
    told += map(json.loads, err.splitlines())
    assert {one["level"] for one in told if one["event"] != "broker_away"} == {"info"}
    assert "no broker answers at 127.0.0.1:1" in json.dumps(told)


def test_a_worker_without_its_supervisor_has_time_to_say_who_is_not_to_blame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has in hand when its grace is over is acquitted; an earlier end would blame it."""
    given: list[float] = []
    monkeypatch.setattr("ampelstream.runtime.service.child.end_with_parent", given.append)

    async def worker(*_: object) -> int:
        return 0

    monkeypatch.setattr("ampelstream.cli.run._worker", worker)
    settings = WorkerSettings(topology="skymap-only", state=tmp_path, broker="nowhere:1", grace=7)
    assert _work(settings, 0) == 0
    assert given == [12.0]


def test_workers_of_json_say_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "wrong.yml").write_text("name: wrong\n")
    words = ("--log", "json", "--workers", "2")
    with live(str(tmp_path / "wrong.yml"), tmp_path / "state", *words) as worker:
        out, err = worker.communicate(timeout=60)
    assert (worker.returncode, out) == (78, "")
    told = [json.loads(line) for line in err.splitlines()]
    assert {"worker_started", "misconfigured", "worker_hopeless"} <= {one["event"] for one in told}

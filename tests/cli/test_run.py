import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ampelstream.cli.main import app
from ampelstream.cli.run import _schemas, _work
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
        (
            ("--engine", "faust", "--broker", "b:1", "--schemas", "s"),
            "--schemas is for the embedded engine: give `registry` in the file of --sources",
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


def test_topics_in_one_process_take_the_registry_of_their_sources(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = tmp_path / "sources.yml"
    text = "registry: {url: 'https://schemas.example.org/x'}\nalerts: [{topics: [rubin]}]\n"
    sources.write_text(text)
    said = {"topology": "x", "state": tmp_path, "broker": "b:1", "sources": sources}
    found = _schemas(WorkerSettings.model_validate(said))
    assert found is not None
    assert found.name == "https://schemas.example.org/x"
    other = _schemas(WorkerSettings.model_validate(said | {"schemas": "http://other.org"}))
    assert other is not None
    assert other.name == "http://other.org"
    assert "the registry of" in capsys.readouterr().err
    # beside directories the file of sources is not used
    assert _schemas(WorkerSettings.model_validate(said | {"alerts": (tmp_path,)})) is None


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


def embedded(directory: Path, topology: str, *words: str) -> "subprocess.CompletedProcess[str]":
    """One process, once, in a directory of its own."""
    (directory / "in").mkdir(exist_ok=True)
    command = [sys.executable, "-m", "ampelstream", "run", topology, "--once", *words]
    command += [] if "--alerts" in words else ["--alerts", "in"]
    command += [] if "--state" in words else ["--state", "state"]
    environment = {**os.environ, "PYTHONPATH": f"{directory}:{os.environ.get('PYTHONPATH', '')}"}
    return subprocess.run(
        command,
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment,
    )


CHANNEL = "name: mine\nversion: 1\nchannels: {{all: {{window: [0, 1], units: [{unit}]}}}}\n"
MINE = """
from ampelstream.units import ObjectUnit
class Broken(ObjectUnit):
    provides = "broken"
    def open(self, resources): raise OSError("no weights here")
    def compute(self, inputs): return {}
"""


@pytest.mark.parametrize(
    ("unit", "words", "said"),
    [
        (
            "{unit: CatalogMatch, config: {catalogs: {X: {radius_arcsec: 3}}}}",
            (),
            "no catalogue X in",
        ),
        ("{unit: 'mine:Broken'}", (), "mine.py:5: OSError: no weights here"),
        ("{unit: 'worse:Unit'}", (), "worse.py:1: ZeroDivisionError: division by zero"),
        ("{unit: SkyMapProbability}", ("--state", "file"), "file/mine cannot hold the state"),
        ("{unit: SkyMapProbability}", ("--alerts", "nowhere"), "there is no nowhere to read"),
        ("{unit: SkyMapProbability}", ("--alerts", "in", "--alerts", "in"), "the same name 'in'"),
    ],
)
def test_a_refusal_of_the_configuration_is_one_line_and_78(
    tmp_path: Path, unit: str, words: tuple[str, ...], said: str
) -> None:
    (tmp_path / "mine.yml").write_text(CHANNEL.format(unit=unit))
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "worse.py").write_text("1 / 0")
    (tmp_path / "file").touch()
    words += ("--catalogs", "catalogs")
    done = embedded(tmp_path, "mine.yml", *words)
    assert done.returncode == 78, done.stderr
    (line,) = done.stderr.splitlines()
    assert " ERROR   embedded - misconfigured: " in line
    assert said in line
    done = embedded(tmp_path, "mine.yml", *words, "--log", "json")
    assert done.returncode == 78
    (line,) = done.stderr.splitlines()
    told = json.loads(line)
    assert (told["event"], told["level"]) == ("misconfigured", "error")
    assert said in told["message"]
    assert told["fields"]["exit_code"] == 78


def test_a_worker_of_kafka_refuses_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with live("skymap-only", tmp_path / "file") as worker:
        _, err = worker.communicate(timeout=60)
    assert worker.returncode == 78
    assert "worker-0 cannot hold the state: Not a directory" in err


def test_what_it_says_has_an_event_and_facts_in_json(tmp_path: Path) -> None:
    done = embedded(tmp_path, "skymap-only", "--log", "json")
    told = {one["event"]: one for one in map(json.loads, done.stderr.splitlines())}
    assert list(told) == ["started", "work", "stopped"]
    assert told["started"]["fields"] == {"inputs": 1}
    assert told["work"]["message"].startswith("skymap-only: 0 alerts")  # the line has the time
    assert told["work"]["fields"]["waiting"] == {"files": 0}
    assert told["stopped"]["fields"]["alerts"] == 0


@pytest.mark.parametrize("stops", [False, True])
def test_a_state_that_is_removed_ends_it_in_words(tmp_path: Path, stops: bool) -> None:  # noqa: FBT001  (pytest gives it)
    (tmp_path / "in").mkdir()
    command = [sys.executable, "-m", "ampelstream", "run", "skymap-only", "--log", "json"]
    command += ["--alerts", str(tmp_path / "in"), "--state", str(tmp_path / "state")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while '"work"' not in process.stderr.readline():
            pass
        shutil.rmtree(tmp_path / "state", ignore_errors=True)  # it may just be written to
        if stops:
            process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    (line,) = err.splitlines()
    told = json.loads(line)
    assert told["event"] == "failed"
    assert "was removed while it was in use" in told["message"]


def test_a_defect_is_70_with_its_traceback_whatever_the_command(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "import ampelstream.cli.workflow as workflow\n"
        "def defect(*_, **__): raise KeyError('lost')\n"
        "workflow.open_topology = defect\n"
        "from ampelstream.cli.main import main\n"
        "main()\n"
    )
    for words in (
        ("topology", "describe", "kilonova"),
        ("replay", "kilonova", "--alerts", ".", "--out", "out"),
        ("run", "kilonova", "--state", "s", "--alerts", "."),
        ("run", "kilonova", "--state", "s", "--engine", "faust", "--broker", "b:1"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", program, *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 70, done.stderr
        assert "a defect; please report it with these lines" in done.stderr.splitlines()[0]
        assert "Traceback (most recent call last)" in done.stderr
        assert done.stderr.splitlines()[-1].strip() == "KeyError: 'lost'"


def test_a_signal_in_the_last_moments_makes_no_death_of_an_orderly_stop() -> None:
    program = (
        "import os, signal, sys\n"
        "from types import SimpleNamespace\n"
        "from ampelstream.cli import run\n"
        "async def stopped(*_): return 0\n"
        "run._worker = stopped\n"
        "code = run._work(SimpleNamespace(grace=1.0), 0)\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
        "sys.exit(code)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0

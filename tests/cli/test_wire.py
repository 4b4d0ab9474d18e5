"""Packets of the wire through `replay`, `run` and `units run`, with and without their schemas."""

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ampelstream.cli.main import app
from ampelstream.simulate import simulate_notice
from tests.kafka.rubin import MJD, SCHEMA, packet, registry
from tests.snippets import ROOT, commands

TOPOLOGY = """
name: wire
version: 1
channels:
  all: {alerts: {survey: lsst}, filters: [{unit: RubinFilter, config: {min_snr: 0}}]}
"""
NUMBER = 4200
pytestmark = pytest.mark.usefixtures("retries", "direct")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.delenv("AMPELSTREAM_BROKER", raising=False)
    monkeypatch.chdir(tmp_path)
    Path("wire.yml").write_text(TOPOLOGY)
    Path("night").mkdir()
    for number in (1, 2):
        Path(f"night/{number}.avro").write_bytes(packet(number, NUMBER))
    Path("schemas").mkdir()
    Path(f"schemas/{NUMBER}.avsc").write_text(json.dumps(SCHEMA))

    return lambda *words: CliRunner().invoke(app, words)


def live(*words: str) -> "subprocess.CompletedProcess[str]":
    """A run that ends when all is read; in a process, of which the log is."""
    command = [sys.executable, "-m", "ampelstream", *RUN, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


REPLAY = ("replay", "wire.yml", "--alerts", "night", "--out", "out")
RUN = ("run", "wire.yml", "--alerts", "night", "--state", "state", "--once")


@pytest.mark.usefixtures("run")
def test_a_run_without_and_with_schemas() -> None:
    result = live()
    assert (result.returncode, "2 dead letters are of this run" in result.stderr) == (3, True)
    letters = Path("state/wire/dead-letters.ndjson").read_text().splitlines()
    assert len(letters) == 2
    assert all("--schemas, a directory with a file 4200.avsc" in one for one in letters)
    shutil.rmtree("state")
    result = live("--schemas", "schemas")
    assert (result.returncode, "2 accepted" in result.stderr) == (0, True)
    result = live("--schemas", "nowhere")
    assert "schemas cannot be read from nowhere: No such file" in result.stderr


def test_a_replay_without_and_with_schemas(run: Callable[..., Result]) -> None:
    result = run(*REPLAY)
    assert (result.exit_code, "2 dead letters" in result.stderr) == (3, True)
    letters = [json.loads(one) for one in Path("out/dead-letters.ndjson").read_text().splitlines()]
    assert {one["error"] for one in letters} == {"UnknownSchema"}
    assert all("--schemas, a directory with a file 4200.avsc" in one["reason"] for one in letters)
    result = run(*REPLAY, "--schemas", "schemas")
    assert (result.exit_code, "2 accepted" in result.stderr) == (0, True)


def test_a_filter_by_itself(run: Callable[..., Result]) -> None:
    Path("cuts.json").write_text('{"min_snr": 0}')
    words = ("units", "run", "RubinFilter", "night", "--config", "cuts.json")
    assert run(*words).exit_code == 3
    result = run(*words, "--schemas", "schemas")
    assert result.exit_code == 0
    assert [json.loads(one)["accept"] for one in result.stdout.splitlines()] == [True, True]


def test_a_replay_goes_on_when_the_registry_is_back(run: Callable[..., Result]) -> None:
    with registry() as server:
        url = server.url
    words = (*REPLAY, "--schemas", url)
    result = run(*words)
    assert result.exit_code != 0
    assert f"the schema registry {url} does not give schema {NUMBER}" in str(result.exception)
    assert not Path("out/dead-letters.ndjson").exists()
    with registry() as server:
        server.schemas = {NUMBER: SCHEMA}
        result = run(*REPLAY, "--schemas", server.url)
        assert "2 accepted" in result.stderr
        assert server.asked == [NUMBER]


@pytest.mark.usefixtures("run")
def test_what_the_registry_does_not_have_is_a_dead_letter() -> None:
    with registry() as server:
        result = live("--schemas", server.url)
    assert result.returncode == 3
    assert "2 dead letters" in result.stderr
    assert server.asked == [NUMBER]


def test_what_the_page_says(run: Callable[..., Result]) -> None:
    """The commands of docs/rubin.md, as a reader types them; the packets are of one night."""
    Path("notices").mkdir()
    notice = simulate_notice(
        event_id="MS260310a",
        alert_type="PRELIMINARY",
        time_created="2026-03-10T05:30:00Z",
        t0_jd=2400000.5 + MJD - 0.1,
        ra=150.0,
        dec=-2.0,
        width_deg=3.0,
    )
    Path("notices/MS260310a.json").write_bytes(notice)
    Path("night/3.json").touch()  # what is no alert does no harm
    lines = commands(ROOT / "docs" / "rubin.md")
    assert len(lines) == 4
    for line in lines:
        result = run(*shlex.split(line)[1:])
        assert result.exit_code == 0, f"{line}\n{result.stderr}"
    counts = json.loads(Path("result/summary.json").read_text())["channels"]["kilonova"]
    assert counts["rejected"] == {"snr": 2}  # the made-up schema has no such field

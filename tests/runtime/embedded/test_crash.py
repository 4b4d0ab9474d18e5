"""A replay that is killed and started again leaves what an undisturbed one leaves."""

import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from ampelstream.simulate import Night

OUTPUTS = (
    "candidates.ndjson",
    "dead-letters.ndjson",
    "reactions.ndjson",
    "summary.json",
    "report.html",
)
ROUNDS = 30
SHORT = 5
"""So many of the rounds are in every run."""


def command(alerts: Path, notices: Path, out: Path) -> list[str]:
    start = [sys.executable, "-m", "ampelstream", "replay", "skymap-only"]
    return [*start, "--alerts", str(alerts), "--notices", str(notices), "--out", str(out)]


def fingerprints(out: Path) -> dict[str, str]:
    return {name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in OUTPUTS}


def begin(alerts: Path, notices: Path, out: Path) -> subprocess.Popen[bytes]:
    """Start a replay."""
    start = command(alerts, notices, out)
    return subprocess.Popen(start, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def written(out: Path) -> int:
    """How far a replay has come: size of its store's log [byte]."""
    size = 0
    for log in (out / "state" / "rocks").glob("*.log"):
        with suppress(FileNotFoundError):
            size += log.stat().st_size
    return size


def undisturbed(alerts: Path, notices: Path, out: Path) -> tuple[dict[str, str], int, int]:
    """Outputs, how much was written [byte] and exit code of a replay that nobody kills."""
    process = begin(alerts, notices, out)
    most = 0
    while process.poll() is None:
        most = max(most, written(out))
        time.sleep(0.01)
    _, said = process.communicate()
    assert process.returncode in {0, 3}, said.decode()
    return fingerprints(out), most, process.returncode


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "rounds",
    [range(SHORT), pytest.param(range(SHORT, ROUNDS), marks=pytest.mark.full)],
    ids=["short", "rest"],
)
def test_kill_nine_at_random_moments(
    rounds: range, make_night: Callable[..., Night], tmp_path: Path
) -> None:
    night = make_night(seed=5, alerts=1500)
    expected, most, code = undisturbed(night.alerts, night.notices, tmp_path / "reference")
    dice = random.Random(20260101 + rounds.start)  # noqa: S311  (a reproducible test, not a secret)
    killed = resumed = 0
    for _ in range(3 * len(rounds)):
        out = tmp_path / f"out{killed}"
        process = begin(night.alerts, night.notices, out)
        # one in each part of the work, at random within it, and some time after a commit
        aim = (killed + dice.random()) / len(rounds) * 0.9 * most
        while process.poll() is None and written(out) < aim:
            time.sleep(0.005)
        time.sleep(dice.uniform(0.0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if process.returncode != -signal.SIGKILL:  # it was done already
            continue
        killed += 1
        done = subprocess.run(
            command(night.alerts, night.notices, out), capture_output=True, check=False
        )
        assert done.returncode == code, done.stderr.decode()
        resumed += b"resumed" in done.stderr
        assert fingerprints(out) == expected
        shutil.rmtree(out)
        if killed == len(rounds):
            break
    # the kills must have hit what they aim at, or this test shows nothing
    assert killed == len(rounds)
    assert resumed >= len(rounds) * 0.3


def test_a_half_made_or_half_discarded_state_does_not_block(
    make_night: Callable[..., Night], tmp_path: Path
) -> None:
    night = make_night(seed=5, alerts=200)
    out = tmp_path / "out"
    expected, _, code = undisturbed(night.alerts, night.notices, tmp_path / "reference")
    assert undisturbed(night.alerts, night.notices, out)[0] == expected
    # killed while the finished run's state was being removed, and again before the new one was made
    (out / "state").rename(out / ".discarded-state")
    (out / "state" / "rocks").mkdir(parents=True)
    (out / "state" / "ampelstream-state").touch()
    (out / "state" / "rocks" / "LOG").write_text("")
    assert undisturbed(night.alerts, night.notices, out)[::2] == (expected, code)
    assert not (out / ".discarded-state").exists()


REACTING = """
name: reacting
version: 1
channels: {all: {window: [0, 10], units: [{unit: SkyMapProbability}]}}
react: [{name: near, when: SkyMapProbability.cumprob < 0.9, sinks: [{file: near.ndjson}]}]
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "number", [0, *(pytest.param(number, marks=pytest.mark.full) for number in range(1, 4))]
)
def test_a_killed_run_sends_every_reaction_once(
    number: int, make_night: Callable[..., Night], tmp_path: Path
) -> None:
    night = make_night(seed=5, alerts=1000)
    (tmp_path / "reacting.yml").write_text(REACTING)
    start = [sys.executable, "-m", "ampelstream", "run", str(tmp_path / "reacting.yml"), "--once"]
    start += ["--alerts", str(night.alerts), "--notices", str(night.notices), "--state"]

    def sent(state: Path) -> list[str]:
        lines = (state / "near.ndjson").read_text().splitlines()
        return sorted(json.loads(line)["id"] for line in lines)

    began = time.monotonic()
    subprocess.run([*start, str(tmp_path / "reference")], capture_output=True, check=True)
    seconds = time.monotonic() - began
    expected = sent(tmp_path / "reference")
    assert len(expected) > 20
    dice = random.Random(3 + number)  # noqa: S311  (a reproducible test, not a secret)
    state = tmp_path / "state"
    for _ in range(3):
        process = subprocess.Popen(
            [*start, str(state)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(dice.uniform(0.4, 0.95) * seconds)
        process.kill()
        process.wait()
    subprocess.run([*start, str(state)], capture_output=True, check=True)
    assert sent(state) == expected


@pytest.mark.slow
def test_a_killed_run_writes_every_dead_letter_once(tmp_path: Path) -> None:
    alerts = tmp_path / "alerts.ndjson"
    count = 20_000
    alerts.write_text("".join(f'{{"odd": {n}, "filler": "{"x" * 500}"}}\n' for n in range(count)))
    (tmp_path / "reacting.yml").write_text(REACTING)
    start = [sys.executable, "-m", "ampelstream", "run", str(tmp_path / "reacting.yml"), "--once"]
    start += ["--alerts", str(alerts), "--state", str(tmp_path / "state")]
    path = tmp_path / "state" / "reacting" / "dead-letters.ndjson"
    whole = count * 250
    dice = random.Random(7)  # noqa: S311  (a reproducible test, not a secret)
    killed = 0
    for part in range(1, 6):
        aim = (part - dice.random()) / 6 * whole
        process = subprocess.Popen(start, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and (path.stat().st_size if path.exists() else 0) < aim:
            time.sleep(0.002)
        process.kill()
        process.wait()
        killed += process.returncode == -signal.SIGKILL
    done = subprocess.run(start, capture_output=True, check=False)
    assert done.returncode == 3, done.stderr.decode()
    assert killed >= 3
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert sorted(row["offset"] for row in rows) == list(range(count))

"""A record that kills is set aside after three deaths; what lies behind it is handled."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ampelstream.runtime.service.journal import DEATHS
from ampelstream.simulate import Night

REPOSITORY = Path(__file__).resolve().parents[3]
TOPOLOGY = """
name: deadly
version: 1
channels:
  all:
    window: [0, 30]
    filters: [{{unit: "tests.kafka.units:Deadly", config: {{marker: "{filters}"}}}}]
    units:
      - {{unit: SkyMapProbability}}
      - {{unit: "tests.kafka.units:Killer", config: {{marker: "{units}"}}}}
"""
Row = dict[str, Any]


class Deadly:
    """A topology whose units kill, and the commands that run it."""

    def __init__(self, night: Night, directory: Path) -> None:
        self.night, self.directory = night, directory
        self.markers = {name: directory / name for name in ("filters", "units")}
        self.topology = directory / "deadly.yml"
        self.topology.write_text(TOPOLOGY.format(**self.markers))

    def __call__(self, command: str, where: str, *options: str) -> subprocess.CompletedProcess[str]:
        inputs = ["--alerts", str(self.night.alerts), "--notices", str(self.night.notices)]
        start = [sys.executable, "-m", "ampelstream", command, str(self.topology), *inputs]
        return subprocess.run(
            [*start, where, str(self.directory / command), *options],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )

    def rows(self, file: str) -> list[Row]:
        lines = (self.directory / "replay" / file).read_text().splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture
def deadly(make_night: Callable[..., Night], tmp_path: Path) -> Deadly:
    return Deadly(make_night(seed=5, alerts=200), tmp_path)


def victim(rows: list[Row]) -> tuple[str, int]:
    """An object among the candidates, and the last alert of it."""
    row = rows[len(rows) // 2]
    return row["object_id"], max(row["provenance"]["alerts"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "step"),
    [pytest.param("filters", "ingest", marks=pytest.mark.full), ("units", "objects")],
)
def test_replay(where: str, step: str, deadly: Deadly) -> None:
    undisturbed = deadly("replay", "--out")
    assert undisturbed.returncode in {0, 3}, undisturbed.stderr
    before, old = deadly.rows("candidates.ndjson"), deadly.rows("dead-letters.ndjson")
    name, candid = victim(before)
    deadly.markers[where].write_text(str(candid))
    for _ in range(DEATHS):
        killed = deadly("replay", "--out")
        assert killed.returncode == 9, killed.stderr
    done = deadly("replay", "--out")
    assert done.returncode == 3, done.stderr
    assert f"{step}: the last process died while it handled record" in done.stderr
    [letter] = [one for one in deadly.rows("dead-letters.ndjson") if one not in old]
    assert (letter["step"], letter["error"]) == (step, "WorkerDied")
    # a record of a file is read again from its coordinates; a detection is kept as it is
    assert bool(letter["value_base64"]) == (step == "objects")
    assert letter["source"]
    after = deadly.rows("candidates.ndjson")
    assert [one for one in after if one["object_id"] != name] == [
        one for one in before if one["object_id"] != name
    ]
    assert before != after


@pytest.mark.slow
@pytest.mark.full
def test_run_goes_on_behind_an_object_that_kills_in_a_sweep(deadly: Deadly) -> None:
    assert deadly("replay", "--out").returncode in {0, 3}
    _, candid = victim(deadly.rows("candidates.ndjson"))
    deadly.markers["units"].write_text(str(candid))
    codes = [deadly("run", "--state", "--once").returncode for _ in range(DEATHS + 2)]
    assert codes == [9] * DEATHS + [3, 0]

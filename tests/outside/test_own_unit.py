"""A user's own units, in the user's own package, without touching ours."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ampelstream.simulate import Night

UNITS = '''
from ampelstream.units import ACCEPT, AlertFilter, MatchFilter, ObjectUnit, Verdict


class Bright(AlertFilter):
    """Alerts brighter than a limit [mag]."""

    limit: float = 25.0

    def evaluate(self, alert):
        return ACCEPT if alert.candidate["magpsf"] < self.limit else Verdict(False, "faint")


class Moody(MatchFilter):
    """Fails always."""

    def evaluate(self, inputs):
        raise RuntimeError("bad mood")


class Count(ObjectUnit):
    """How many detections."""

    provides = "count"

    def compute(self, inputs):
        return {"detections": len(inputs.lightcurve.detections)}


class Broken(ObjectUnit):
    """Fails always."""

    provides = "nothing"

    def compute(self, inputs):
        return {"x": 1 / 0}
'''
TOPOLOGY = """
name: own
version: 1
channels:
  mine:
    window: [0, 10]
    filters: [{unit: "theirs.units:Bright", config: {limit: 21}}]
    match: [{unit: theirs.units.Moody}]
    units:
      - unit: SkyMapProbability
      - unit: CountByEntryPoint
        name: Count
      - unit: theirs.units:Broken
    rank_by: Count.detections
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package of the user's, installed somewhere, with an entry point."""
    site = tmp_path / "site"
    (site / "theirs").mkdir(parents=True)
    (site / "theirs" / "__init__.py").write_text("")
    (site / "theirs" / "units.py").write_text(UNITS)
    info = site / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[ampelstream.units]\nCountByEntryPoint = theirs.units:Count\n"
    )
    return site


def test_own_units_run_and_their_errors_stay_theirs(
    package: Path, make_night: Callable[..., Night], tmp_path: Path
) -> None:
    night = make_night()
    (tmp_path / "own.yml").write_text(TOPOLOGY)
    path = os.pathsep.join([str(package), os.environ["PYTHONPATH"]])
    arguments = ["replay", "own.yml", "--out", "out"]
    arguments += ["--alerts", str(night.alerts), "--notices", str(night.notices)]
    done = subprocess.run(
        [sys.executable, "-m", "ampelstream", *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "out" / "candidates.ndjson").read_text().splitlines()
    active = [row for row in map(json.loads, lines) if row["status"] == "active"]
    assert active
    for row in active:
        results = {one["name"]: one for one in row["results"]}
        assert results["Count"]["unit"] == "Count"
        found = [point for point in row["lightcurve"] if "mag" in point]
        bright = [point for point in found if point.get("positive") and not point["forced"]]
        assert results["Count"]["body"]["detections"] == row["rank"] == len(bright) <= len(found)
        assert found
        assert results["Broken"]["body"] is None
        assert "ZeroDivisionError" in results["Broken"]["error"]
        assert "bad mood" in results["Moody"]["error"]
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["dead_letters"] == 0
    assert summary["channels"]["mine"]["rejected"].get("faint", 0) >= 0

"""What a replay says of what fails, and of each zero."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ampelstream.simulate import Night
from tests.cli.test_replay import rows

UNITS = """
from ampelstream.units import AlertFilter, ObjectUnit


class Raises(AlertFilter):
    def evaluate(self, alert):
        return alert.candidate["no such field"]


class Fails(ObjectUnit):
    provides = "nothing"

    def compute(self, inputs):
        return {"ratio": 1 / 0}
"""
GOOD = "good: {window: [0, 10], units: [{unit: SkyMapProbability}]}"
RAISING = 'raising: {window: [0, 10], filters: [{unit: "mine:Raises"}]}'
FAILING = 'failing: {window: [0, 10], units: [{unit: "mine:Fails"}]}'


class Desk:
    """A directory with units of one's own."""

    def __init__(self, place: Path, night: Night) -> None:
        self.place, self.night = place, night
        (place / "mine.py").write_text(UNITS)

    def replay(
        self, out: str, *channels: str, events: str = "{}", more: tuple[object, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        lines = ["name: two", "version: 1", f"events: {events}", "channels:"]
        text = "\n".join([*lines, *(f"  {channel}" for channel in channels)])
        (self.place / "two.yml").write_text(text)
        inputs = more or ("--alerts", self.night.alerts, "--notices", self.night.notices)
        command = [sys.executable, "-m", "ampelstream", "replay", "two.yml", "--out", out]
        return subprocess.run(
            [*command, *map(str, inputs)],
            cwd=self.place,
            capture_output=True,
            text=True,
            check=False,
        )

    def summary(self, out: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.place / out / "summary.json").read_text())
        return found


@pytest.fixture(scope="module")
def night(make_night: Callable[..., Night]) -> Night:
    return make_night()


@pytest.fixture
def desk(night: Night, tmp_path: Path) -> Desk:
    return Desk(tmp_path, night)


def test_a_raising_filter_costs_the_other_channel_nothing(desk: Desk) -> None:
    alone, both = desk.replay("alone", GOOD), desk.replay("both", RAISING, GOOD)
    assert (alone.returncode, both.returncode) == (0, 3), both.stderr

    def candidates(out: str) -> str:
        text = (desk.place / out / "candidates.ndjson").read_text()
        return text.replace(desk.summary(out)["topology"]["hash"], "HASH")

    assert candidates("alone").count("\n") > 10
    assert candidates("alone") == candidates("both")
    letters = rows(desk.place / "both" / "dead-letters.ndjson")
    assert len(letters) == desk.summary("both")["alerts"]["records_in"] == 300
    assert {letter["step"] for letter in letters} == {"filter"}
    assert {letter["value_base64"] for letter in letters} == {""}  # its coordinates lead to it
    [reason] = {letter["reason"] for letter in letters}
    assert reason == "channel raising, unit Raises: 'no such field' (Raises.evaluate at mine.py:7)"
    for summary in (desk.summary("alone"), desk.summary("both")):
        for channel in summary["channels"].values():
            seen = channel["accepted"] + channel["duplicates"] + channel["failed"]
            assert seen + sum(channel["rejected"].values()) == summary["alerts"]["decoded"]
    why = "none of 300 alerts passed: a filter failed on 300"
    assert f"channel raising: 0 candidates, 0 left outside, 0 retracted: {why}" in both.stderr
    assert "filter raising/Raises: 300 runs, ALL failed, most often of KeyError" in both.stderr
    assert "filter raising/Raises" not in alone.stderr


def test_a_unit_that_always_fails_is_seen_on_the_terminal_and_in_the_report(desk: Desk) -> None:
    done = desk.replay("out", GOOD, FAILING)
    assert done.returncode == 0, done.stderr
    [unit] = [one for one in desk.summary("out")["units"] if one["unit"] == "Fails"]
    assert unit["always_fails"]
    assert unit["failed"] == unit["runs"] > 10
    where = "ZeroDivisionError: division by zero (Fails.compute at mine.py:14)"
    assert unit["reason"] == where
    assert f"unit failing/Fails: {unit['runs']} runs, ALL failed, most often of {where}; " in (
        done.stderr
    )
    assert " ms each" in done.stderr
    page = (desk.place / "out" / "report.html").read_text()
    assert "Always failed: failing/Fails." in page
    assert where in page


def test_a_replay_whose_first_alerts_all_fail_ends_with_the_way_out(desk: Desk) -> None:
    done = desk.replay("out", RAISING)
    assert done.returncode == 1
    assert "the first 200 alerts all failed in the same way" in done.stderr
    assert "channel raising, unit Raises: 'no such field' (Raises.evaluate at mine.py:7)" in (
        done.stderr
    )
    assert "mend what is named" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (desk.place / "out" / "summary.json").exists()
    (desk.place / "mine.py").write_text(UNITS.replace('alert.candidate["no such field"]', "ACCEPT"))
    text = (desk.place / "mine.py").read_text().replace("import Alert", "import ACCEPT, Alert")
    (desk.place / "mine.py").write_text(text)
    done = desk.replay("out", RAISING)  # all of it again, also what failed before
    assert done.returncode == 0, done.stderr
    assert desk.summary("out")["alerts"]["accepted"] == 300


def test_an_event_that_is_not_selected_says_why_and_its_map_is_drawn(desk: Desk) -> None:
    done = desk.replay("out", GOOD, events="{where: properties.HasSSM > 0.99}")
    assert done.returncode == 0, done.stderr
    why = "0 of 2 events selected: properties.HasSSM is absent"
    assert f"events: {why}" in done.stderr
    assert f"0 retracted: {why}" in done.stderr
    summary = desk.summary("out")
    assert summary["channels"]["good"]["why_none"] == summary["events_not_selected"] == why
    assert {row["why_not"] for row in summary["events"] if row["alert_type"] != "RETRACTION"} == {
        "properties.HasSSM is absent"
    }
    page = (desk.place / "out" / "report.html").read_text()
    assert "not selected: properties.HasSSM is absent" in page
    assert why in page
    assert "No sky map." not in page


def test_inputs_that_give_nothing_are_named(desk: Desk) -> None:
    for name in ("none", "nobody"):
        (desk.place / name).mkdir()
    (desk.place / "empty.ndjson").write_text("")
    alerts = ("--alerts", desk.night.alerts)
    done = desk.replay("one", GOOD, more=(*alerts, "--notices", "none"))
    assert "input none gave nothing: it is empty, or of no known kind" in done.stderr
    assert "but no event is known: no notice was read" in done.stderr
    assert desk.summary("one")["silent_inputs"] == ["none"]
    done = desk.replay("two", GOOD, more=(*alerts, "--alerts", "empty.ndjson"))
    assert "input empty.ndjson gave nothing" in done.stderr
    done = desk.replay("three", GOOD, more=("--alerts", "none", "--notices", "nobody"))
    assert "nothing was read" in done.stderr
    assert "0 retracted: no alert was read" in done.stderr


def test_another_replays_result_is_overwritten_only_if_asked(desk: Desk, night: Night) -> None:
    assert desk.replay("out", GOOD).returncode == 0
    before = (desk.place / "out" / "summary.json").read_bytes()
    assert desk.replay("out", GOOD).returncode == 0  # the same once more
    other = ("--alerts", night.alerts)
    done = desk.replay("out", GOOD, more=other)
    assert done.returncode in {1, 2}
    for words in ("holds the result of topology two over", "--out", "--overwrite"):
        assert words in done.stderr
    assert (desk.place / "out" / "summary.json").read_bytes() == before
    done = desk.replay("out", GOOD, more=(*other, "--overwrite"))
    assert done.returncode == 0, done.stderr
    assert (desk.place / "out" / "summary.json").read_bytes() != before
    done = desk.replay("out", FAILING, more=other)  # the same, with other channels
    assert done.returncode == 0, done.stderr
    assert "of an earlier content of this topology, will be replaced" in done.stderr

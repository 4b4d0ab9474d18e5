"""Events of other kinds than the demo's, from the command line to the table."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ampelstream.model.times import iso_from_jd
from ampelstream.simulate import Night
from ampelstream.simulate.at2017gfo import DEC, RA
from ampelstream.simulate.survey import T0_JD


def ampelstream(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ampelstream", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def night(make_night: Callable[..., Night]) -> Night:
    return make_night()


def neutrino(ra: float, **more: object) -> str:
    row = {
        "mission": "IceCube",
        "alert_datetime": iso_from_jd(T0_JD + 0.01),
        "trigger_time": iso_from_jd(T0_JD),
        "id": ["140078_30891383"],
        "ra": ra,
        "dec": DEC,
        "ra_dec_error": 1.2,
        "p_astro": 0.6,
    }
    return json.dumps(row | more)


def test_a_neutrino_gives_the_table_of_a_circular(night: Night, tmp_path: Path) -> None:
    notices, out = tmp_path / "notices.ndjson", tmp_path / "out"
    injected = neutrino(RA, id="1_1", alert_tense="test")
    notices.write_text(f"{neutrino(RA + 0.5)}\n{injected}\n")
    done = ampelstream(
        "replay", "neutrino", "--alerts", night.alerts, "--notices", notices, "--out", out
    )
    assert done.returncode == 0, done.stderr
    events = json.loads((out / "summary.json").read_text())["events"]
    assert [(row["event"], row["kind"], row["test"], row["selected"]) for row in events] == [
        ("IceCube-140078_30891383", "neutrino", False, True),
        ("IceCube-1_1", "neutrino", True, False),
    ]
    shown = ampelstream("candidates", "table", out / "candidates.ndjson")
    assert shown.returncode == 0, shown.stderr
    [line] = [line for line in shown.stdout.splitlines() if "ZTF17simagfo" in line]
    cells = [part.strip() for part in line.strip("|").split("|")]
    assert cells[:4] == ["IceCube-140078_30891383", "ZTF17simagfo", f"{RA:.5f}", f"{DEC:.5f}"]
    assert cells[4].startswith("17.41 g (+0.4")
    assert cells[-1] == "yes"
    page = (out / "report.html").read_text()
    assert "Signalness" in page
    assert '<span class="tag bad">test</span>' in page


def test_a_file_without_candidates_is_refused_in_words(tmp_path: Path) -> None:
    for text, words in (("{}", "holds no candidates"), ("no", "holds no candidates")):
        (tmp_path / "a.ndjson").write_text(text)
        done = ampelstream("candidates", "table", tmp_path / "a.ndjson", "--all")
        assert done.returncode == 1
        assert words in done.stderr
        assert "Traceback" not in done.stderr
    assert "cannot be read" in ampelstream("candidates", "table", tmp_path / "none").stderr


def test_the_map_of_a_circle_can_be_looked_at(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(neutrino(RA))
    done = ampelstream("skymap", "show", tmp_path / "a.json", "--at", f"{RA},{DEC}")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["name"] == "IceCube-140078_30891383"
    assert found["area90_deg2"] == pytest.approx(3.14159 * 1.2**2, rel=0.01)
    assert found["points"][0]["searched_prob"] < 0.05


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["lalinference-revised", "gwtc1"])
def test_the_published_map_of_gw170817_finds_at2017gfo(
    night: Night, data_dir: Path, tmp_path: Path, name: str
) -> None:
    published = data_dir / "skymaps" / f"GW170817-{name}-nside1024.fits.gz"
    done = ampelstream(
        "replay", "kilonova", "--alerts", night.alerts, "--notices", published,
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(one["event_id"], one["object_id"], one["status"]) for one in found] == [
        ("GW170817", "ZTF17simagfo", "active")
    ]

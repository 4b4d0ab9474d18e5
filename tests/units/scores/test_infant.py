"""InfantScore on made light curves, and SN 2021rhu through the shipped topology."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ampelstream.cli.main import app
from ampelstream.errors import ConfigError, UnitError
from ampelstream.model.lightcurve import Datapoint, LightCurve
from ampelstream.units import Dependency, Inputs
from ampelstream.units.discovery import configure
from ampelstream.units.scores.infant import InfantScore, InfantScoreResult

HOST = {"ampel_z": 0.01, "ampel_dist": 10.0}


def point(jd: float, mag: float | None, fid: int = 1, **more: Any) -> Datapoint:
    number = int(jd * 100) * 10 + fid
    facts: dict[str, Any] = {"limmag": 20.5, "ra": 150.0, "dec": 60.0, "positive": True} | more
    return Datapoint(number if mag is not None else -number, jd, fid, mag=mag, magerr=0.05, **facts)


YOUNG = (point(1.0, None), point(2.0, 18.6), point(3.0, 18.0))


def run(
    *points: Datapoint, host: dict[str, float] | None = None, **config: Any
) -> InfantScoreResult:
    dependencies = [Dependency("redshift", "DigestRedshifts", HOST if host is None else host)]
    curve = LightCurve("ZTF21abc", points)
    return InfantScore(**config).compute(Inputs(curve, dependencies=dependencies))


def test_a_supernova_of_yesterday() -> None:
    result = run(*YOUNG)
    assert result.is_infant
    assert result.failed == ()
    assert result.score == len(result.looks) == 9
    assert result.age_days == pytest.approx(1.0)
    assert result.limit_mag == 20.5
    assert result.limit_days == pytest.approx(2.0)
    assert result.rise_mag_per_day == pytest.approx(0.6)
    # Planck 2015: 44.7 Mpc, 33.25 mag, 12.7 kpc per arc minute at z = 0.01
    assert result.absmag == pytest.approx(18.0 - 33.25, abs=0.05)
    assert result.host_offset_kpc == pytest.approx(12.7 / 6, rel=0.02)


@pytest.mark.parametrize(
    ("points", "host", "failed"),
    [
        (YOUNG[:2], None, {"detections"}),
        ((*YOUNG, point(5.5, 17.5)), None, {"age", "limit"}),
        (YOUNG[1:], None, {"limit"}),
        ((point(1.0, None, limmag=19.0), *YOUNG[1:]), None, {"limit"}),
        ((YOUNG[0], point(2.0, 18.0), point(3.0, 18.6)), None, {"rise"}),
        ((YOUNG[0], point(2.0, 16.4), point(3.0, 15.8)), None, {"peak", "luminosity"}),
        ((YOUNG[0], *(point(jd, 18.0 - jd / 9, dec=-29.0, ra=266.0) for jd in (2, 3))), None,
         {"latitude"}),
        (YOUNG, {}, {"redshift", "host", "luminosity"}),
        (YOUNG, {"ampel_z": 0.01, "ampel_dist": 0.5}, {"host"}),
        (YOUNG, {"ampel_z": 0.2, "ampel_dist": 5.0}, {"redshift", "luminosity"}),
    ],
)  # fmt: skip
def test_each_look_by_itself(
    points: tuple[Datapoint, ...], host: dict[str, float] | None, failed: set[str]
) -> None:
    result = run(*points, host=host)
    assert set(result.failed) == failed
    assert result.score == 9 - len(failed)
    assert not result.is_infant


def test_negative_subtractions_are_no_detections() -> None:
    assert run(*YOUNG, point(3.5, 15.0, positive=False)) == run(*YOUNG)
    with pytest.raises(UnitError, match="no detection brighter"):
        run(point(1.0, 18.0, positive=False))


def test_a_limit_says_how_fast_it_must_have_risen() -> None:
    result = run(point(1.0, None, limmag=20.0), point(2.0, 18.0), point(2.1, 18.2, fid=2))
    assert result.rise_mag_per_day == pytest.approx(2.0)


def test_a_range_that_nothing_is_in() -> None:
    with pytest.raises(ConfigError, match="min_peak_mag must be below max_peak_mag"):
        configure("InfantScore", {"min_peak_mag": 21})


@pytest.mark.realdata
def test_sn2021rhu(data_dir: Path, tmp_path: Path) -> None:
    """Type Ia, z = 0.0035, found by ZTF on 2021-07-01 in NGC 7814."""
    root = tmp_path / "catalogs"
    table = data_dir / "catalogs" / "glade_plus_lt150Mpc.parquet"
    run = CliRunner().invoke
    assert run(app, ["catalogs", "add", "GLADE+", str(table), "--root", str(root)]).exit_code == 0
    packets = ["--alerts", str(data_dir / "ztf" / "sn2021rhu"), "--catalogs", str(root)]
    done = run(app, ["replay", "infant-supernova", *packets, "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    [candidate] = map(json.loads, (tmp_path / "out" / "candidates.ndjson").read_text().splitlines())
    assert (candidate["object_id"], candidate["event_id"]) == ("ZTF21abiuvdk", "")
    assert candidate["status"] == "active"
    assert candidate["provenance"]["alerts"] == [1642404680815015001, 1642448210815015010]
    bodies = {one["name"]: one["body"] for one in candidate["results"]}
    assert bodies["DigestRedshifts"]["ampel_z"] == pytest.approx(0.0031, abs=1e-4)
    score = bodies["InfantScore"]
    assert (score["is_infant"], score["score"], candidate["rank"]) == (True, 9, 9.0)
    assert score["absmag"] == pytest.approx(-15.0, abs=0.1)
    assert sum("mag" not in one for one in candidate["lightcurve"]) == 10
    [reaction] = map(json.loads, (tmp_path / "out" / "reactions.ndjson").read_text().splitlines())
    assert (reaction["rule"], reaction["klass"]) == ("very-young", "new")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "1642404680815015001, 2021-07-01T09:42:45" in page
    assert "First alert that passed" in page
    assert "Objects without an event" in page
    assert page.count("mag (5-sigma limit)") == 2
    assert "Not drawn: 8 datapoints outside of the time shown." in page

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ampelstream.cli.skymaps import app
from ampelstream.errors import ConfigError, SkyMapError, SourceError

pytestmark = pytest.mark.realdata

KEYS = {"area50_deg2", "area90_deg2", "distmean_mpc", "diststd_mpc", "points"}
POINT_KEYS = {
    "ra_deg",
    "dec_deg",
    "searched_prob",
    "probdensity_per_sr",
    "distance_mpc",
    "searched_prob_vol",
    "probdensity_vol",
}
GW190425 = "GW190425-bayestar-nside256.fits.gz"
FERMI = "fermi-gbm-bn180116026-nside128.fit.gz"


def run(*args: str | Path, code: int = 0) -> tuple[str, str]:
    result = CliRunner().invoke(app, ["show", *map(str, args)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.stdout, result.stderr


def show(*args: str | Path) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(run(*args, "--json")[0])
    assert shown.keys() >= KEYS
    assert all(point.keys() == POINT_KEYS for point in shown["points"])
    return shown


@pytest.fixture
def maps(data_dir: Path) -> Path:
    return data_dir / "skymaps"


@pytest.mark.parametrize("name", [GW190425, FERMI, "GW151226-cwb-nside128-RING-nodistance.fits.gz"])
def test_agrees_with_ligo_skymap(data_dir: Path, maps: Path, tmp_path: Path, name: str) -> None:
    oracle = json.loads((data_dir / "oracles/skymap_crossmatch.json").read_text())
    expected = next(one for one in oracle["maps"] if one["file"] == name)
    points = tmp_path / "points.ndjson"
    points.write_text("\n".join(json.dumps(one) for one in expected["points"]))
    shown = show(maps / name, "--points", points)
    assert shown["area50_deg2"] == pytest.approx(expected["area50_deg2"], rel=5e-3)
    assert shown["area90_deg2"] == pytest.approx(expected["area90_deg2"], rel=5e-3)
    assert len(shown["points"]) == 30
    for got, want in zip(shown["points"], expected["points"], strict=True):
        for key, value in want.items():
            absolute = {"searched_prob": 1e-3, "searched_prob_vol": 1e-2}.get(key, 0.0)
            assert got[key] == pytest.approx(value, rel=1e-3 if not absolute else 0, abs=absolute)


def test_positions_of_the_line_come_before_those_of_the_file(maps: Path, tmp_path: Path) -> None:
    points = tmp_path / "points.ndjson"
    points.write_text(
        '{"ra_deg": 10, "dec_deg": -20, "distance_mpc": null}\n\n'
        '{"ra": 11.5, "dec": 5, "id": "x"}\n'
    )
    shown = show(
        maps / GW190425, "--at", "197.45,-23.38,40", "--at", "-0.5,-89", "--points", points
    )
    where = [(one["ra_deg"], one["dec_deg"], one["distance_mpc"]) for one in shown["points"]]
    assert where == [(197.45, -23.38, 40), (-0.5, -89, None), (10, -20, None), (11.5, 5, None)]
    assert shown["points"][0]["searched_prob_vol"] is not None
    assert shown["points"][1]["searched_prob_vol"] is shown["points"][1]["probdensity_vol"] is None
    assert (shown["distmean_mpc"], shown["diststd_mpc"]) == (154.6194471943321, 44.62136163168098)
    assert shown["t_obs"] == "2019-04-25T08:18:05.018Z"


def test_a_map_without_a_time_is_shown_with_a_warning(maps: Path, tmp_path: Path) -> None:
    timeless = tmp_path / FERMI
    plain = gzip.decompress((maps / FERMI).read_bytes())
    timeless.write_bytes(plain.replace(b"TRIGTIME=", b"XRIGTIME="))
    out, err = run(timeless, "--json")
    shown = json.loads(out)
    assert shown["t_obs"] is shown["distmean_mpc"] is None
    assert err.startswith(f"warning: sky map {FERMI} has no DATE-OBS")
    out, err = run(maps / FERMI, "--json")
    assert json.loads(out)["t_obs"] == "2018-01-16T00:36:52.807Z"
    assert err == ""


def test_one_line_of_json_when_piped(maps: Path) -> None:
    out, err = run(maps / GW190425)
    assert json.loads(out)["points"] == []
    assert out.count("\n") == 1
    assert err == ""


def test_a_table_on_a_terminal(maps: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ampelstream.cli.skymaps._is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "160")
    out, _ = run(maps / GW190425, "--at", "197.45,-23.38,40", "--at", "1,2")
    for text in (
        "10,182.6 deg2",
        "154.6 +- 44.6 Mpc",
        "2019-04-25T08:18:05.018Z",
        "-23.38000",
        "RA (deg)",
    ):
        assert text in out


def test_the_map_inside_a_notice(data_dir: Path) -> None:
    notice = data_dir / "notices/lvk-2024-01/S240114aj-preliminary-20240114T225954Z.json"
    assert show(notice, "--at", "10,20")["area90_deg2"] > 0


def test_a_notice_without_a_map(data_dir: Path) -> None:
    with pytest.raises(SkyMapError, match=r"retraction\.json has no sky map \(RETRACTION\)"):
        run(data_dir / "notices/lvk-MS181101ab/MS181101ab-retraction.json")


@pytest.mark.parametrize(
    "at", ["13:09:48,-23:22:48,40", "13h09m48s -23d22m48s 40", "13 09 48 -23 22 48 40"]
)
def test_sexagesimal_positions_mean_the_same(maps: Path, tmp_path: Path, at: str) -> None:
    points = tmp_path / "points.ndjson"
    points.write_text('{"ra": "13:09:48", "dec": "-23:22:48", "distance_mpc": 40}')
    found = show(maps / GW190425, "--at", "197.45,-23.38,40", "--at", at, "--points", points)
    first, *others = found["points"]
    for other in others:
        assert other == pytest.approx(first, rel=1e-9)


def test_an_option_takes_a_value_that_begins_with_a_minus(maps: Path) -> None:
    (point,) = show(maps / GW190425, "--at", "-0:30:00,-5:30")["points"]
    assert (point["ra_deg"], point["dec_deg"]) == (-7.5, -5.5)


@pytest.mark.parametrize("columns", ["40", "60", "80", "200"])
def test_a_table_never_cuts_a_number(
    maps: Path, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setattr("ampelstream.cli.skymaps._is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", columns)
    out, _ = run(maps / GW190425, "--at", "197.4503712,-23.3814812,40")
    assert "…" not in out
    assert "197.4503712" in out
    assert "-23.3814812" in out
    assert ("No room for" in out) is (columns != "200")


@pytest.mark.parametrize("at", ["1", "1,2,3,4", "a,b", "", "0,91", "nan,0", "0,0,-4", "0,0,inf"])
def test_no_position_is_a_usage_error(maps: Path, at: str) -> None:
    run(maps / GW190425, "--at", at, code=2)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nonsense", r"points\.ndjson:2: not JSON"),
        ("[1, 2]", r"points\.ndjson:2: not a JSON object"),
        ('{"ra": 1}', r"points\.ndjson:2: ra_deg or dec_deg is missing"),
        ('{"ra": "x", "dec": 2}', r"points\.ndjson:2: 'x' is not a number of degrees, nor like"),
        ('{"ra": [1], "dec": 2}', r"points\.ndjson:2: ra is \[1\], not a number"),
        ('{"ra": true, "dec": 2}', r"points\.ndjson:2: ra is True, not a number"),
        ('{"ra": 1, "dec": 200}', r"points\.ndjson:2: .*no position on the sky"),
        ('{"ra": 1, "dec": 2, "distance_mpc": 0}', r"points\.ndjson:2: .*not positive"),
    ],
)
def test_a_bad_line_is_named(maps: Path, tmp_path: Path, line: str, message: str) -> None:
    points = tmp_path / "points.ndjson"
    points.write_text('{"ra": 1, "dec": 2}\n' + line + "\n")
    with pytest.raises(ConfigError, match=message):
        run(maps / GW190425, "--points", points)


def test_absent_files_are_named(maps: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"absent\.fits cannot be read: No such file"):
        run(tmp_path / "absent.fits")
    with pytest.raises(SourceError, match=r"absent\.ndjson cannot be read"):
        run(maps / GW190425, "--points", tmp_path / "absent.ndjson")


def test_not_fits_is_named(tmp_path: Path) -> None:
    path = tmp_path / "night.fits"
    path.write_bytes(b"hello")
    with pytest.raises(SkyMapError, match=r"night\.fits begins with .* not FITS"):
        run(path)

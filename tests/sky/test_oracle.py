"""Real maps against ligo.skymap, and real alerts against an independent count."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from ampelstream.model.times import jd_from_iso
from ampelstream.sky.skymap import SkyMap

pytestmark = pytest.mark.realdata

MAPS = [
    "GW151226-cwb-nside128-RING-nodistance.fits.gz",
    "GW170817-gwtc1-nside1024.fits.gz",
    "GW170817-lalinference-revised-nside1024.fits.gz",
    "GW190425-bayestar-nside256.fits.gz",
    "S190728q-lalinference-nside1024.fits.gz",
    "fermi-gbm-bn180116026-nside128.fit.gz",
]


@pytest.mark.parametrize("name", MAPS)
def test_agrees_with_ligo_skymap(data_dir: Path, name: str) -> None:
    oracle = json.loads((data_dir / "oracles/skymap_crossmatch.json").read_text())
    assert [one["file"] for one in oracle["maps"]] == MAPS
    expected = next(one for one in oracle["maps"] if one["file"] == name)
    skymap = SkyMap.from_file(data_dir / "skymaps" / name)
    skymap = SkyMap.from_bytes(skymap.to_bytes())
    assert skymap.area(0.5) == pytest.approx(expected["area50_deg2"], rel=1e-6)
    assert skymap.area(0.9) == pytest.approx(expected["area90_deg2"], rel=1e-6)
    points = expected["points"]
    assert len(points) == 30
    positions = [(one["ra_deg"], one["dec_deg"], one.get("distance_mpc")) for one in points]
    found = skymap.crossmatch(positions)
    for match, one in zip(found, points, strict=True):
        assert match.searched_prob == pytest.approx(one["searched_prob"], abs=1e-7)
        assert match.probdensity_per_sr == pytest.approx(one["probdensity_per_sr"], rel=1e-6)
        if "distance_mpc" in one:
            assert match.searched_prob_vol == pytest.approx(one["searched_prob_vol"], abs=1e-3)
            # relative down to the denormal numbers, and zero where ligo.skymap says zero
            assert match.probdensity_vol == pytest.approx(one["probdensity_vol"], rel=1e-5, abs=0)
    ra, dec = np.array([[one["ra_deg"], one["dec_deg"]] for one in points]).T
    assert skymap.credible_levels(ra, dec).tolist() == [match.searched_prob for match in found]


def test_mean_distance_is_computed_as_the_header_has_it(data_dir: Path) -> None:
    skymap = SkyMap.from_file(data_dir / "skymaps/GW190425-bayestar-nside256.fits.gz")
    assert skymap._moments is not None
    assert skymap._moments.mean == pytest.approx(skymap.header["DISTMEAN"], rel=1e-4)
    assert skymap._moments.std == pytest.approx(skymap.header["DISTSTD"], rel=1e-4)


@pytest.fixture(scope="module")
def night(data_dir: Path) -> tuple[list[str], NDArray[np.float64]]:
    """Object ids, and (ra, dec, jd) of the 849 alerts of 2024-01-15, shape (3, 849)."""
    objects: list[str] = []
    rows: list[tuple[float, float, float]] = []
    for path in sorted((data_dir / "ztf/night-20240115").rglob("*.parquet")):
        for row in pq.ParquetFile(path).read(columns=["objectId", "candidate"]).to_pylist():
            objects.append(row["objectId"])
            rows.append(tuple(row["candidate"][key] for key in ("ra", "dec", "jd")))
    assert len(rows) == 849
    return objects, np.array(rows).T


def oracle_counts(data_dir: Path) -> list[dict[str, Any]]:
    counts: list[dict[str, Any]] = json.loads(
        (data_dir / "oracles/night_20240115_counts.json").read_text()
    )["counts"]
    assert len(counts) == 30
    return counts


def test_alerts_inside_the_notices_of_a_night(
    data_dir: Path, night: tuple[list[str], NDArray[np.float64]]
) -> None:
    objects, (ra, dec, jd) = night
    got, expected = {}, {}
    for count in oracle_counts(data_dir):
        notice = json.loads((data_dir / "notices/lvk-2024-01" / count["notice"]).read_text())
        data = base64.b64decode(notice["event"]["skymap"])
        skymap = SkyMap.from_fits(data, name=count["event"])
        t0 = jd_from_iso(notice["event"]["time"])
        assert t0 == pytest.approx(count["t0_jd"], abs=1e-6)
        level = skymap.credible_levels(ra, dec)
        inside = (level <= 0.9) & (jd >= t0) & (jd <= t0 + 10)
        who = {objects[place] for place in np.flatnonzero(inside)}
        got[count["notice"]] = (int(inside.sum()), len(who))
        expected[count["notice"]] = (count["alerts_inside"], count["objects_inside"])
        region = skymap.region(0.9)
        for position in np.flatnonzero(level <= 0.9)[:20]:
            assert skymap.credible_level(ra[position], dec[position]) == level[position]
        assert len(region)
    assert got == expected
    # the two maps of one event differ
    assert got["S240114aj-preliminary-20240114T225954Z.json"] == (144, 144)
    assert got["S240114aj-preliminary-20240114T230524Z.json"] == (128, 128)


def test_maps_of_the_mock_event_have_distances(data_dir: Path) -> None:
    path = data_dir / "notices/lvk-MS181101ab/MS181101ab-initial.json"
    event = json.loads(path.read_text())["event"]
    skymap = SkyMap.from_fits(base64.b64decode(event["skymap"]))
    assert skymap.distmean is not None
    assert 0 < skymap.area(0.5) < skymap.area(0.9)
    best = int(np.argmax(skymap.density))
    assert skymap.level[best] == skymap.level.min()

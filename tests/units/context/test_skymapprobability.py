"""SkyMapProbability on made maps and on GW170817's."""

from bisect import bisect_right
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from ampelstream.errors import UnitError
from ampelstream.model.event import EventRevision
from ampelstream.model.lightcurve import Datapoint, LightCurve
from ampelstream.sky.healpix import pixel29
from ampelstream.sky.skymap import Crossmatch, SkyMap
from ampelstream.sky.tiles import Distances
from ampelstream.sky.volume import Moments, sight_moments
from ampelstream.units import Inputs
from ampelstream.units.context.skymapprobability import SkyMapProbability, SkyMapResult

EVENT = EventRevision("S1", "PRELIMINARY", "2024-01-15T00:00:00Z", "d", t0_jd=2460325.0)
BASE = [(1 << 58) * cell for cell in range(12)]


class FakeMap:
    """Twelve base cells; those of the northern cap have another distance than the rest."""

    name = "fake"
    distmean: float | None = 100.0
    diststd: float | None = 20.0

    def __init__(self, *, distances: bool = True, density: float = 0.5) -> None:
        self.density = density
        self.asked: list[tuple[float, float]] = []
        north = np.arange(12) < 4
        self.distances = Distances(
            mu=np.where(north, 50.0, 200.0),
            sigma=np.where(north, 0.01, 40.0),
            norm=np.where(north, 1.0 / 2500.0, 1.0 / 41600.0) if distances else np.zeros(12),
        )
        if not distances:
            self.distmean = self.diststd = None

    def at(self, ra: float, dec: float) -> Crossmatch:
        self.asked.append((ra, dec))
        return Crossmatch(0.42, self.density)

    def distance(self, ra: float, dec: float) -> Moments | None:
        tile = bisect_right(BASE, pixel29(ra, dec)) - 1
        return sight_moments(self.distances, tile) if self.distances.norm[tile] else None

    def area(self, level: float) -> float:
        return 1000.0 * level


def run(fake: FakeMap | None, *positions: tuple[float, float]) -> SkyMapResult:
    points = [
        Datapoint(id=i, jd=2460325.25 + i, fid=1, mag=19.0, ra=ra, dec=dec)
        for i, (ra, dec) in enumerate(positions)
    ]
    skymap = cast("SkyMap", fake)
    return SkyMapProbability().compute(
        Inputs(LightCurve("ZTF24a", points), event=EVENT, skymap=skymap)
    )


def test_what_it_says() -> None:
    result = run(FakeMap(), (45.0, 80.0))
    assert (result.cumprob, result.probdensity_per_sr, result.area90_deg2) == (0.42, 0.5, 900.0)
    assert (result.map_dist, result.map_dist_unc) == (100.0, 20.0)
    assert (result.map_name, result.trigger_time) == ("fake", 2460325.0)
    assert result.first_detection_days == pytest.approx(0.25)


def test_mean_position_across_zero() -> None:
    fake = FakeMap()
    result = run(fake, (359.9997, 10.0), (0.0003, 10.0))
    assert fake.asked == [(result.ra, result.dec)]
    assert min(result.ra, 360 - result.ra) == pytest.approx(0.0, abs=1e-9)


def test_distance_in_that_direction() -> None:
    north = run(FakeMap(), (45.0, 80.0))
    assert pixel29(45.0, 80.0) < BASE[4]
    assert north.los_dist == pytest.approx(50.0, abs=0.01)
    assert north.los_dist_unc == pytest.approx(0.01, rel=0.01)
    south = run(FakeMap(), (45.0, -80.0))
    r = np.linspace(0, 600, 60001)
    weight = r**2 * np.exp(-0.5 * ((r - 200) / 40) ** 2)
    mean = float((weight * r).sum() / weight.sum())
    assert south.los_dist == pytest.approx(mean, rel=1e-6)


def test_no_distance() -> None:
    without = run(FakeMap(distances=False), (45.0, 80.0))
    assert (without.map_dist, without.map_dist_unc, without.los_dist) == (None, None, None)
    assert run(FakeMap(density=0.0), (45.0, 80.0)).los_dist is None


def test_what_is_missing_is_an_error() -> None:
    with pytest.raises(UnitError, match="S1 has no sky map"):
        run(None, (45.0, 80.0))
    with pytest.raises(UnitError, match="no detection with a position"):
        run(FakeMap())


@pytest.mark.realdata
def test_at2017gfo_in_the_map_of_gw170817(data_dir: Path) -> None:
    files = sorted((data_dir / "skymaps").rglob("*170817*"))
    assert files
    counterpart = Datapoint(
        id=1, jd=2457983.5, fid=1, mag=17.3, ra=197.450374, dec=-23.381495, positive=True
    )
    event = EventRevision("GW170817", "UPDATE", "2017-08-17T12:41:04Z", "d", t0_jd=2457983.0285)
    for path in files:
        inputs = Inputs(
            LightCurve("AT2017gfo", [counterpart]), event=event, skymap=SkyMap.from_file(path)
        )
        result = SkyMapProbability().compute(inputs)
        assert result.cumprob < 0.9
        assert result.area90_deg2 < 100
        assert result.first_detection_days == pytest.approx(0.4715, abs=1e-6)
        if result.map_dist is not None:
            assert 30 < result.map_dist < 50
            if "lalinference" in path.name:  # AMPEL's published 38.6 +/- 7.0 Mpc
                assert result.map_dist == pytest.approx(38.6, abs=0.05)
                assert result.map_dist_unc == pytest.approx(7.0, abs=0.05)
            assert result.los_dist is not None
            assert 20 < result.los_dist < 60

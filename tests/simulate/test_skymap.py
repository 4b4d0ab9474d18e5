"""Simulated maps, read by plain astropy and by the project's own reader."""

import io

import numpy as np
import pytest
from astropy.io import fits
from scipy.integrate import quad

from ampelstream.simulate import distance
from ampelstream.simulate.event import PRELIMINARY, UPDATE
from ampelstream.simulate.kilonova import DEC, RA
from ampelstream.simulate.localisation import Localisation
from ampelstream.simulate.skymap import MapRequest, render, tiling
from ampelstream.sky.skymap import SkyMap


def request(where: Localisation, order: int = 8) -> MapRequest:
    return MapRequest("MS1", 2457983.0285231, "2017-08-17T12:47:04Z", where, order, 40.0, 6.0)


@pytest.mark.parametrize("order", [0, 2, 5, 8])
def test_tiles_cover_the_sky_once(order: int) -> None:
    orders, pixels = tiling(UPDATE, order)
    start = np.sort(pixels << 2 * (29 - orders))
    width = (np.int64(1) << 2 * (29 - orders))[np.argsort(pixels << 2 * (29 - orders))]
    assert start[0] == 0
    assert np.array_equal(start[1:], (start + width)[:-1])
    assert start[-1] + width[-1] == 12 << 58
    assert orders.max() == order


@pytest.mark.parametrize("where", [PRELIMINARY, UPDATE])
def test_probability_integrates_to_one(where: Localisation) -> None:
    with fits.open(io.BytesIO(render(request(where)))) as hdus:
        rows, header = hdus[1].data, hdus[1].header
        order = np.array([(int(one).bit_length() - 3) // 2 for one in rows["UNIQ"]])
        total = np.sum(rows["PROBDENSITY"] * np.pi / 3 / 4.0**order)
        assert total == pytest.approx(1.0, abs=1e-12)
        assert np.all(rows["PROBDENSITY"] > 0)
        assert "simulated" in header["ORIGIN"]
        assert header["DISTMEAN"] == pytest.approx(40.0, abs=4.0)
        assert header["DATE-OBS"] == "2017-08-17T12:41:04.396"


@pytest.mark.parametrize("where", [PRELIMINARY, UPDATE])
def test_the_kilonova_is_inside_and_not_at_the_maximum(where: Localisation) -> None:
    skymap = SkyMap.from_fits(render(request(where)))
    assert 0.05 < skymap.credible_level(RA, DEC) < 0.68
    assert skymap.credible_level(where.ra, where.dec) < 0.01


def test_the_update_is_tighter() -> None:
    first, second = (SkyMap.from_fits(render(request(one))) for one in (PRELIMINARY, UPDATE))
    assert second.area(0.9) < first.area(0.9) / 2


def test_area_is_that_of_the_gaussian() -> None:
    skymap = SkyMap.from_fits(render(request(Localisation(100.0, 10.0, along=3.0, across=1.0))))
    # -2 ln(1 - p) squared widths hold the probability p of a Gaussian in a plane
    flat = np.pi * 3.0 * 1.0 * -2.0 * np.log(0.1)
    assert skymap.area(0.9) == pytest.approx(flat, rel=0.02)


@pytest.mark.parametrize(("mu", "sigma"), [(40.0, 6.0), (5.0, 10.0), (-3.0, 8.0)])
def test_distance_moments_are_the_integrals(mu: float, sigma: float) -> None:
    norm = float(distance.norm(mu, sigma))

    def density(r: float) -> float:
        gauss = np.exp(-0.5 * ((r - mu) / sigma) ** 2) / sigma / np.sqrt(2 * np.pi)
        return float(norm * r**2 * gauss)

    top = mu + 12 * sigma
    total, first, second = (
        quad(lambda r, n=n: r**n * density(r), 0.0, top, limit=200)[0] for n in range(3)
    )
    assert total == pytest.approx(1.0, rel=1e-8)
    mean, std = distance.mean_and_std(np.ones(1), np.array([mu]), np.array([sigma]))
    assert mean == pytest.approx(first, rel=1e-8)
    assert std == pytest.approx(np.sqrt(second - first**2), rel=1e-6)


def test_the_same_request_gives_the_same_bytes() -> None:
    assert render(request(UPDATE, 5)) == render(request(UPDATE, 5))

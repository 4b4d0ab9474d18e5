"""Localisations, and simulated maps as plain astropy and the project's own reader see them."""

import io
from random import Random

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from ampelstream.simulate.at2017gfo import DEC, RA
from ampelstream.simulate.lvknotices import PRELIMINARY, UPDATE
from ampelstream.simulate.lvkskymap import (
    Localisation,
    MapRequest,
    distance_mean_and_std,
    distance_norm,
    render,
    tiling,
)
from ampelstream.sky.skymap import SkyMap


def request(where: Localisation, order: int = 8) -> MapRequest:
    return MapRequest("SIM1", 2457983.0285231, "2017-08-17T12:47:04Z", where, order, 40.0, 6.0)


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
    norm = float(distance_norm(mu, sigma))

    def density(r: float) -> float:
        gauss = np.exp(-0.5 * ((r - mu) / sigma) ** 2) / sigma / np.sqrt(2 * np.pi)
        return float(norm * r**2 * gauss)

    top = mu + 12 * sigma
    total, first, second = (
        quad(lambda r, n=n: r**n * density(r), 0.0, top, limit=200)[0] for n in range(3)
    )
    assert total == pytest.approx(1.0, rel=1e-8)
    mean, std = distance_mean_and_std(np.ones(1), np.array([mu]), np.array([sigma]))
    assert mean == pytest.approx(first, rel=1e-8)
    assert std == pytest.approx(np.sqrt(second - first**2), rel=1e-6)


def test_the_same_request_gives_the_same_bytes() -> None:
    assert render(request(UPDATE, 5)) == render(request(UPDATE, 5))


# Localisation


@settings(deadline=None)
@given(
    ra=st.floats(0.0, 359.9),
    dec=st.floats(-85.0, 85.0),
    angle=st.floats(0.0, 360.0),
    bend=st.floats(-2.0, 2.0),
    along=st.floats(-30.0, 30.0),
    across=st.floats(-10.0, 10.0),
)
def test_position_is_the_inverse_of_offsets(
    ra: float, dec: float, angle: float, bend: float, along: float, across: float
) -> None:
    where = Localisation(ra, dec, along=10.0, across=2.0, angle=angle, bend=bend)
    back = where.offsets(*where.position(along, across))
    assert [float(one) for one in back] == pytest.approx([along, across], abs=1e-6)


def test_angle_runs_from_north_to_east() -> None:
    north = Localisation(10.0, 0.0, along=5.0, across=1.0)
    east = Localisation(10.0, 0.0, along=5.0, across=1.0, angle=90.0)
    assert north.position(3.0, 0.0) == pytest.approx((10.0, 3.0))
    assert east.position(3.0, 0.0) == pytest.approx((13.0, 0.0))


def test_drawn_positions_have_its_widths() -> None:
    where = Localisation(350.0, 40.0, along=6.0, across=1.5, angle=30.0, bend=0.8)
    rng = Random(5)  # noqa: S311  (a simulation, no secrets)
    drawn = np.array([where.draw(rng) for _ in range(4000)])
    along, across = where.offsets(drawn[:, 0], drawn[:, 1])
    assert [float(np.std(one)) for one in (along, across)] == pytest.approx([6.0, 1.5], rel=0.05)
    inside = float(np.mean(where.radius(drawn[:, 0], drawn[:, 1]) < 2.146))
    assert inside == pytest.approx(0.9, abs=0.02)

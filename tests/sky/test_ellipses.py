"""Maps made of circles and ellipses: areas, containment, bounds, bytes."""

import math
from itertools import pairwise

import healpy as hp
import numpy as np
import pytest

from ampelstream.errors import SkyMapError
from ampelstream.model.localisation import Ellipse
from ampelstream.sky.ellipses import FLOOR_ARCSEC
from ampelstream.sky.healpix import angular_separation
from ampelstream.sky.skymap import SkyMap
from ampelstream.sky.tiles import SQUARE_DEGREES

PLACES = [(10.0, 20.0), (0.0, 90.0), (266.4, -44.1), (359.9999, 0.0), (45.0, -89.7)]


def made(*ellipses: Ellipse) -> SkyMap:
    return SkyMap.from_ellipses(ellipses, name="burst", digest="d", t_obs_jd=2460000.0)


def small_angle_area(one: Ellipse, level: float) -> float:
    """Of a Gaussian in the plane [deg2]."""
    scale = -2 * math.log1p(-one.containment)
    return math.pi * one.semi_major * one.semi_minor / scale * -2 * math.log1p(-level)


def fisher_radius(one: Ellipse, level: float) -> float:
    """Radius [deg] of a level of the Fisher distribution; its kappa solved by another method."""

    def inside(kappa: float, radius: float) -> float:
        reach = 1 - math.cos(math.radians(radius))
        return math.expm1(-kappa * reach) / math.expm1(-2 * kappa)

    low, high = 1e-9, 1e12
    for _ in range(300):
        kappa = math.sqrt(low * high)
        low, high = (
            (low, kappa) if inside(kappa, one.semi_major) > one.containment else (kappa, high)
        )
    cosine = 1 + math.log1p(level * math.expm1(-2 * low)) / low
    return math.degrees(math.acos(cosine))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("axes", "containment"),
    [
        ((0.05, 0.05), 0.9),
        ((0.5, 0.5), 0.9),
        ((1.185, 1.185), 0.9),
        ((3.83, 3.83), 0.68),
        ((0.504, 0.599), 0.9),
        ((0.2, 1.0), 0.5),
        ((0.6, 0.02), 0.9),
    ],
)
def test_areas_are_those_of_a_gaussian_in_the_plane(
    place: tuple[float, float], axes: tuple[float, float], containment: float
) -> None:
    one = Ellipse(*place, *axes, 33.0, containment)
    skymap = made(one)
    for level in (0.5, 0.9):
        assert skymap.area(level) == pytest.approx(small_angle_area(one, level), rel=0.01)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("radius", "containment"), [(12.9, 0.9), (38.2, 0.68), (60, 0.68), (100, 0.9)]
)
def test_large_circles_have_the_areas_of_the_sphere(
    place: tuple[float, float], radius: float, containment: float
) -> None:
    one = Ellipse(*place, radius, radius, 0.0, containment)
    skymap = made(one)
    for level in (0.5, 0.9):
        cap = 2 * math.pi * (1 - math.cos(math.radians(fisher_radius(one, level)))) * SQUARE_DEGREES
        assert skymap.area(level) == pytest.approx(cap, rel=0.01)
    # what the notice says holds: so much lies within so many degrees
    inside = skymap.crossmatch([(place[0], place[1], None)])[0]
    assert inside.searched_prob < 0.02


def test_the_level_at_the_edge_of_an_ellipse_is_its_containment() -> None:
    one = Ellipse(120.0, 40.0, 2.0, 0.5, 30.0, 0.68)
    skymap = made(one)
    angle = math.radians(one.angle)
    along = (math.sin(angle) / math.cos(math.radians(one.dec)), math.cos(angle))
    across = (math.cos(angle) / math.cos(math.radians(one.dec)), -math.sin(angle))
    for size, (east, north) in ((one.semi_major, along), (one.semi_minor, across)):
        for sign in (1, -1):
            level = skymap.credible_level(
                one.ra + sign * size * east, one.dec + sign * size * north
            )
            assert level == pytest.approx(0.68, abs=0.02)


def test_levels_rise_with_the_distance_from_the_centre() -> None:
    skymap = made(Ellipse(0.0, 0.0, 5.0, 5.0))
    levels = skymap.credible_levels([0.0, 359.0, 3.0, 5.0, 8.0, 40.0, 180.0], [0.0] * 7).tolist()
    assert all(one < other for one, other in pairwise(levels[:-1]))
    assert levels[3] == pytest.approx(0.9, abs=0.01)
    assert levels[-2:] == pytest.approx([1.0, 1.0])


def test_a_point_without_extent_is_as_wide_as_positions_are_known() -> None:
    for radius in (1e-9, 0.0001):
        skymap = made(Ellipse(206.4104, -44.0386, radius, radius))
        area = 2 * math.pi * (FLOOR_ARCSEC / 3600) ** 2 * math.log(10)
        assert skymap.area(0.9) == pytest.approx(area, rel=0.01)
        assert skymap.credible_level(206.4104, -44.0386 + 1 / 3600) < 0.9


@pytest.mark.parametrize("ratio", [1, 10, 100, 1000, 1e7])
@pytest.mark.parametrize("radius", [0.0001, 1.0, 90.0, 180.0])
def test_the_number_of_tiles_has_an_end(radius: float, ratio: float) -> None:
    skymap = made(Ellipse(10.0, 20.0, radius, radius / ratio, 20.0, 0.9))
    assert len(skymap.order) < (10_000 if ratio == 1 else 250_000)
    whole = np.sum(skymap.density * math.pi / 3 / np.exp2(2.0 * skymap.order))
    assert whole == pytest.approx(1.0, abs=1e-6)
    assert skymap.start29[0] == 0
    ends = skymap.start29 + (np.int64(1) << 2 * (29 - skymap.order.astype(np.int64)))
    assert (ends[:-1] == skymap.start29[1:]).all()


def test_of_several_each_has_the_same_probability() -> None:
    places = [Ellipse(17.48, 16.15, 0.5, 0.5), Ellipse(13.82, 18.66, 1.0, 1.0)]
    skymap = made(*places)
    for one in places:
        near = [
            float(density) * math.pi / 3 / 4 ** int(order)
            for order, start, density in zip(
                skymap.order, skymap.start29, skymap.density, strict=True
            )
            if _separation(one, int(start), int(order)) < 2.2
        ]
        assert sum(near) == pytest.approx(0.5, abs=0.01)


def _separation(one: Ellipse, start: int, order: int) -> float:
    ra, dec = hp.pix2ang(1 << order, start >> 2 * (29 - order), nest=True, lonlat=True)
    return float(angular_separation(one.ra, one.dec, float(ra), float(dec)))


def test_the_same_ellipse_gives_the_same_bytes() -> None:
    one = Ellipse(188.3, -34.79, 5.98, 5.98, 0.0, 0.68)
    skymap = made(one)
    assert made(one).to_bytes() == skymap.to_bytes()
    assert len(skymap.to_bytes()) < 100_000
    again = SkyMap.from_bytes(skymap.to_bytes())
    assert again.area(0.9) == skymap.area(0.9)


@pytest.mark.parametrize(
    "one",
    [
        Ellipse(10.0, 91.0, 1.0, 1.0),
        Ellipse(math.nan, 0.0, 1.0, 1.0),
        Ellipse(10.0, 0.0, 0.0, 1.0),
        Ellipse(10.0, 0.0, 1.0, math.inf),
        Ellipse(10.0, 0.0, 1.0, 1.0, 0.0, 1.0),
    ],
)
def test_what_is_no_ellipse_is_refused(one: Ellipse) -> None:
    with pytest.raises(SkyMapError, match="burst"):
        made(one)

import math
import re
from concurrent.futures import ThreadPoolExecutor
from math import asin, atan2, cos, degrees, pi, radians, sin

import healpy as hp
import numpy as np
import pytest
from astropy.coordinates import angular_separation as astropy_separation
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ampelstream.errors import SkyMapError
from ampelstream.sky.healpix import angular_separation, cell, cone_ranges, pixel29, pixels29

EDGES = [0.0, 45.0, 90.0, 135.0, 180.0, 225.0, 270.0, 315.0, 360.0]
CAP = math.degrees(math.asin(2 / 3))

PARALLELS = [-90.0, -89.9999999, -CAP, -30.0, 0.0, 30.0, CAP, 89.9999999, 90.0]
WHOLE_SKY = [(0, 12 << 58)]

right_ascensions = st.floats(-720, 720) | st.sampled_from([*EDGES, -1e-17, -45.0])
declinations = st.floats(-90, 90) | st.sampled_from(PARALLELS)
around = st.integers(0, 8).map(lambda n: n * 45.0) | st.floats(0.0, 360.0)


def uniform(n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(29)
    return rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))


def one_by_one(ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.array([pixel29(*one) for one in zip(ra.tolist(), dec.tolist(), strict=True)])


@given(right_ascensions, declinations)
@settings(deadline=None, max_examples=500)
def test_the_pixel_of_one_position_is_healpys(ra: float, dec: float) -> None:
    assert pixel29(ra, dec) == hp.ang2pix(1 << 29, ra, dec, nest=True, lonlat=True)
    assert pixel29(ra, dec) == pixels29([ra], [dec])[0] == pixels29(ra, dec)


def test_one_by_one_is_the_same_as_together() -> None:
    ra, dec = uniform(50_000)
    assert np.array_equal(one_by_one(ra, dec), pixels29(ra, dec))


@pytest.mark.parametrize("ra", [*EDGES, -1e-14, -2.4e-14, -1e-300, 359.99999999999994])
def test_meridians_between_base_pixels(ra: float) -> None:
    _, dec = uniform(2000)
    assert np.array_equal(one_by_one(np.full(2000, ra), dec), pixels29(ra, dec))


@pytest.mark.parametrize("dec", PARALLELS)
def test_poles_and_parallels(dec: float) -> None:
    ra, _ = uniform(2000)
    assert np.array_equal(one_by_one(ra, np.full(2000, dec)), pixels29(ra, dec))


@pytest.mark.parametrize("sign", [-1, 1])
def test_around_the_poles(sign: int) -> None:
    ra, _ = uniform(5000)
    dec = sign * (90.0 - np.geomspace(1e-15, 10.0, 5000))
    assert np.array_equal(one_by_one(ra, dec), pixels29(ra, dec))


def test_corners_of_base_pixels_belong_to_one_of_them() -> None:
    ra, dec = (one.ravel().astype(float) for one in np.mgrid[-720:721:15, -90:91:30])
    assert np.array_equal(one_by_one(ra, dec), pixels29(ra, dec))


def cell_of(pixels: NDArray[np.int64], order: int) -> list[int]:
    return [cell(int(pixel), order) for pixel in pixels]


@given(right_ascensions, declinations)
@settings(deadline=None, max_examples=300)
def test_a_pixel_is_on_the_sphere(ra: float, dec: float) -> None:
    assert 0 <= pixel29(ra, dec) < 12 << 58


# At multiples of 45 deg lie corners of the base pixels: which of these such a point belongs to is a
# matter of rounding, as in healpy.
@given(st.integers(0, 359).filter(lambda ra: ra % 45 != 0), declinations)
def test_right_ascension_is_cyclic(ra: int, dec: float) -> None:
    assert pixel29(ra, dec) == pixel29(ra - 360, dec) == pixel29(ra + 720, dec)


def test_shapes_broadcast() -> None:
    assert pixels29(np.zeros((3, 1)), np.zeros(4)).shape == (3, 4)
    assert pixels29([], []).shape == (0,)
    assert pixels29(1.0, 2.0).shape == ()
    assert pixels29([1.0], [2.0]).dtype == np.int64


@pytest.mark.parametrize(
    ("ra", "dec"),
    [(0.0, 90.1), (0.0, -91.0), (math.nan, 0.0), (0.0, math.nan), (math.inf, 0.0), (0.0, math.inf)],
)
def test_no_position_is_refused(ra: float, dec: float) -> None:
    with pytest.raises(SkyMapError, match="no position on the sky"):
        pixel29(ra, dec)
    with pytest.raises(SkyMapError, match=re.escape(f"ra={ra}, dec={dec} is no position on the")):
        pixels29([1.0, ra], [1.0, dec])
    with pytest.raises(SkyMapError, match="no position on the sky"):
        pixels29(np.array([[ra], [ra]]), [0.0, dec])
    with pytest.raises(SkyMapError, match="no position on the sky"):
        cone_ranges(ra, dec, 1.0)


def test_a_cell_is_the_pixel_of_a_coarser_order() -> None:
    ra, dec = uniform(500)
    for order in (0, 7, 12, 29):
        coarse = hp.ang2pix(1 << order, ra, dec, nest=True, lonlat=True)
        assert cell_of(pixels29(ra, dec), order) == coarse.tolist()


def away(ra: float, dec: float, apart: float, angle: float) -> tuple[float, float]:
    """Position at a distance and position angle [deg] from another."""
    lat, far, turn = radians(dec), radians(apart), radians(angle)
    up = sin(lat) * cos(far) + cos(lat) * sin(far) * cos(turn)
    east = sin(turn) * sin(far) * cos(lat)
    ahead = cos(far) - sin(lat) * up
    return (ra + degrees(atan2(east, ahead))) % 360.0, degrees(asin(max(-1.0, min(1.0, up))))


@settings(deadline=None, max_examples=400)
@given(right_ascensions, declinations, st.floats(-9.0, 2.2), st.floats(0.0, 1.0), around)
def test_every_point_of_the_cone_is_covered(
    ra: float, dec: float, log_radius: float, part: float, angle: float
) -> None:
    radius = 10.0**log_radius
    pixel = pixel29(*away(ra, dec, radius * part, angle))
    assert any(start <= pixel < end for start, end in cone_ranges(ra, dec, radius))


@settings(deadline=None, max_examples=200)
@given(right_ascensions, declinations, st.sampled_from(range(21)), around)
def test_the_widest_cone_of_each_order_is_covered(
    ra: float, dec: float, order: int, angle: float
) -> None:
    # the 2 milliarcsec that are added for rounding would make it one of the next order
    radius = degrees((pi / 3) ** 0.5 / 2 / 2**order - 1e-8) * (1 - 1e-12)
    ranges = cone_ranges(ra, dec, radius)
    assert ranges != WHOLE_SKY
    pixel = pixel29(*away(ra, dec, radius, angle))
    assert any(start <= pixel < end for start, end in ranges)


@settings(deadline=None, max_examples=100)
@given(right_ascensions, declinations, st.floats(0.0, 10.0))
def test_ranges_are_sorted_apart_and_few(ra: float, dec: float, radius: float) -> None:
    ranges = cone_ranges(ra, dec, radius)
    assert 1 <= len(ranges) <= 6
    edges = [edge for one in ranges for edge in one]
    assert edges == sorted(set(edges))


def test_the_cover_is_small_compared_with_the_sky() -> None:
    # four cells of at most 4 radii: 64 square radii
    area = sum(end - start for start, end in cone_ranges(10.0, 20.0, 10 / 3600))
    assert area / (12 << 58) * 4 * pi < 64 * radians(10 / 3600) ** 2


@pytest.mark.parametrize("radius", [30.0, 90.0, 170.0, 180.0, 1e9, math.inf])
def test_a_wide_cone_is_the_whole_sky(radius: float) -> None:
    # healpy alone misses pixels of discs that reach nearly around the sky
    assert cone_ranges(135.0, CAP, radius) == WHOLE_SKY


def test_a_cone_without_width_still_has_a_cell() -> None:
    assert sum(end - start for start, end in cone_ranges(10.0, 20.0, 0.0)) <= 4 << 18
    assert sum(end - start for start, end in cone_ranges(0.0, 0.0, 0.0)) >= 1 << 18


def test_threads_do_not_disturb_each_other() -> None:
    ra, dec = uniform(4000)
    positions = list(zip(ra.tolist(), dec.tolist(), strict=True))

    def work(_: int) -> tuple[list[int], list[list[tuple[int, int]]]]:
        return pixels29(ra, dec).tolist(), [cone_ranges(*one, 0.01) for one in positions]

    alone = work(0)
    with ThreadPoolExecutor(4) as pool:
        assert all(one == alone for one in pool.map(work, range(8)))


@given(right_ascensions, declinations, right_ascensions, declinations)
@settings(deadline=None)
def test_separation_agrees_with_astropy(ra1: float, dec1: float, ra2: float, dec2: float) -> None:
    radians = [math.radians(value) for value in (ra1, dec1, ra2, dec2)]
    expected = math.degrees(float(astropy_separation(*radians)))
    assert angular_separation(ra1, dec1, ra2, dec2) == pytest.approx(expected, abs=1e-12)
    many = angular_separation(np.array([ra1]), dec1, ra2, dec2)
    assert many[0] == pytest.approx(expected, abs=1e-12)


def test_separation_keeps_its_digits_when_tiny_or_huge() -> None:
    assert angular_separation(10.0, 20.0, 10.0, 20.0) == 0.0
    assert angular_separation(10.0, 20.0, 10.0, 20.0 + 1e-9) == pytest.approx(1e-9, rel=1e-5)
    assert angular_separation(10.0, 20.0, 190.0, -20.0) == pytest.approx(180.0, abs=1e-9)

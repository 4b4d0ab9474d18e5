import math

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import angular_separation as astropy_separation
from astropy_healpix import lonlat_to_healpix
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ampelstream.errors import SkyMapError
from ampelstream.sky.healpix import angular_separation, cell, pixel29, pixels29

EDGES = [0.0, 45.0, 90.0, 135.0, 180.0, 225.0, 270.0, 315.0, 360.0]
CAP = math.degrees(math.asin(2 / 3))

right_ascensions = st.floats(-720, 720) | st.sampled_from([*EDGES, -1e-17, -45.0])
declinations = st.floats(-90, 90) | st.sampled_from([-90.0, -CAP, -30.0, 0.0, 30.0, CAP, 90.0])


def reference(ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.int64]:
    pixels: NDArray[np.int64] = lonlat_to_healpix(ra * u.deg, dec * u.deg, 2**29, order="nested")
    return pixels


def uniform(n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(29)
    return rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))


def test_random_positions_agree_with_astropy_healpix() -> None:
    ra, dec = uniform(100_000)
    # at order 29 a pixel is 2e-9 rad: rounding moves about one position in a million across an edge
    assert np.count_nonzero(pixels29(ra, dec) != reference(ra, dec)) <= 1
    assert np.array_equal(cell_of(pixels29(ra, dec), 20), cell_of(reference(ra, dec), 20))


def cell_of(pixels: NDArray[np.int64], order: int) -> list[int]:
    return [cell(int(pixel), order) for pixel in pixels]


@pytest.mark.parametrize("ra", EDGES)
def test_meridians_between_base_pixels_agree_with_astropy_healpix(ra: float) -> None:
    _, dec = uniform(2000)
    assert np.array_equal(pixels29(ra, dec), reference(np.full(2000, ra), dec))


@pytest.mark.parametrize("dec", [-90.0, -89.9999999, -CAP, -30.0, 0.0, 30.0, CAP, 89.9999999, 90.0])
def test_poles_and_parallels_agree_with_astropy_healpix(dec: float) -> None:
    ra, _ = uniform(2000)
    assert np.array_equal(pixels29(ra, dec), reference(ra, np.full(2000, dec)))


@given(right_ascensions, declinations)
@settings(deadline=None, max_examples=300)
def test_one_position_and_many_agree(ra: float, dec: float) -> None:
    assert pixel29(ra, dec) == int(pixels29([ra], [dec])[0])


@given(right_ascensions, declinations)
@settings(deadline=None, max_examples=300)
def test_a_pixel_is_on_the_sphere(ra: float, dec: float) -> None:
    assert 0 <= pixel29(ra, dec) < 12 << 58


@given(st.integers(0, 359), declinations)
def test_right_ascension_is_cyclic(ra: int, dec: float) -> None:
    assert pixel29(ra, dec) == pixel29(ra - 360, dec) == pixel29(ra + 720, dec)


def test_shapes_broadcast() -> None:
    assert pixels29(np.zeros((3, 1)), np.zeros(4)).shape == (3, 4)
    assert pixels29([], []).shape == (0,)


@pytest.mark.parametrize(
    ("ra", "dec"),
    [(0.0, 90.1), (0.0, -91.0), (math.nan, 0.0), (0.0, math.nan), (math.inf, 0.0), (0.0, math.inf)],
)
def test_no_position_is_refused(ra: float, dec: float) -> None:
    with pytest.raises(SkyMapError, match="no position on the sky"):
        pixel29(ra, dec)
    with pytest.raises(SkyMapError, match="no position on the sky"):
        pixels29([1.0, ra], [1.0, dec])


def test_a_cell_is_the_pixel_of_a_coarser_order() -> None:
    ra, dec = uniform(500)
    for order in (0, 7, 12, 29):
        coarse = lonlat_to_healpix(ra * u.deg, dec * u.deg, 2**order, order="nested")
        assert cell_of(pixels29(ra, dec), order) == coarse.tolist()


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

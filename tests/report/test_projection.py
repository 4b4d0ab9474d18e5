import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.report.projection import (
    galactic_plane,
    gnomonic,
    gnomonic_inverse,
    mollweide,
    mollweide_inverse,
)


def test_mollweide_centre_and_poles() -> None:
    x, y = mollweide([180.0, 0.0, 77.0], [0.0, 90.0, -90.0])
    np.testing.assert_allclose(x, [0.0, 0.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(y, [0.0, 1.0, -1.0], atol=1e-9)


def test_mollweide_right_ascension_grows_to_the_left() -> None:
    x, _ = mollweide([179.0, 180.0, 181.0, 359.0, 1.0], np.zeros(5))
    assert x[0] > x[1] > x[2]
    # 359 deg is next to the left edge, 1 deg next to the right one.
    np.testing.assert_allclose(x[3:], [-2 * 179 / 180, 2 * 179 / 180], rtol=1e-12)


def test_mollweide_opposite_of_the_centre_is_the_left_edge() -> None:
    x, _ = mollweide([0.0, 360.0], [0.0, 0.0])
    np.testing.assert_allclose(x, [-2.0, -2.0])
    np.testing.assert_allclose(mollweide(180.0, 0.0, centre=0.0)[0], -2.0)


def test_mollweide_agrees_with_wcslib() -> None:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---MOL", "DEC--MOL"]
    wcs.wcs.crval = [180.0, 0.0]
    wcs.wcs.crpix = [0.0, 0.0]
    wcs.wcs.cdelt = [-1.0, 1.0]
    rng = np.random.default_rng(7)
    ra, dec = rng.uniform(0, 360, 500), np.degrees(np.arcsin(rng.uniform(-1, 1, 500)))
    expected = wcs.wcs_world2pix(ra, dec, 0)
    x, y = mollweide(ra, dec)
    # WCSLIB's ellipse is 2 sqrt(2) and sqrt(2) radians wide and high.
    scale = np.degrees(np.sqrt(2.0))
    np.testing.assert_allclose(x * scale, expected[0] + 1, atol=1e-7)
    np.testing.assert_allclose(y * scale, expected[1] + 1, atol=1e-7)


def test_mollweide_inverse_is_nan_outside() -> None:
    ra, dec = mollweide_inverse([0.0, 1.9, 0.0], [0.0, 0.9, 1.2])
    assert np.isnan(ra).tolist() == [False, True, True]
    assert np.isnan(dec).tolist() == [False, True, True]


@settings(deadline=None, max_examples=60)
@given(st.floats(0.0, 359.99), st.floats(-89.0, 89.0), st.floats(0.0, 359.0))
def test_mollweide_round_trip(ra: float, dec: float, centre: float) -> None:
    back = mollweide_inverse(*mollweide(ra, dec, centre), centre)
    difference = (back[0] - ra + 180) % 360 - 180
    np.testing.assert_allclose(difference, 0.0, atol=1e-5)
    np.testing.assert_allclose(back[1], dec, atol=1e-6)


def test_mollweide_keeps_areas() -> None:
    # As many points of a uniform grid of the ellipse in a cap as its part of the sphere.
    grid = np.meshgrid(np.linspace(-2, 2, 801), np.linspace(-1, 1, 401))
    _, dec = mollweide_inverse(*grid)
    inside = np.isfinite(dec)
    part = (dec[inside] > 30.0).mean()
    assert part == pytest.approx(0.25, abs=0.003)


def test_gnomonic_agrees_with_wcslib() -> None:
    ra0, dec0 = 359.5, 62.0
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [ra0, dec0]
    wcs.wcs.crpix = [0.0, 0.0]
    wcs.wcs.cdelt = [-1.0, 1.0]
    ra, dec = np.array([358.0, 1.5, 20.0]), np.array([61.0, 63.5, 70.0])
    expected = wcs.wcs_world2pix(ra, dec, 0)
    x, y = gnomonic(ra, dec, ra0, dec0)
    np.testing.assert_allclose(x, expected[0] + 1, atol=1e-9)
    np.testing.assert_allclose(y, expected[1] + 1, atol=1e-9)


def test_gnomonic_east_is_left_and_north_is_up() -> None:
    x, y = gnomonic([11.0, 10.0], [20.0, 21.0], 10.0, 20.0)
    assert x[0] < 0
    np.testing.assert_allclose([x[1], y[1]], [0.0, np.degrees(np.tan(np.radians(1.0)))], atol=1e-12)


def test_gnomonic_has_no_image_of_the_far_side() -> None:
    x, y = gnomonic([190.0, 100.5], [-20.0, 0.0], 10.0, 20.0)
    assert np.isnan(x).all()
    assert np.isnan(y).all()


@settings(deadline=None, max_examples=60)
@given(st.floats(-30, 30), st.floats(-30, 30), st.floats(0, 359), st.floats(-90, 90))
def test_gnomonic_round_trip(x: float, y: float, ra0: float, dec0: float) -> None:
    back = gnomonic(*gnomonic_inverse(x, y, ra0, dec0), ra0, dec0)
    np.testing.assert_allclose([float(one) for one in back], [x, y], atol=1e-6)


def test_galactic_plane_has_latitude_zero() -> None:
    ra, dec = galactic_plane(73)
    galactic = SkyCoord(ra * units.deg, dec * units.deg).galactic
    np.testing.assert_allclose(galactic.b.deg, 0.0, atol=1e-4)
    longitudes = np.linspace(0, 360, 73)
    difference = (galactic.l.deg - longitudes + 180) % 360 - 180
    np.testing.assert_allclose(difference, 0.0, atol=1e-3)

"""Galactic latitude against astropy."""

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from ampelstream.units.galactic import galactic_latitude


def test_agrees_with_astropy_all_over_the_sky() -> None:
    rng = np.random.default_rng(20240115)
    ra = rng.uniform(0, 360, 2000)
    dec = np.degrees(np.arcsin(rng.uniform(-1, 1, 2000)))
    theirs = SkyCoord(ra, dec, unit="deg", frame="icrs").galactic.b.deg
    ours = np.array([galactic_latitude(a, d) for a, d in zip(ra, dec, strict=True)])
    assert np.abs(ours - theirs).max() < 1e-6


@pytest.mark.parametrize(
    ("ra", "dec", "latitude"),
    [
        (192.85948, 27.12825, 90.0),
        (12.85948, -27.12825, -90.0),
        (266.40499, -28.93617, 0.0),  # the Galactic centre
    ],
)
def test_poles_and_centre(ra: float, dec: float, latitude: float) -> None:
    assert galactic_latitude(ra, dec) == pytest.approx(latitude, abs=1e-4)

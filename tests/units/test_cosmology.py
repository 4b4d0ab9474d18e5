"""Distances for a redshift."""

import math

import pytest

from ampelstream.units.cosmology import distances


def test_planck15() -> None:
    # NGC 4993 with Planck15: 43.1 Mpc at z = 0.00968
    found = distances(0.00968)
    assert found is not None
    assert found.luminosity_mpc == pytest.approx(43.13, abs=0.05)
    assert found.modulus == pytest.approx(5 * math.log10(found.luminosity_mpc * 1e5), abs=1e-9)
    angular = found.luminosity_mpc / 1.00968**2
    assert found.kpc_per_arcmin == pytest.approx(angular * 1e3 * math.radians(1 / 60), rel=1e-9)


@pytest.mark.parametrize("redshift", [0.0, -0.001, math.nan, math.inf, 1e9, 1e300])
def test_no_distance(redshift: float) -> None:
    assert distances(redshift) is None


def test_computed_once() -> None:
    assert distances(0.0123) is distances(0.0123)

"""The bent Gaussian on the sphere."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.simulate.localisation import Localisation


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

"""Light curves and mean positions."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.model.lightcurve import Datapoint, LightCurve, mean_position


def test_mean_position_across_zero_right_ascension() -> None:
    ra, dec = mean_position([(359.9, 10.0), (0.1, 10.0)])
    assert min(ra, 360.0 - ra) < 1e-9
    assert dec == pytest.approx(10.0, abs=1e-4)


def test_mean_position_around_the_pole() -> None:
    _, dec = mean_position([(0.0, 89.0), (90.0, 89.0), (180.0, 89.0), (270.0, 89.0)])
    assert dec == pytest.approx(90.0)


def test_mean_position_of_nothing() -> None:
    with pytest.raises(ValueError, match="no position"):
        mean_position([])


@settings(deadline=None)
@given(st.floats(0, 359.999), st.floats(-89.9, 89.9))
def test_mean_of_one_is_itself(ra: float, dec: float) -> None:
    got_ra, got_dec = mean_position([(ra, dec)])
    assert math.isclose(got_dec, dec, abs_tol=1e-9)
    assert abs((got_ra - ra + 180.0) % 360.0 - 180.0) < 1e-9


def test_sorted_and_split() -> None:
    late = Datapoint(2, 2460001.5, 2, mag=18.0, ra=1.0, dec=2.0)
    limit = Datapoint(-1, 2460000.5, 1, limmag=20.0)
    curve = LightCurve("a", [late, limit])
    assert curve.datapoints == (limit, late)
    assert curve.detections == (late,)
    assert curve.upper_limits == (limit,)
    assert curve.between(2460001.0, 2460002.0).datapoints == (late,)
    assert curve.position == pytest.approx((1.0, 2.0))
    assert LightCurve("a", [limit]).position is None


def test_digest_tells_content_not_order() -> None:
    one = Datapoint(2, 2460001.5, 2, mag=18.0)
    two = Datapoint(3, 2460002.5, 2, mag=18.0)
    assert LightCurve("a", [one, two]).digest == LightCurve("a", [two, one]).digest
    assert LightCurve("a", [one]).digest != LightCurve("a", [two]).digest

"""Light curves and mean positions."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.model.lightcurve import Datapoint, LightCurve
from ampelstream.model.position import Position, mean_position


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


def test_which_view_is_for_what() -> None:
    day = 2460000.5
    limit = Datapoint(-1, day, 1, limmag=20.0)
    below = Datapoint(1, day + 1, 1, mag=19.0, positive=False, ra=1.0, dec=2.0)
    found = Datapoint(2, day + 2, 1, mag=18.0, positive=True, ra=1.0, dec=2.0)
    unsigned = Datapoint(3, day + 3, 1, mag=17.5, ra=1.0, dec=2.0)
    same = Datapoint(2, day + 2, 1, mag=18.2, positive=True, flux=9e3, forced=True)
    more = Datapoint(4, day + 4, 1, mag=18.4, positive=True, flux=8e3, forced=True)
    minus = Datapoint(5, day + 5, 1, mag=18.4, positive=False, flux=-8e3, forced=True)
    faint = Datapoint(6, day + 6, 1, limmag=20.0, flux=10.0, fluxerr=90.0, forced=True)
    curve = LightCurve("a", [faint, minus, more, same, unsigned, found, below, limit])
    assert curve.detections == (found, unsigned)
    assert curve.negative == (below,)
    assert curve.upper_limits == (limit,)
    assert curve.forced == (same, more, minus, faint)
    assert curve.brightness == (same, unsigned, more)
    assert len({(p.jd, p.fid) for p in curve.brightness}) == len(curve.brightness)
    assert LightCurve("a", [found, below]).brightness == (found,)
    # a forced measurement below the noise does not take a detection away
    weak = Datapoint(9, day + 2, 1, limmag=20.0, flux=1.0, fluxerr=1.0, forced=True)
    assert LightCurve("a", [found, weak]).brightness == (found,)


def test_sources_below_the_reference_have_a_place_too_forced_photometry_has_none() -> None:
    below = Datapoint(1, 2460000.5, 1, mag=19.0, positive=False, ra=1.0, dec=2.0)
    forced = Datapoint(2, 2460001.5, 1, mag=19.0, positive=True, ra=9.0, dec=9.0, forced=True)
    assert LightCurve("a", [below, forced]).position == pytest.approx((1.0, 2.0))
    assert LightCurve("a", [forced]).position is None


def test_a_part_of_a_light_curve_stays_at_the_objects_place() -> None:
    early = Datapoint(1, 2460000.5, 1, mag=19.0, ra=1.0, dec=2.0)
    late = Datapoint(2, 2460009.5, 1, mag=19.0, ra=1.0001, dec=2.0)
    whole = LightCurve("a", [early, late], Position(1.00005, 2.0, 0.2))
    assert whole.between(2460009.0, 2460010.0).position == (1.00005, 2.0)
    assert whole.digest == LightCurve("a", [early, late]).digest

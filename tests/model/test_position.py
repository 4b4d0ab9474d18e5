"""One position of many: near its detections, whatever the order, wherever on the sphere."""

import random

import astropy.units as u
import pytest
from astropy.coordinates import SkyCoord
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.model.position import APART_ARCSEC, mean_position, robust_position

ARCSEC = 1.0 / 3600.0
centres = st.tuples(st.floats(0.0, 359.999), st.floats(-90.0, 90.0))


def around(centre: tuple[float, float], *steps: tuple[float, float]) -> list[tuple[float, float]]:
    """Places some steps away [arcsec, at an angle in degrees], by astropy."""
    middle = SkyCoord(*centre, unit="deg")
    found = [middle.directional_offset_by(angle * u.deg, off * u.arcsec) for off, angle in steps]
    return [(one.ra.deg % 360.0, one.dec.deg) for one in found]


def apart(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Separation [arcsec]."""
    return float(SkyCoord(*one, unit="deg").separation(SkyCoord(*other, unit="deg")).arcsec)


@settings(deadline=None, max_examples=40)
@given(centres, st.integers(0, 10**6))
def test_a_resting_source_is_at_the_mean_of_its_detections(
    centre: tuple[float, float], seed: int
) -> None:
    dice = random.Random(seed)  # noqa: S311  (a reproducible test, not a secret)
    steps = [(dice.uniform(0, 0.4), dice.uniform(0, 360)) for _ in range(dice.randint(1, 9))]
    places = around(centre, *steps)
    found = robust_position([dice.choice(places)], places)
    assert found is not None
    assert apart(found[:2], mean_position(places)) < 1e-6
    away = sorted(apart(found[:2], one) for one in places)
    middle = (away[(len(away) - 1) // 2] + away[len(away) // 2]) / 2
    assert found.scatter_arcsec == pytest.approx(middle, abs=1e-6)
    assert found.strays == 0


@settings(deadline=None, max_examples=40)
@given(centres, st.floats(10.0, 300_000.0), st.floats(0, 360), st.randoms(use_true_random=False))
def test_a_minority_elsewhere_moves_nothing(
    centre: tuple[float, float], off: float, angle: float, dice: random.Random
) -> None:
    there = around(centre, (0.1, 0), (0.2, 120), (0.1, 240))
    strays = around(centre, (off, angle), (off + 1.0, angle))
    places = [*there, *strays]
    dice.shuffle(places)
    found = robust_position(places)
    assert found is not None
    assert apart(found[:2], mean_position(there)) < 1e-6
    assert found.strays == 2
    assert found.scatter_arcsec < 0.5


def test_of_two_distant_places_it_is_the_later_one_never_between() -> None:
    found = robust_position([(10.0, 0.0), (20.0, 0.0)])
    assert found is not None
    assert found[:2] == pytest.approx((20.0, 0.0))
    assert found.strays == 1
    assert found.scatter_arcsec == pytest.approx(5.0 * 3600)


def test_anchors_say_where_and_a_history_elsewhere_is_strays() -> None:
    history = around((100.0, 20.0), (0.1, 0), (0.1, 90), (0.1, 180))
    found = robust_position([(40.0, -5.0)], [*history, (40.0, -5.0)])
    assert found is not None
    assert found[:2] == pytest.approx((40.0, -5.0))
    assert found.strays == 3
    alone = robust_position([(40.0, -5.0)], history)
    assert alone is not None
    assert alone[:2] == pytest.approx((40.0, -5.0))
    assert alone.strays == 3


def test_just_within_and_just_outside() -> None:
    for off, strays in ((APART_ARCSEC - 1e-3, 0), (APART_ARCSEC + 1e-3, 1)):
        [place] = around((300.0, 60.0), (off, 33.0))
        found = robust_position([(300.0, 60.0)] * 3, [(300.0, 60.0)] * 999 + [place])
        assert found is not None
        assert found.strays == strays


def test_of_nothing_there_is_none() -> None:
    assert robust_position([]) is None
    assert robust_position([], [(1.0, 2.0)]) is None


def test_across_zero_and_at_the_pole() -> None:
    found = robust_position([(359.9999, 10.0), (0.0001, 10.0)])
    assert found is not None
    assert min(found.ra, 360.0 - found.ra) < 1e-9
    top = robust_position([(ra, 90.0 - 0.3 * ARCSEC) for ra in (0.0, 90.0, 180.0, 270.0)])
    assert top is not None
    assert top.dec == pytest.approx(90.0, abs=1e-9)
    assert top.scatter_arcsec == pytest.approx(0.3, abs=1e-6)

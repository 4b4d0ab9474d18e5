"""Julian dates and ISO 8601."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.model.times import iso_from_jd, jd_from_iso


def test_a_known_date() -> None:
    # Meeus, Astronomical Algorithms, chapter 7: 1957 October 4.81 is JD 2436116.31
    assert jd_from_iso("1957-10-04T19:26:24") == pytest.approx(2436116.31)
    assert jd_from_iso("2000-01-01T12:00:00Z") == 2451545.0
    assert jd_from_iso("2000-01-01T14:00:00+02:00") == 2451545.0


@settings(deadline=None)
@given(st.floats(2400000.5, 2500000.5))
def test_round_trip_to_a_millisecond(jd: float) -> None:
    assert abs(jd_from_iso(iso_from_jd(jd)) - jd) * 86400 < 1.1e-3


def test_nonsense() -> None:
    with pytest.raises(ValueError, match="isoformat"):
        jd_from_iso("yesterday")

"""Julian dates and ISO 8601."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.model.times import (
    iso_from_jd,
    iso_from_unix,
    jd_from_iso,
    reached,
    span,
    unix_from_jd,
)


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


def test_unix_times() -> None:
    assert iso_from_unix(0.0) == "1970-01-01T00:00:00Z"
    assert iso_from_unix(1_000_000_000.9) == "2001-09-09T01:46:40Z"
    assert unix_from_jd(jd_from_iso("2001-09-09T01:46:40Z")) == pytest.approx(1e9, abs=1e-4)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (119, "119 s"), (150, "2.5 min"), (9000, "2.5 h"), (432000, "5.0 d")],
)
def test_spans(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_how_far_event_time_is_from_the_clock() -> None:
    assert reached(2451545.0, unix_from_jd(2451545.0) + 90.2) == (
        "event time 2000-01-01T12:00:00.000Z, 90 s behind the clock"
    )
    assert reached(2451545.0, unix_from_jd(2451544.0)).endswith("Z, 24.0 h ahead of the clock")

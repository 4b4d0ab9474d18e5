"""Julian dates and ISO 8601."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.model.times import (
    has_time_of_day,
    iso_from_jd,
    iso_from_unix,
    iso_utc,
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
    with pytest.raises(ValueError, match="'yesterday' is no ISO 8601 time"):
        jd_from_iso("yesterday")
    with pytest.raises(ValueError, match="no leap second: they are at the end of a day"):
        jd_from_iso("2016-12-31T17:30:60Z")
    with pytest.raises(ValueError, match="outside the years"):
        jd_from_iso("0001-01-01T00:00:00+23:59")


@pytest.mark.parametrize(
    "text",
    [
        "2016-12-31T23:59:60",
        "2016-12-31T23:59:60Z",
        "2016-12-31T23:59:60+00:00",
        "2016-12-31 23:59:60.000",
        "20161231T235960",
        "2017-01-01T00:59:60+01:00",
        "2017-01-01",
        "2017-01-01 00:00:00 UTC",
    ],
)
def test_a_leap_second_is_the_first_of_the_next_day(text: str) -> None:
    assert jd_from_iso(text) == 2457754.5
    assert iso_utc(text) == iso_utc("2017-01-01").removesuffix("Z") + "Z"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2019-04-25T08:19:04.000000", "2019-04-25T08:19:04.000000Z"),
        ("2019-04-25T08:19:04Z", "2019-04-25T08:19:04Z"),
        ("2019-04-25T08:19:04+00:00", "2019-04-25T08:19:04Z"),
        ("2019-04-25T10:19:04.5+02:00", "2019-04-25T08:19:04.500000Z"),
        ("2019-04-25", "2019-04-25T00:00:00Z"),
        ("20190425", "2019-04-25T00:00:00Z"),
        ("2016-12-31T23:59:60.25", "2017-01-01T00:00:00.250000Z"),
    ],
)
def test_times_with_the_z_of_utc(text: str, expected: str) -> None:
    assert iso_utc(text) == expected
    assert jd_from_iso(iso_utc(text)) == jd_from_iso(text)


def test_a_day_has_no_time_of_day() -> None:
    assert not has_time_of_day("2024-01-14")
    assert not has_time_of_day("20240114")
    assert has_time_of_day("2024-01-14T00:00")
    assert has_time_of_day("2024-13-14")


@settings(deadline=None)
@given(st.text(alphabet="0123456789-:TZ+. UTC", max_size=32))
def test_any_text_is_a_time_or_no_time(text: str) -> None:
    try:
        jd = jd_from_iso(text)
    except ValueError:
        with pytest.raises(ValueError, match=r"."):
            iso_utc(text)
        return
    assert jd_from_iso(iso_utc(text)) == jd


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

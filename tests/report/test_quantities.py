"""Numbers, times, positions, ticks."""

import math

import pytest
from astropy.time import Time
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.report.quantities import (
    DASH,
    date_ticks,
    decimals,
    far_text,
    is_number,
    jd_text,
    number,
    round_step,
    sexagesimal,
    ticks,
    utc_text,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, DASH),
        (math.nan, DASH),
        (math.inf, "inf"),
        (0.0, "0"),
        (9, "9"),
        (2570000000000000001, "2570000000000000001"),
        (0.0097832, "0.009783"),
        (-15.04, "-15.04"),
        (40.0, "40"),
        (123456.7, "123457"),
        (1.23456e-7, "1.235 \N{MULTIPLICATION SIGN} 10⁻⁷"),
        (4e17, "4 \N{MULTIPLICATION SIGN} 10¹⁷"),
        (9.9999, "10"),
    ],
)
def test_number(value: float | None, expected: str) -> None:
    assert number(value) == expected


@pytest.mark.parametrize(
    ("hertz", "expected"),
    [
        (None, DASH),
        (-1.0, DASH),
        (0.0, "0 per year"),
        (1 / (365.25 * 86400), "1 per year (one in 1 yr)"),
        (1 / (97.8 * 365.25 * 86400), "0.0102 per year (one in 98 yr)"),
        (
            1 / (347812 * 365.25 * 86400),
            "2.88 \N{MULTIPLICATION SIGN} 10⁻⁶ per year (one in 350,000 yr)",
        ),
        (3 / 86400, "1096 per year (one in 0.33 d)"),
    ],
)
def test_false_alarm_rate(hertz: float | None, expected: str) -> None:
    assert far_text(hertz) == expected


def test_false_alarm_rate_in_brief() -> None:
    assert far_text(1e-14, brief=True) == "3.16 \N{MULTIPLICATION SIGN} 10⁻⁷ per year"


@settings(deadline=None, max_examples=50)
@given(st.floats(2457755.0, 2461000.0))
def test_calendar_time_agrees_with_astropy(jd: float) -> None:
    expected = Time(jd, format="jd", scale="utc", precision=1).to_datetime()
    shown = utc_text(jd)
    assert shown.endswith(" UTC")
    ours = Time(shown.removesuffix(" UTC"), scale="utc").to_datetime()
    assert abs((ours - expected).total_seconds()) <= 0.051


def test_calendar_time_of_the_trigger_of_gw170817() -> None:
    assert utc_text(2457983.02848842) == "2017-08-17 12:41:01.4 UTC"


def test_times_that_are_none() -> None:
    assert utc_text(None) == utc_text(math.nan) == utc_text(1e12) == jd_text(None) == DASH
    assert jd_text(2460324.457981) == "2460324.45798"


@pytest.mark.parametrize(
    ("ra", "dec", "expected"),
    [
        # NGC 4993's position, NED.
        (197.448776, -23.383831, ("13:09:47.71", "-23:23:01.8")),
        (0.0, 0.0, ("00:00:00.00", "+00:00:00.0")),
        (359.9999999, -0.0000001, ("00:00:00.00", "-00:00:00.0")),
        (14.9999999, 59.9999999, ("01:00:00.00", "+60:00:00.0")),
        (120.0, -0.5, ("08:00:00.00", "-00:30:00.0")),
        (0.0, 90.0, ("00:00:00.00", "+90:00:00.0")),
    ],
)
def test_sexagesimal(ra: float, dec: float, expected: tuple[str, str]) -> None:
    assert sexagesimal(ra, dec) == expected


def test_a_truth_value_is_no_number() -> None:
    assert [is_number(one) for one in (1, 1.5, True, math.nan, math.inf, "1", None)] == [
        *[True] * 2,
        *[False] * 5,
    ]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-12.4, 3.1, [-10.0, -5.0, 0.0]),
        (19.83, 21.07, [20.0, 20.2, 20.4, 20.6, 20.8, 21.0]),
        (0.0, 1.0, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
    ],
)
def test_ticks(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high, 7 if low == 19.83 else 5) == pytest.approx(expected)


def test_decimals_tell_ticks_apart() -> None:
    assert decimals([20.0, 20.2]) == 1
    assert decimals([0.0, 0.05]) == 2
    assert decimals([-10.0, -5.0]) == 0
    assert decimals([3.0]) == 0


@settings(deadline=None, max_examples=100)
@given(st.floats(-1e4, 1e4), st.floats(1e-3, 1e4), st.integers(2, 10))
def test_ticks_are_few_and_inside(low: float, span: float, count: int) -> None:
    found = ticks(low, low + span, count)
    step = round_step(span, count)
    assert len(found) <= count + 1
    assert all(low - step * 1e-6 <= one <= low + span + step * 1e-6 for one in found)


def test_an_axis_has_a_length() -> None:
    with pytest.raises(ValueError, match="must have a length"):
        round_step(0.0, 5)


@pytest.mark.parametrize(
    ("first", "last", "name", "words"),
    [
        # 2024-01-13 23:00 to 16 23:00
        (2460323.458, 2460326.458, "UTC, 2024", ["14 Jan", "15 Jan", "16 Jan"]),
        (
            2460323.5,
            2460323.9,
            "UTC, 2024",
            ["14 Jan 00h", "14 Jan 03h", "14 Jan 06h", "14 Jan 09h"],
        ),
        (2460300.5, 2460340.5, "UTC, 2023 to 2024", ["22 Dec", "1 Jan", "11 Jan", "21 Jan"]),
        (2459000.5, 2460000.5, "UTC, 2020 to 2023", ["2020-05", "2020-12", "2021-07"]),
        (1e12, 2e12, "UTC", []),
    ],
)
def test_dates_of_an_axis(first: float, last: float, name: str, words: list[str]) -> None:
    found, dates = date_ticks(first, last, 5)
    assert found == name
    assert [text for _, text in dates if text][: len(words)] == words
    assert len(dates) <= 6
    assert all(first <= jd <= last + 1e-6 for jd, _ in dates)

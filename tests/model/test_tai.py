"""Atomic time against ERFA and astropy."""

import math

import numpy as np
import pytest
from astropy.time import Time
from astropy.utils.iers import LeapSeconds

from ampelstream.model.tai import FIRST_MJD_TAI, LEAP_SECONDS, jd_from_mjd_tai


def test_the_leap_seconds_are_those_of_erfa() -> None:
    # fails when a new leap second is announced: add it to the table
    theirs = [
        (round(Time(f"{row['year']}-{row['month']:02d}-01").mjd), round(row["tai_utc"]))
        for row in LeapSeconds.from_erfa()
        if row["year"] >= 1999
    ]
    assert list(reversed(LEAP_SECONDS)) == theirs


def test_the_conversion_is_that_of_astropy() -> None:
    dice = np.random.default_rng(5)
    days = np.sort(dice.uniform(FIRST_MJD_TAI, 62000.0, 400))
    # astropy stretches the day that ends with a leap second: half a second at its middle
    theirs = Time(days, format="mjd", scale="tai").utc.jd
    steps = np.array([day for day, _ in LEAP_SECONDS])
    plain = ~np.isin(np.floor(days - 37 / 86400), steps - 1)
    ours = np.array([jd_from_mjd_tai(float(day)) for day in days])
    assert plain.sum() > 390
    assert np.abs(ours - theirs)[plain].max() * 86400 < 1e-3
    assert np.abs(ours - theirs).max() * 86400 <= 1.001


@pytest.mark.parametrize(("day", "offset"), LEAP_SECONDS)
def test_the_offset_changes_at_midnight_utc(day: int, offset: int) -> None:
    midnight = day + offset / 86400
    assert jd_from_mjd_tai(midnight) == pytest.approx(day + 2400000.5, abs=1e-9)
    later = jd_from_mjd_tai(midnight + 10 / 86400)
    assert (later - day - 2400000.5) * 86400 == pytest.approx(10, abs=1e-3)


@pytest.mark.parametrize("mjd", [51178.9, 0.0, -math.inf, math.nan])
def test_a_time_before_1999_is_refused(mjd: float) -> None:
    with pytest.raises(ValueError, match="before 1999"):
        jd_from_mjd_tai(mjd)

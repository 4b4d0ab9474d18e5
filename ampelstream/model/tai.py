"""Atomic time to UTC: Rubin gives times in TAI, everything here is in UTC."""

import numpy as np
import numpy.typing as npt

__all__ = ["FIRST_MJD_TAI", "LEAP_SECONDS", "jd_from_mjd_tai", "jds_from_mjd_tai"]

LEAP_SECONDS = (
    (57754, 37),
    (57204, 36),
    (56109, 35),
    (54832, 34),
    (53736, 33),
    (51179, 32),
)
"""(first day [MJD, UTC], TAI - UTC from then on [s]), latest first; since 1999-01-01.

No leap second is planned after 2017; a test compares this table with the one of ERFA.
"""

_DAY_SECONDS = 86400.0
_JD_OF_MJD = 2400000.5
_STEPS = tuple((day + offset / _DAY_SECONDS, offset / _DAY_SECONDS) for day, offset in LEAP_SECONDS)
FIRST_MJD_TAI = _STEPS[-1][0]
"""Earliest time that can be converted [MJD, TAI]."""


def jd_from_mjd_tai(mjd: float) -> float:
    """Julian date [d, UTC] of a modified Julian date [d, TAI].

    Raises
    ------
    ValueError
        The time is before 1999, or not a number.
    """
    for begin, offset in _STEPS:
        if mjd >= begin:
            return mjd - offset + _JD_OF_MJD
    raise ValueError(f"MJD {mjd!r} (TAI) is before 1999, where no survey of today observed")


_BEGINS = np.array([begin for begin, _ in reversed(_STEPS)])
_OFFSETS = np.array([np.nan, *(offset for _, offset in reversed(_STEPS))])


def jds_from_mjd_tai(mjds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The same for many times, of any shape; NaN where one cannot be converted."""
    offsets = _OFFSETS[np.searchsorted(_BEGINS, mjds, side="right")]
    found: npt.NDArray[np.float64] = mjds - offsets + _JD_OF_MJD
    return found

"""When a sky map's event was, and when the map was made, by the cards of its header.

FITS has many ways to say it (FITS standard 4.0, section 9): DATE-OBS in ISO 8601, with or without a
time of day; MJD-OBS, as a number or as text; TIMESYS for the scale of both.
"""

from typing import NamedTuple

from ampelstream.codecs.fitsheader import Cards, MapTable
from ampelstream.model.tai import jd_from_mjd_tai
from ampelstream.model.times import has_time_of_day, iso_from_jd, iso_utc, jd_from_iso

__all__ = ["Observed", "created", "observed"]

_MJD_EPOCH_JD = 2400000.5
_FIRST_MJD, _LAST_MJD = 15_020.0, 100_000.0
"""1900 to 2132: what is outside is another kind of number, such as a Julian date."""
_DAY_SECONDS = 86400.0
_UTC = {"", "UTC", "UT", "UT1", "GMT", "Z"}
_AHEAD_OF_TAI = {"TAI": 0.0, "IAT": 0.0, "GPS": -19.0} | dict.fromkeys(
    ("TT", "TDT", "ET", "TDB"), 32.184
)
"""Scale less atomic time [s]; TDB stays within 2 ms of TT."""


class Observed(NamedTuple):
    """Time of the observation.

    Attributes
    ----------
    jd
        Julian date [d, UTC]; None where the header does not say.
    remark
        What is wrong with what it says, or odd in it, for people; empty where nothing is.
    text
        DATE-OBS as it stands, where that is what counted, and in UTC.
    """

    jd: float | None
    remark: str = ""
    text: str = ""


def observed(table: MapTable) -> Observed:
    """Time of the observation: of the table's cards, else of the file's first header.

    In the first header DATE-OBS may be something else: where a DATE-END or TSTART says that it is
    the begin of an interval (Fermi GBM: that of the data, minutes before the burst), only TRIGTIME
    counts there, in seconds since MJDREFI + MJDREFF.
    """
    own = _observed(table.cards)
    if own.jd is not None or own.remark:
        return own
    trigger = _trigger_time(table.primary)
    if trigger is not None:
        return Observed(trigger)
    if {"DATE-END", "TSTART"} & set(table.primary):
        return own
    return _observed(table.primary)


def created(table: MapTable, when: Observed) -> str:
    """When the map was made (ISO 8601, UTC): DATE, else the time of the observation, if known.

    Raises
    ------
    ValueError
        DATE is no such time.
    """
    date = table.text("DATE")
    if date:
        return iso_utc(date)
    return iso_utc(when.text) if when.text else iso_from_jd(when.jd or 0.0)


def _observed(cards: Cards) -> Observed:
    """The same of one header: DATE-OBS, else MJD-OBS, else the day of DATE-OBS."""
    scale = str(cards.get("TIMESYS", "")).strip().upper()
    date, mjd = str(cards.get("DATE-OBS", "")).strip(), str(cards.get("MJD-OBS", "")).strip()
    if not date and not mjd:
        return Observed(None)
    if scale not in _UTC and scale not in _AHEAD_OF_TAI:
        return Observed(None, f"TIMESYS = {scale!r:.60} is no scale of time that is known")
    by_date, by_mjd = _from_iso(date, scale), _from_mjd(mjd, scale)
    if date and by_date is None:
        wrong = f"DATE-OBS = {date!r:.60} is no ISO 8601 time of this age"
        return Observed(by_mjd, f"{wrong}; MJD-OBS counts" if by_mjd else wrong)
    if by_date is not None and has_time_of_day(date):
        return Observed(by_date, text=date if scale in _UTC else "")
    if by_mjd is not None:
        return Observed(by_mjd)
    if by_date is not None:
        return Observed(by_date, f"DATE-OBS = {date} has no time of day: taken as 00:00")
    return Observed(None, f"MJD-OBS = {mjd!r:.60} is no modified Julian date of this age")


def _from_iso(text: str, scale: str) -> float | None:
    try:
        return _utc(jd_from_iso(text) - _MJD_EPOCH_JD, scale) if text else None
    except ValueError:
        return None


def _from_mjd(text: str, scale: str) -> float | None:
    try:
        return _utc(float(text), scale) if text else None
    except ValueError:
        return None


def _utc(mjd: float, scale: str) -> float:
    """Julian date [d, UTC] of a modified one in a scale.

    Raises
    ------
    ValueError
        It is not of this age.
    """
    if not _FIRST_MJD <= mjd < _LAST_MJD:
        raise ValueError(f"MJD {mjd} is not of this age")
    if scale in _UTC:
        return mjd + _MJD_EPOCH_JD
    return jd_from_mjd_tai(mjd - _AHEAD_OF_TAI[scale] / _DAY_SECONDS)


def _trigger_time(cards: Cards) -> float | None:
    """TRIGTIME [JD, UTC], as Fermi has it; None where it is not said, or not from when it counts.

    A clock that is known to be wrong (UTCFINIT: Swift's) tells no time.
    """
    scale = str(cards.get("TIMESYS", "")).strip().upper()
    if "UTCFINIT" in cards or scale not in _UTC | set(_AHEAD_OF_TAI):
        return None
    try:
        whole, part = float(cards.get("MJDREFI", "")), float(cards.get("MJDREFF", ""))
        seconds = float(cards.get("TRIGTIME", ""))
        return _utc(whole + part + seconds / _DAY_SECONDS, scale) if seconds > 0 else None
    except ValueError:
        return None

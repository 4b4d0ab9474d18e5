"""Julian dates, ISO 8601 and Unix times, all UTC."""

import re
from datetime import UTC, datetime, timedelta

__all__ = [
    "has_time_of_day",
    "iso_from_jd",
    "iso_from_unix",
    "iso_utc",
    "jd_from_iso",
    "jd_from_unix",
    "reached",
    "span",
    "unix_from_jd",
]

_EPOCH = datetime(2000, 1, 1, 12, tzinfo=UTC)
_EPOCH_JD = 2451545.0
_UNIX_EPOCH_JD = 2440587.5
_DAY_SECONDS = 86400.0
_LEAP_SECOND = re.compile(r"(.*\d[T ]\d\d(:?)\d\d\2)60(?!\d)(.*)", re.ASCII)
_DAY = re.compile(r"\d{4}-?\d\d-?\d\d", re.ASCII)


def jd_from_iso(text: str) -> float:
    """Julian date [d, UTC] of an ISO 8601 time; without a zone it is UTC.

    A leap second (23:59:60, UTC) is the first of the next day, as for a Unix clock.

    Raises
    ------
    ValueError
        The text is not such a time.
    """
    return _EPOCH_JD + (_utc(text) - _EPOCH) / timedelta(days=1)


def has_time_of_day(text: str) -> bool:
    """Whether a text says more than a day, which is an ISO 8601 time as well: of its midnight."""
    try:
        return not (_DAY.fullmatch(text) and datetime.fromisoformat(text))
    except ValueError:
        return True


def iso_utc(text: str) -> str:
    """An ISO 8601 time with the Z of UTC, its digits as they are; a day becomes its midnight.

    Raises
    ------
    ValueError
        The text is not such a time.
    """
    when = _utc(text)
    plain = text.removesuffix("Z")
    if has_time_of_day(text) and _naive(plain):
        return f"{plain}Z"
    return when.isoformat().replace("+00:00", "Z")


def _naive(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is None
    except ValueError:
        return False


def _utc(text: str) -> datetime:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return _odd(text)
    return _in_utc(when)


def _in_utc(when: datetime) -> datetime:
    try:
        return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{when} is outside the years 1 to 9999") from error


def _odd(text: str) -> datetime:
    """A time that Python does not read: a leap second, or one with UTC written out."""
    plain = text.strip().removesuffix("UTC").rstrip()
    leap = _LEAP_SECOND.fullmatch(plain)
    if leap is None:
        if plain == text:
            raise ValueError(f"{text!r:.80} is no ISO 8601 time")
        return _in_utc(datetime.fromisoformat(plain))
    second = timedelta(seconds=1)
    before = _in_utc(datetime.fromisoformat(f"{leap[1]}59{leap[3]}"))
    if (before.hour, before.minute) != (23, 59) or before > datetime.max.replace(
        tzinfo=UTC
    ) - second:
        raise ValueError(f"{text!r:.80} is no leap second: they are at the end of a day (UTC)")
    return before + second


def jd_from_unix(seconds: float) -> float:
    """Julian date [d, UTC] of a Unix time [s]."""
    return _UNIX_EPOCH_JD + seconds / _DAY_SECONDS


def iso_from_jd(jd: float) -> str:
    """ISO 8601 time of a Julian date [d, UTC], to the millisecond (a double holds 0.04 ms)."""
    when = _EPOCH + timedelta(milliseconds=round((jd - _EPOCH_JD) * _DAY_SECONDS * 1000))
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def unix_from_jd(jd: float) -> float:
    """Unix time [s] of a Julian date [d, UTC]."""
    return (jd - _UNIX_EPOCH_JD) * _DAY_SECONDS


def iso_from_unix(seconds: float) -> str:
    """ISO 8601 time (UTC) of a Unix time [s], to the second."""
    when = datetime.fromtimestamp(seconds, UTC)
    return when.isoformat(timespec="seconds").replace("+00:00", "Z")


def span(seconds: float) -> str:
    """A time span [s] for people, in the unit that fits it."""
    for unit, name in ((_DAY_SECONDS, "d"), (3600.0, "h"), (60.0, "min")):
        if abs(seconds) >= 2 * unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds:.0f} s"


def reached(jd: float, now: float) -> str:
    """How far event time [JD, UTC] has come, and how far that is from the clock [Unix, s]."""
    behind = now - unix_from_jd(jd)
    where = "behind" if behind >= 0 else "ahead of"
    return f"event time {iso_from_jd(jd)}, {span(abs(behind))} {where} the clock"

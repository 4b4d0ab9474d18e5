"""Julian dates, ISO 8601 and Unix times, all UTC."""

from datetime import UTC, datetime, timedelta

__all__ = [
    "iso_from_jd",
    "iso_from_unix",
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


def jd_from_iso(text: str) -> float:
    """Julian date [d, UTC] of an ISO 8601 time; without a zone it is UTC.

    Raises
    ------
    ValueError
        The text is not such a time.
    """
    when = datetime.fromisoformat(text)
    when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    return _EPOCH_JD + (when - _EPOCH) / timedelta(days=1)


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

"""Julian dates and ISO 8601, both UTC."""

from datetime import UTC, datetime, timedelta

__all__ = ["iso_from_jd", "jd_from_iso", "jd_from_unix"]

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

"""Numbers, times, positions and ticks of axes as an astronomer writes them."""

import itertools
import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

__all__ = [
    "DASH",
    "date_ticks",
    "decimals",
    "far_text",
    "is_number",
    "jd_text",
    "number",
    "round_step",
    "sexagesimal",
    "ticks",
    "utc_text",
    "years_text",
]

DASH = "\N{EN DASH}"
"""Shown where there is no value."""

JULIAN_YEAR_S = 365.25 * 86400.0
_UNIX_EPOCH_JD = 2440587.5
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def is_number(value: object) -> bool:
    """Whether ``value`` is a finite number (a truth value is none)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def number(value: float | None, digits: int = 4) -> str:
    """Round to significant digits; powers of ten for the very large and very small."""
    if value is None or not math.isfinite(value):
        return DASH if value is None or math.isnan(value) else str(value)
    if isinstance(value, int):
        return str(value)
    if value == 0:
        return "0"
    mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    power = int(exponent)
    if -4 <= power < max(digits, 6):  # noqa: PLR2004  (readable without a power of ten)
        short = f"{value:.{max(0, digits - 1 - power)}f}"
        return short.rstrip("0").rstrip(".") if "." in short else short
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa} \N{MULTIPLICATION SIGN} 10{str(power).translate(_SUPERSCRIPTS)}"


def years_text(years: float) -> str:
    """Say a span of time in years, or in days when it is short."""
    if years < 1.0:
        return f"{number(years * 365.25, 2)} d"
    if 100.0 <= years < 1e6:  # noqa: PLR2004  (readable with a thousands separator)
        return f"{float(f'{years:.1e}'):,.0f} yr"
    return f"{number(years, 2)} yr"


def far_text(far_hz: float | None, *, brief: bool = False) -> str:
    """False alarm rate per Julian year, and as one in so many years.

    Parameters
    ----------
    far_hz
        False alarm rate [Hz].
    brief
        Leave out the second way of saying it.
    """
    if far_hz is None or not math.isfinite(far_hz) or far_hz < 0:
        return DASH
    per_year = far_hz * JULIAN_YEAR_S
    rate = f"{number(per_year, 3)} per year"
    return f"{rate} (one in {years_text(1 / per_year)})" if per_year and not brief else rate


def jd_text(jd: float | None) -> str:
    """Julian date to 1e-5 d (about a second)."""
    return DASH if jd is None or not math.isfinite(jd) else f"{jd:.5f}"


def utc_text(jd: float | None) -> str:
    """Calendar date and time (UTC) of a Julian date, to a tenth of a second."""
    if jd is None or not math.isfinite(jd):
        return DASH
    tenths = round((jd - _UNIX_EPOCH_JD) * 864000.0)
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=100 * tenths)
    except OverflowError:
        return DASH
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 100000} UTC"


def _sixties(value: float, digits: int) -> tuple[int, int, str]:
    """Split into whole, minutes and seconds; rounding carries over, so no 60.0 s."""
    unit = 10**digits
    ticks = round(value * 3600 * unit)
    rest, fraction = divmod(ticks, unit)
    minutes, seconds = divmod(rest, 60)
    whole, minute = divmod(minutes, 60)
    return whole, minute, f"{seconds:02d}.{fraction:0{digits}d}"


def sexagesimal(ra: float, dec: float) -> tuple[str, str]:
    """Write a position [deg] as ``hh:mm:ss.ss`` and ``+dd:mm:ss.s``."""
    hours, minute, second = _sixties(ra % 360.0 / 15.0, 2)
    right = f"{hours % 24:02d}:{minute:02d}:{second}"
    degrees, minute, second = _sixties(abs(dec), 1)
    sign = "-" if math.copysign(1.0, dec) < 0 else "+"
    return right, f"{sign}{degrees:02d}:{minute:02d}:{second}"


# Round numbers for the ticks of an axis

_ROUND = (1.0, 2.0, 5.0, 10.0)


def round_step(span: float, count: int) -> float:
    """Step of 1, 2 or 5 times a power of ten that cuts ``span`` into at most ``count`` parts."""
    if not span > 0:
        raise ValueError(f"an axis must have a length, not {span}")
    rough = span / count
    power = 10.0 ** math.floor(math.log10(rough))
    return next((part * power for part in _ROUND if part * power >= rough * (1 - 1e-9)), 10 * power)


def ticks(low: float, high: float, count: int = 6) -> Sequence[float]:
    """Multiples of a round step from ``low`` to ``high``, both included where they are ticks."""
    step = round_step(high - low, count)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def decimals(values: Sequence[float]) -> int:
    """Decimal places in which neighbouring ticks differ."""
    step = min((b - a for a, b in itertools.pairwise(values)), default=1.0)
    return max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 0


_DAY_STEPS = (1 / 24, 1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0)
_MONTHS = 300.0
"""Days from which on a date is named by its year and month."""


def date_ticks(first: float, last: float, count: int) -> tuple[str, Sequence[tuple[float, str]]]:
    """Dates at round steps of a day, from one Julian date to another.

    Parameters
    ----------
    first, last
        Ends of the axis [JD, UTC].
    count
        At most so many dates.

    Returns
    -------
    tuple
        Name of the axis with the year, or years; and (JD, words) of each date.
    """
    span = last - first
    years = sorted({_year(first), _year(last)})
    name = f"UTC, {' to '.join(years)}" if years != [""] else "UTC"
    step = next((one for one in _DAY_STEPS if span / one <= count), None)
    if step is None:
        step = round_step(span, count)
    # days of the calendar begin half a day after those of Julian dates
    index = math.ceil((first - 0.5) / step - 1e-9)
    found = []
    while (jd := 0.5 + index * step) <= last + 1e-9:
        found.append((jd, _date_text(jd, step, span)))
        index += 1
    return name, found


def _moment(jd: float) -> datetime | None:
    try:
        seconds = round((jd - _UNIX_EPOCH_JD) * 86400.0)
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    except OverflowError:
        return None


def _year(jd: float) -> str:
    moment = _moment(jd)
    return "" if moment is None else f"{moment.year}"


def _date_text(jd: float, step: float, span: float) -> str:
    moment = _moment(jd)
    if moment is None:
        return ""
    if span > _MONTHS:
        return f"{moment:%Y-%m}"
    return f"{moment.day} {moment:%b}" if step >= 1 else f"{moment.day} {moment:%b %H}h"

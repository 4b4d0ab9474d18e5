"""Positions as people write them: decimal degrees, or hours and degrees with minutes and seconds.

`parse_position` takes a whole position, `right_ascension` and `declination` one coordinate each.
"""

import re
from typing import Final

__all__ = ["WAYS", "declination", "parse_position", "right_ascension"]

WAYS: Final = "197.45,-23.38 or 13:09:48,-23:22:53 or 13h09m48s,-23d22m53s"
"""How a position can be given, for messages and help."""

_POLE, _TURN = 90.0, 360.0
_MINUS = str.maketrans({"\N{MINUS SIGN}": "-", "\N{EN DASH}": "-"})
_DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
# A last part may be missing (12h34m), and only the last may have decimals.
_SIXTIES = re.compile(
    r"(?P<sign>[+-]?)(?P<whole>\d{1,3})(?P<mark>[:hd°\s])\s*"
    r"(?P<minute>\d{1,2}(\.\d*)?)([:m'\u2032\s]\s*(?P<second>\d{1,2}(\.\d*)?)?)?\s*([s\"\u2033]|'')?"
)
_ONE_UNIT = re.compile(r"(?P<number>[+-]?\d+(\.\d*)?)\s*(?P<mark>[hd°])")


def _coordinate(text: str, marks: str, per_whole: float) -> float:
    """Read one coordinate [deg].

    Parameters
    ----------
    text
        As it was given.
    marks
        What may stand behind the first number.
    per_whole
        Degrees of a whole where the mark does not say it: 15 for hours, 1 for degrees.
    """
    given = text.strip().translate(_MINUS)
    if _DECIMAL.fullmatch(given):
        return float(given)
    alone = _ONE_UNIT.fullmatch(given)
    if alone is not None and alone["mark"] in marks:
        return float(alone["number"]) * (15.0 if alone["mark"] == "h" else 1.0)
    found = _SIXTIES.fullmatch(given)
    if found is None or found["mark"] not in f"{marks}: \t":
        raise ValueError(f"{text.strip()!r} is not a number of degrees, nor like {WAYS}")
    if "." in found["minute"] and found["second"]:
        raise ValueError(f"{text.strip()!r} has decimals of a minute, and seconds behind them")
    minute, second = float(found["minute"]), float(found["second"] or 0)
    if minute >= 60 or second > 60:  # noqa: PLR2004  (rounding may write 60 seconds)
        raise ValueError(f"{text.strip()!r} has minutes or seconds beyond 60")
    whole = float(found["whole"]) + minute / 60 + second / 3600
    size = whole * {"h": 15.0, "d": 1.0, "°": 1.0}.get(found["mark"], per_whole)
    return -size if found["sign"] == "-" else size  # the sign of -00:30:00 is that of the whole


def right_ascension(text: str) -> float:
    """Right ascension [deg]: decimal degrees, else hours (``12:34:56.7``, ``12h34m56.7s``).

    Raises
    ------
    ValueError
        It is neither, or more than a turn.
    """
    value = _coordinate(text, "hd°", 15.0)
    if abs(value) > _TURN:
        raise ValueError(
            f"the right ascension {text.strip()} is more than a turn: 24 h, 360 degrees"
        )
    return value


def declination(text: str) -> float:
    """Declination [deg]: decimal degrees, else with minutes (``-12:34:56``, ``-12d34m56s``).

    Raises
    ------
    ValueError
        It is neither, or beyond a pole.
    """
    value = _coordinate(text, "d°", 1.0)
    if abs(value) > _POLE:
        raise ValueError(f"the declination {text.strip()} is beyond a pole: give -90 to 90 degrees")
    return value


def parse_position(text: str) -> tuple[float, float, tuple[str, ...]]:
    """Read a position, and what stands behind it.

    Parameters
    ----------
    text
        Right ascension and declination, with a comma or blanks between them. With blanks only, six
        numbers or more are hours, minutes, seconds, degrees, minutes, seconds.

    Returns
    -------
    tuple
        Right ascension and declination [deg, ICRS], and the parts behind them (a distance, say).

    Raises
    ------
    ValueError
        It is no position; the message says what is wrong and how it can be given.
    """
    if "," in text:
        parts = [part.strip() for part in text.split(",")]
    else:
        parts = text.split()
        if len(parts) >= 6 and all(_DECIMAL.fullmatch(one.translate(_MINUS)) for one in parts):  # noqa: PLR2004  (three numbers each)
            parts = [" ".join(parts[:3]), " ".join(parts[3:6]), *parts[6:]]
    if len(parts) < 2:  # noqa: PLR2004  (two coordinates)
        raise ValueError(f"{text!r} is no position; give RA,DEC like {WAYS}")
    return right_ascension(parts[0]), declination(parts[1]), tuple(parts[2:])

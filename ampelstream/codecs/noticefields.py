"""What the codecs of notices share: times, numbers and names as they stand in the field.

A field that cannot be understood costs itself, not the event: what is made of it says so in the
notes of the revision.
"""

import base64
import binascii
import math
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from ampelstream.errors import DecodeError
from ampelstream.model.digest import digest, digest_bytes
from ampelstream.model.event import EventRevision, Notice
from ampelstream.model.identifiers import checked_name
from ampelstream.model.localisation import Ellipse
from ampelstream.model.times import jd_from_iso

__all__ = ["event_name", "fits_bytes", "jd_of", "localised", "number", "position_of", "utc_text"]

GAUSSIAN = "Gaussian in Lambert's azimuthal equal-area projection"
"""Part of the digest of a map that is made of ellipses: another distribution is another map."""

_POLE, _TURN = 90.0, 360.0
_LOOSE = re.compile(r"(\d{2}|\d{4})-(\d{1,2})-(\d{1,2})(.*)", re.DOTALL)
_TRIGGER = re.compile(r"[0-9_]+")
_NO_ZONE = re.compile(r"T[0-9:.]+$")


def _iso(text: str) -> str:
    """Spell a date as ISO 8601 wants it: some have ``2024-6-25``, or ``24-06-25``."""
    found = _LOOSE.fullmatch(text.strip())
    if found is None:
        return text.strip()
    year, month, day, rest = found.groups()
    return f"{year if len(year) == 4 else '20' + year}-{month:0>2}-{day:0>2}{rest}"  # noqa: PLR2004  (digits of a year)


def jd_of(text: str, what: str) -> float:
    """Julian date [d, UTC] of a time in a notice; without a zone it is UTC.

    Raises
    ------
    DecodeError
        It is no time.
    """
    try:
        return jd_from_iso(_iso(text))
    except (ValueError, OverflowError) as error:
        raise DecodeError(f"{what} is {text!r}, not an ISO 8601 time") from error


def utc_text(text: str, what: str) -> str:
    """Time of a notice as we keep it: as it stands there, with Z where it has no zone.

    Raises
    ------
    DecodeError
        It is no time.
    """
    jd_of(text, what)
    spelled = _iso(text).replace(" ", "T", 1)
    return f"{spelled}Z" if _NO_ZONE.search(spelled) else spelled


def number(value: Any) -> float | None:
    """A finite number, also one that is a text; else None."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def position_of(ra: Any, dec: Any) -> tuple[float, float] | None:
    """Right ascension and declination [deg] as they stand there; None where they are no place."""
    lon, lat = number(ra), number(dec)
    if lon is None or lat is None or abs(lon) > _TURN or abs(lat) > _POLE:
        return None
    return lon, lat


def fits_bytes(text: str | None, what: str) -> bytes:
    """Bytes of a file in base64; none without a text.

    Raises
    ------
    DecodeError
        It is not base64.
    """
    if not text:
        return b""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DecodeError(f"{what} is not base64: {error}") from error


def event_name(mission: str, ids: Iterable[str], what: str) -> str:
    """Name of the event that a notice is about: mission and trigger.

    Of several ids of one trigger the name is that of the trigger's number (digits, also with an
    underscore between), in whatever order they stand; without such a one the first in the alphabet.
    Zeros before a number do not count, as missions write them now and then.

    Parameters
    ----------
    mission
        Who saw it.
    ids
        All that the notice has; at least one.
    what
        The field, for the message.

    Raises
    ------
    DecodeError
        None of them can be a name.
    """
    chosen = min(ids, key=lambda one: (_TRIGGER.fullmatch(one) is None, one))
    named = checked_name(chosen, what)
    if named.isdigit():
        named = named.lstrip("0") or "0"  # MAXI retracts 0858800020, which was 858800020
    return named if named.lower().startswith(mission.lower()) else f"{mission}-{named}"


def localised(revision: EventRevision, ellipses: tuple[Ellipse, ...], skymap: bytes) -> Notice:
    """Put a notice together, with the digest of its localisation.

    Parameters
    ----------
    revision
        All that the notice says.
    ellipses
        Where it may be; of no account where there is a map.
    skymap
        The FITS file of a map; empty without.
    """
    if skymap:
        named = msgspec.structs.replace(revision, skymap_digest=digest_bytes(skymap))
        return Notice(named, skymap=skymap)
    if ellipses:
        named = msgspec.structs.replace(revision, skymap_digest=digest([GAUSSIAN, ellipses]))
        return Notice(named, ellipses=ellipses)
    return Notice(revision)

"""A sky map in FITS, fetched by hand, taken as the notice of an event.

For following an event of the past whose map one has, or one that never had a machine-readable
notice. The trigger time is the map's DATE-OBS; a map without it cannot be followed.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from astropy.utils.exceptions import AstropyWarning

from ampelstream.codecs.fitsfile import DAMAGE, FitsFile, is_fits, plain_digest
from ampelstream.errors import DecodeError
from ampelstream.model.digest import digest_bytes
from ampelstream.model.event import EventRevision, Notice
from ampelstream.model.identifiers import checked_name
from ampelstream.model.times import iso_from_jd, jd_from_iso

__all__ = ["decode", "is_fits"]


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """Turn what a damaged or too large file makes the libraries raise into our error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)  # odd cards; who reads the map looks
            yield
    except DecodeError as error:
        raise DecodeError(f"{name}: the FITS file {error}") from error
    except DAMAGE as error:
        raise DecodeError(f"{name}: not a readable FITS file: {error}") from error


def _header(data: bytes, name: str) -> dict[str, Any]:
    """Cards of the first extension, which holds the map."""
    with _readable(name):
        headers = FitsFile(data).headers()
        next(headers, None)
        header = next(headers, None)
        if header is None:
            raise DecodeError("holds no table, and is no sky map")
        return {str(key): header[key] for key in set(header) if key}


def _event_name(header: dict[str, Any], name: str, t0_jd: float, data: bytes) -> str:
    """OBJECT of the header; without it, the trigger time and a digest of the file.

    Pipelines give all their maps one file name (``bayestar.fits.gz``), so that the name of the file
    would make one event of any two maps. The digest is of the plain file, compressed or not.
    """
    given = str(header.get("OBJECT", "")).strip()
    if given:
        return checked_name(given, f"OBJECT of sky map {name}")
    trigger = iso_from_jd(t0_jd).replace("-", "").replace(":", "").removesuffix("Z")
    with _readable(name):
        return f"MAP{trigger}-{plain_digest(data)[:8]}"


def decode(value: bytes, name: str) -> Notice:
    """Make a notice of a sky map.

    Parameters
    ----------
    value
        The FITS file, plain or gzipped.
    name
        Its file name, for messages.

    Raises
    ------
    DecodeError
        It is no FITS file, is larger than a map can be, or has no DATE-OBS.
    """
    header = _header(value, name)
    observed = str(header.get("DATE-OBS", "")).strip()
    if not observed:
        raise DecodeError(
            f"sky map {name} has no DATE-OBS: without a trigger time it cannot be followed as an "
            "event. Add the card DATE-OBS (UTC, ISO 8601) to the header of its table."
        )
    created = str(header.get("DATE", "")).strip() or observed
    try:
        t0_jd = jd_from_iso(observed)
        datetime.fromisoformat(created)
    except ValueError as error:
        raise DecodeError(
            f"sky map {name}: DATE-OBS or DATE is no ISO 8601 time: {error}"
        ) from error
    digest = digest_bytes(value)
    revision = EventRevision(
        event_id=_event_name(header, name, t0_jd, value),
        alert_type="INITIAL",
        time_created=created.rstrip("Z") + "Z",
        content_digest=digest,
        t0_jd=t0_jd,
        # only searches for compact binaries give distances
        group="CBC"
        if "DISTMU" in {str(v) for k, v in header.items() if k.startswith("TTYPE")}
        else None,
        pipeline=str(header.get("CREATOR", "")).strip() or None,
        instruments=tuple(filter(None, str(header.get("INSTRUME", "")).split(","))),
        skymap_digest=digest,
    )
    return Notice(revision, skymap=value)

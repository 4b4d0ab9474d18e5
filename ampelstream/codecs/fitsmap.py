"""A sky map in FITS, fetched by hand, taken as the notice of an event.

For following an event of the past whose map one has, or one that never had a machine-readable
notice. The trigger time is the map's DATE-OBS; a map without it cannot be followed.
"""

import gzip
import io
import zlib
from datetime import datetime
from typing import Any

from astropy.io import fits

from ampelstream.errors import DecodeError
from ampelstream.model.digest import digest_bytes
from ampelstream.model.event import EventRevision, Notice
from ampelstream.model.identifiers import checked_name
from ampelstream.model.times import iso_from_jd, jd_from_iso

__all__ = ["decode", "is_fits"]

_GZIP = b"\x1f\x8b"


def is_fits(value: bytes) -> bool:
    """Whether the bytes begin like a FITS file, plain or gzipped."""
    return value.startswith((b"SIMPLE  =", _GZIP))


def _plain(value: bytes, name: str) -> bytes:
    """Contents of the file, decompressed."""
    if not value.startswith(_GZIP):
        return value
    try:
        return gzip.decompress(value)
    except (OSError, EOFError, zlib.error) as error:
        raise DecodeError(f"{name}: not a readable FITS file: {error}") from error


def _header(data: bytes, name: str) -> dict[str, Any]:
    """Cards of the first extension, which holds the map."""
    try:
        with fits.open(io.BytesIO(data), memmap=False) as hdus:
            if len(hdus) <= 1:
                raise DecodeError(f"{name}: a FITS file without a table is no sky map")
            return {str(key): hdus[1].header[key] for key in set(hdus[1].header) if key}
    except (
        OSError,
        ValueError,
        TypeError,
        KeyError,
        fits.VerifyError,
    ) as error:
        if isinstance(error, DecodeError):
            raise
        raise DecodeError(f"{name}: not a readable FITS file: {error}") from error


def _event_name(header: dict[str, Any], name: str, t0_jd: float, data: bytes) -> str:
    """OBJECT of the header; without it, the trigger time and a digest of the file.

    Pipelines give all their maps one file name (``bayestar.fits.gz``), so that the name of the file
    would make one event of any two maps. The digest is of the plain file, compressed or not.
    """
    given = str(header.get("OBJECT", "")).strip()
    if given:
        return checked_name(given, f"OBJECT of sky map {name}")
    trigger = iso_from_jd(t0_jd).replace("-", "").replace(":", "").removesuffix("Z")
    return f"MAP{trigger}-{digest_bytes(data)[:8]}"


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
        It is no FITS file, or has no DATE-OBS.
    """
    data = _plain(value, name)
    header = _header(data, name)
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
        event_id=_event_name(header, name, t0_jd, data),
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

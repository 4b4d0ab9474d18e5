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
from ampelstream.model.times import jd_from_iso

__all__ = ["decode", "is_fits"]

_GZIP = b"\x1f\x8b"
_MAX_BYTES = 2 << 30


def is_fits(value: bytes) -> bool:
    """Whether the bytes begin like a FITS file, plain or gzipped."""
    return value.startswith((b"SIMPLE  =", _GZIP))


def _header(value: bytes, name: str) -> dict[str, Any]:
    """Cards of the first extension, which holds the map."""
    try:
        data = gzip.decompress(value) if value.startswith(_GZIP) else value
        with fits.open(io.BytesIO(data), memmap=False) as hdus:
            if len(hdus) <= 1:
                raise DecodeError(f"{name}: a FITS file without a table is no sky map")
            return {str(key): hdus[1].header[key] for key in set(hdus[1].header) if key}
    except (
        OSError,
        EOFError,
        zlib.error,
        ValueError,
        TypeError,
        KeyError,
        fits.VerifyError,
    ) as error:
        if isinstance(error, DecodeError):
            raise
        raise DecodeError(f"{name}: not a readable FITS file: {error}") from error


def _event_name(header: dict[str, Any], name: str) -> str:
    """OBJECT of the header, or the file's name up to its first dot."""
    given = str(header.get("OBJECT", "")).strip()
    return given or name.rsplit("/", 1)[-1].split(".", 1)[0]


def decode(value: bytes, name: str) -> Notice:
    """Make a notice of a sky map.

    Parameters
    ----------
    value
        The FITS file, plain or gzipped.
    name
        Its file name, for messages and for an event that the header does not name.

    Raises
    ------
    DecodeError
        It is no FITS file, or has no DATE-OBS.
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
        event_id=_event_name(header, name),
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

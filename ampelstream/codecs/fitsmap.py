"""A sky map in FITS, fetched by hand, taken as the notice of an event.

For following an event of the past whose map one has, or one that never had a machine-readable
notice. The trigger time is the map's DATE-OBS (else MJD-OBS); a map without cannot be followed.
"""

import warnings

from astropy.utils.exceptions import AstropyWarning

from ampelstream.codecs.fitsfile import is_fits, plain_digest
from ampelstream.codecs.fitsheader import MapTable, readable, sky_map_table
from ampelstream.codecs.maptimes import created, observed
from ampelstream.errors import DecodeError
from ampelstream.model.digest import digest_bytes
from ampelstream.model.event import EventRevision, Notice, is_test_superevent
from ampelstream.model.identifiers import checked_name
from ampelstream.model.times import iso_from_jd

__all__ = ["decode", "is_fits"]

_BURST = "GRB"


def _event_name(table: MapTable, name: str, t0_jd: float, data: bytes) -> str:
    """OBJECT of the header; without it, the trigger time and a digest of the file.

    Pipelines give all their maps one file name (``bayestar.fits.gz``), so that the name of the file
    would make one event of any two maps. The digest is of the plain file, compressed or not.
    """
    given = table.text("OBJECT")
    if given:
        return checked_name(given, f"OBJECT of sky map {name}")
    trigger = iso_from_jd(t0_jd).replace("-", "").replace(":", "").removesuffix("Z")
    with readable(name, DecodeError):
        return f"MAP{trigger}-{plain_digest(data)[:8]}"


def _is_burst(table: MapTable) -> bool:
    """Whether the header says that it is a gamma-ray burst's (Fermi: OBJ_CLAS, OBJECT)."""
    return table.text("OBJ_CLAS") == _BURST or table.text("OBJECT").startswith(_BURST)


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
        It is no FITS file, is larger than a map can be, or has no time of observation.
    """
    with readable(name, DecodeError), warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)  # odd cards; who reads the map looks
        _, table = sky_map_table(value)
    when = observed(table)
    if when.jd is None:
        why = f" that can be read: {when.remark}. Without" if when.remark else ": without"
        raise DecodeError(
            f"sky map {name} has no DATE-OBS{why} a trigger time it cannot be followed as an "
            "event. Add the card DATE-OBS (UTC, ISO 8601) to the header of its table."
        )
    try:
        time_created = created(table, when)
    except ValueError as error:
        raise DecodeError(
            f"sky map {name}: DATE = {table.text('DATE')!r:.60} is no ISO 8601 time; put it right "
            "in the header of its table, or take the card out"
        ) from error
    digest = digest_bytes(value)
    event_id = _event_name(table, name, when.jd, value)
    revision = EventRevision(
        event_id=event_id,
        alert_type="INITIAL",
        kind="grb" if _is_burst(table) else "gw",
        time_created=time_created,
        content_digest=digest,
        t0_jd=when.jd,
        # only searches for compact binaries give distances
        group="CBC" if "DISTMU" in table.columns else None,
        pipeline=table.text("CREATOR") or None,
        instruments=tuple(one.strip() for one in table.text("INSTRUME").split(",") if one.strip()),
        skymap_digest=digest,
        test=is_test_superevent(event_id),
    )
    return Notice(revision, skymap=value)

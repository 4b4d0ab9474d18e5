"""Sky maps in FITS: bytes to a header and tiles.

Understood are flat HEALPix tables (RING or NESTED, one value per row or vectors, probability per
pixel or density) and multi-order ones (UNIQ and PROBDENSITY), each with or without DISTMU,
DISTSIGMA and DISTNORM, plain or gzipped. Conventions: LIGO-T1800137, and the LVK user guide.
"""

import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning

from ampelstream.codecs.fitsfile import DAMAGE, FitsFile, is_fits
from ampelstream.errors import DecodeError, SkyMapError
from ampelstream.model.times import jd_from_iso
from ampelstream.sky.encodings import COLUMNS, Table, tiles_of
from ampelstream.sky.tiles import Tiles

__all__ = ["observation_jd", "read_fits"]

_MJD_EPOCH_JD = 2400000.5

Header = Mapping[str, str | float]


def read_fits(data: bytes, name: str) -> tuple[Header, Tiles]:
    """Read a sky map.

    Parameters
    ----------
    data
        The FITS file, plain or gzipped.
    name
        Of the map, for messages.

    Returns
    -------
    header
        Cards of the table that holds the map, without commentary.
    tiles
        The sky.

    Raises
    ------
    SkyMapError
        It is no FITS file, is damaged, holds no HEALPix table, is larger than a map can be, or its
        values make no sense.
    """
    if not is_fits(data):
        what = "is empty" if not data else f"begins with {data[:8]!r}, which is not FITS"
        raise SkyMapError(f"sky map {name} {what}; give a HEALPix map in FITS, plain or gzipped")
    with _damage(name), warnings.catch_warnings():
        # what astropy warns of (odd cards) does not matter, or fails below (truncation)
        warnings.simplefilter("ignore", AstropyWarning)
        file = FitsFile(data)
        found = _healpix_table(file, name)
        header = _cards(found)
        # of two columns that differ in capitals only, the last
        wanted = {key.upper(): key for key in _columns(found) if key.upper() in COLUMNS}
        slices = file.slices(found, {key: ours for ours, key in wanted.items()})
        table = Table(name, header, frozenset(wanted), found["NAXIS2"], slices)
        tiles = tiles_of(table)
        file.finish()
        return header, tiles


def observation_jd(header: Mapping[str, str | float]) -> float | None:
    """Time of the observation [JD, UTC]: DATE-OBS, else MJD-OBS, else None.

    Only the table's own header counts: in a file's primary header DATE-OBS may be something else
    (Fermi GBM: the start of the data, a minute before the burst, in Terrestrial Time).
    """
    try:
        return jd_from_iso(str(header.get("DATE-OBS", "")).strip())
    except ValueError:
        pass  # absent, or a leap second, which Python's clock does not have
    try:
        mjd = float(header.get("MJD-OBS", math.nan))
    except ValueError:
        return None
    return _MJD_EPOCH_JD + mjd if math.isfinite(mjd) else None


@contextmanager
def _damage(name: str) -> Iterator[None]:
    """Turn what a damaged file makes the libraries raise into our error."""
    try:
        yield
    except SkyMapError:
        raise
    except DecodeError as error:
        raise SkyMapError(f"sky map {name} {error}") from error
    except DAMAGE as error:
        raise SkyMapError(
            f"sky map {name} is truncated or damaged ({type(error).__name__}: {error}); "
            "fetch it again"
        ) from error


def _columns(header: fits.Header) -> list[str]:
    """Names of the columns of a table."""
    numbers = range(1, int(header["TFIELDS"]) + 1)
    return [str(header.get(f"TTYPE{number}", "")).strip() for number in numbers]


def _healpix_table(file: FitsFile, name: str) -> fits.Header:
    """Find the first table that calls itself HEALPix, or has the columns of a multi-order map."""
    seen = []
    for header in file.headers():
        if header.get("XTENSION") not in {"BINTABLE", "A3DTABLE"} or header.get("ZIMAGE"):
            continue  # ZIMAGE: an image, compressed
        names = [one.upper() for one in _columns(header)]
        if str(header.get("PIXTYPE", "")).strip().upper() == "HEALPIX" or "UNIQ" in names:
            return header
        seen.append(", ".join(filter(None, names)) or "no columns")
    found = f"its tables have {'; '.join(seen)}" if seen else "no table at all: is it truncated?"
    raise SkyMapError(
        f"sky map {name} has no HEALPix table ({found}); the table of a sky map has the card "
        "PIXTYPE = 'HEALPIX' or a column UNIQ"
    )


def _cards(header: fits.Header) -> Header:
    """Cards with a text or a number."""
    cards: dict[str, str | float] = {}
    for card in header.cards:
        with suppress(fits.VerifyError):  # a mangled card is no card; those needed are missed later
            value = card.value
            if isinstance(value, bool):
                cards[card.keyword] = "T" if value else "F"
            elif isinstance(value, str) and card.keyword not in {"", "COMMENT", "HISTORY"}:
                cards[card.keyword] = value.strip()
            elif isinstance(value, int | float):
                cards[card.keyword] = value
    return cards

"""Sky maps in FITS: bytes to a header and tiles.

Understood are flat HEALPix tables (RING or NESTED, one value per row or vectors) and multi-order
ones (UNIQ), of probability per pixel or of its density, in any unit of solid angle; each with or
without DISTMU, DISTSIGMA and DISTNORM, in any unit of length; plain or gzipped. Conventions:
LIGO-T1800137, and the LVK user guide.
"""

import warnings
from typing import NamedTuple

from astropy.utils.exceptions import AstropyWarning

from ampelstream.codecs.fitsfile import is_fits
from ampelstream.codecs.fitsheader import Cards, readable, sky_map_table
from ampelstream.codecs.maptimes import observed
from ampelstream.errors import SkyMapError
from ampelstream.sky.encodings import COLUMNS, Table, tiles_of
from ampelstream.sky.tiles import Tiles

__all__ = ["MapRead", "read_fits"]


class MapRead(NamedTuple):
    """A sky map as it was read.

    Attributes
    ----------
    header
        Cards of the table that holds the map, without commentary.
    tiles
        The sky.
    t_obs_jd
        Time of the observation [JD, UTC]; None where the file does not say.
    remarks
        What was put right or is odd, for people.
    """

    header: Cards
    tiles: Tiles
    t_obs_jd: float | None
    remarks: tuple[str, ...]


def read_fits(data: bytes, name: str) -> MapRead:
    """Read a sky map.

    Parameters
    ----------
    data
        The FITS file, plain or gzipped.
    name
        Of the map, for messages.

    Raises
    ------
    SkyMapError
        It is no FITS file, is damaged, holds no HEALPix table, is larger than a map can be, or its
        units or values make no sense.
    """
    if not is_fits(data):
        what = "is empty" if not data else f"begins with {data[:8]!r}, which is not FITS"
        raise SkyMapError(f"sky map {name} {what}; give a HEALPix map in FITS, plain or gzipped")
    with readable(name, SkyMapError), warnings.catch_warnings():
        # what astropy warns of (odd cards) does not matter, or fails below (truncation)
        warnings.simplefilter("ignore", AstropyWarning)
        file, found = sky_map_table(data)
        wanted = {key: column for key, column in found.columns.items() if key in COLUMNS}
        slices = file.slices(found.header, {one.name: key for key, one in wanted.items()})
        made = tiles_of(Table(name, found.cards, wanted, found.rows, slices))
        file.finish()
        when = observed(found)
        remarks = tuple(filter(None, (*made.remarks, when.remark)))
        return MapRead(made.header, made.tiles, when.jd, remarks)

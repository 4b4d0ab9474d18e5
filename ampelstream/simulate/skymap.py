"""Multi-order sky maps of simulated events, as FITS files in the layout of LVK's."""

import io
from dataclasses import dataclass
from typing import Any

import healpy as hp
import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from ampelstream.model.times import iso_from_jd
from ampelstream.simulate import distance
from ampelstream.simulate.localisation import Localisation

__all__ = ["MapRequest", "render", "tiling"]

_BASE_ORDER = 3
_REACH = 4.0  # widths out to which tiles are cut finely
_BACKGROUND = 1e-4  # of the probability, spread over the whole sky: real maps have no hard edge
_MJD_ZERO = 2400000.5


@dataclass(frozen=True, slots=True)
class MapRequest:
    """What a sky map shall say.

    Attributes
    ----------
    event_id
        Name of the event.
    t0_jd
        Trigger time [JD, UTC].
    created
        When the map was made, ISO 8601.
    where
        The localisation.
    order
        HEALPix order of the finest tiles.
    distance_mpc, distance_sigma_mpc
        Distance at the maximum and its width [Mpc].
    """

    event_id: str
    t0_jd: float
    created: str
    where: Localisation
    order: int
    distance_mpc: float
    distance_sigma_mpc: float


def tiling(where: Localisation, finest: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cut the sky into tiles that are finer the nearer they are to the localisation.

    Returns
    -------
    tuple of arrays
        Order and nested pixel of each tile, shape (n,); together they cover the sky once.
    """
    first = min(_BASE_ORDER, finest)
    pixels = np.arange(12 * 4**first)
    orders_done, pixels_done = [], []
    for order in range(first, finest):
        ra, dec = hp.pix2ang(1 << order, pixels, nest=True, lonlat=True)
        side = np.degrees(np.sqrt(4.0 * np.pi / 12)) / (1 << order)
        near = where.radius(ra, dec, margin=side / _REACH) < _REACH
        orders_done.append(np.full(int(np.sum(~near)), order))
        pixels_done.append(pixels[~near])
        pixels = (4 * pixels[near][:, None] + np.arange(4)).ravel()
    orders_done.append(np.full(len(pixels), finest))
    pixels_done.append(pixels)
    return np.concatenate(orders_done), np.concatenate(pixels_done)


def _columns(request: MapRequest) -> tuple[list[fits.Column], float, float]:
    """Columns of the map, and mean and standard deviation [Mpc] of its distance."""
    orders, pixels = tiling(request.where, request.order)
    sides = np.left_shift(1, orders)
    ra, dec = hp.pix2ang(sides, pixels, nest=True, lonlat=True)
    area = 4.0 * np.pi / 12 / sides**2
    along, _ = request.where.offsets(ra, dec)
    density = np.exp(-0.5 * request.where.radius(ra, dec) ** 2)
    density /= np.sum(density * area)
    density = (1.0 - _BACKGROUND) * density + _BACKGROUND / (4.0 * np.pi)
    density /= np.sum(density * area)
    # nearer towards the ends of the arc, as where the antenna pattern is weaker
    mu = request.distance_mpc * (1.0 - 0.08 * np.tanh((along / request.where.along / 2.0) ** 2))
    sigma = np.full_like(mu, request.distance_sigma_mpc)
    mean, std = distance.mean_and_std(density * area, mu, sigma)
    columns = [
        fits.Column("UNIQ", "K", array=4 * sides**2 + pixels),
        fits.Column("PROBDENSITY", "D", unit="sr-1", array=density),
        fits.Column("DISTMU", "D", unit="Mpc", array=mu),
        fits.Column("DISTSIGMA", "D", unit="Mpc", array=sigma),
        fits.Column("DISTNORM", "D", unit="Mpc-2", array=distance.norm(mu, sigma)),
    ]
    return columns, mean, std


def _cards(request: MapRequest, mean: float, std: float) -> list[tuple[str, Any, str]]:
    return [
        ("PIXTYPE", "HEALPIX", "HEALPix tiles"),
        ("ORDERING", "NUNIQ", "tiles named by NUNIQ numbers"),
        ("COORDSYS", "C", "celestial (equatorial, ICRS)"),
        ("MOCORDER", request.order, "finest HEALPix order"),
        ("INDXSCHM", "EXPLICIT", "the tiles are listed"),
        ("OBJECT", request.event_id, "simulated event"),
        ("INSTRUME", "H1,L1,V1", "as if these had seen it"),
        ("DATE-OBS", iso_from_jd(request.t0_jd).rstrip("Z"), "UTC of the simulated trigger"),
        ("MJD-OBS", request.t0_jd - _MJD_ZERO, "the same [d]"),
        ("DATE", request.created.rstrip("Z"), "UTC of the simulated notice"),
        ("CREATOR", "ampelstream.simulate", "program"),
        ("ORIGIN", "simulated by ampelstream", "no detector saw this event"),
        ("DISTMEAN", mean, "mean distance [Mpc]"),
        ("DISTSTD", std, "standard deviation of it [Mpc]"),
    ]


def render(request: MapRequest) -> bytes:
    """Make the FITS file of a map; the same request always gives the same bytes."""
    columns, mean, std = _columns(request)
    table = fits.BinTableHDU.from_columns(columns)
    for keyword, value, comment in _cards(request, mean, std):
        table.header[keyword] = (value, comment)
    out = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(out)
    return out.getvalue()

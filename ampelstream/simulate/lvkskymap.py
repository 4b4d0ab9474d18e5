"""Sky maps of simulated events: multi-order FITS files in the layout of LVK's.

`Localisation` is where an event may be, an elongated, slightly bent Gaussian on the sphere;
`tiling` cuts the sky into HEALPix tiles that are fine where it is; `render` writes probability and
distance of each tile. The distance of a tile follows p(r) proportional to r^2 N(r; mu, sigma), r >=
0, the form of Singer et al. 2016, ApJL 829, L15.
"""

import io
import math
from dataclasses import dataclass
from random import Random
from typing import Any

import healpy as hp
import numpy as np
from astropy.io import fits
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from ampelstream.model.times import iso_from_jd

__all__ = [
    "Localisation",
    "MapRequest",
    "distance_mean_and_std",
    "distance_norm",
    "render",
    "tiling",
]

_Pair = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Localisation:
    """A Gaussian in the plane of distance and direction from a centre.

    Attributes
    ----------
    ra, dec
        Centre and maximum [deg, ICRS].
    along, across
        Widths (1 sigma) along the long and the short axis [deg].
    angle
        Position angle of the long axis, from north to east [deg].
    bend
        How far the long axis has left the straight line at one ``along`` [deg].
    """

    ra: float
    dec: float
    along: float
    across: float
    angle: float = 0.0
    bend: float = 0.0

    def offsets(self, ra: ArrayLike, dec: ArrayLike) -> _Pair:
        """Offsets along the long axis and from it [deg], shape as the input."""
        lon, lat, lat0 = (np.radians(one) for one in (ra, dec, self.dec))
        turn = lon - math.radians(self.ra)
        east = np.cos(lat) * np.sin(turn)
        north = np.cos(lat0) * np.sin(lat) - np.sin(lat0) * np.cos(lat) * np.cos(turn)
        ahead = np.sin(lat0) * np.sin(lat) + np.cos(lat0) * np.cos(lat) * np.cos(turn)
        away = np.degrees(np.arctan2(np.hypot(east, north), ahead))
        direction = np.arctan2(east, north) - math.radians(self.angle)
        along, across = away * np.cos(direction), away * np.sin(direction)
        return along, across - self.bend * (along / self.along) ** 2

    def radius(self, ra: ArrayLike, dec: ArrayLike, margin: float = 0.0) -> NDArray[np.float64]:
        """Distance from the centre in widths, both widened by a margin [deg]."""
        along, across = self.offsets(ra, dec)
        radius: NDArray[np.float64] = np.hypot(
            along / (self.along + margin), across / (self.across + margin)
        )
        return radius

    def position(self, along: float, across: float) -> tuple[float, float]:
        """Give (ra, dec) [deg] of offsets [deg]: the inverse of `offsets`."""
        across += self.bend * (along / self.along) ** 2
        away = math.radians(math.hypot(along, across))
        direction = math.atan2(across, along) + math.radians(self.angle)
        sin0, cos0 = math.sin(math.radians(self.dec)), math.cos(math.radians(self.dec))
        sine = sin0 * math.cos(away) + cos0 * math.sin(away) * math.cos(direction)
        east = math.sin(direction) * math.sin(away) * cos0
        turn = math.atan2(east, math.cos(away) - sin0 * sine)
        return (self.ra + math.degrees(turn)) % 360.0, math.degrees(math.asin(sine))

    def draw(self, rng: Random, widen: float = 1.0) -> tuple[float, float]:
        """Draw a position (ra, dec) [deg] from it, widened by a factor."""
        return self.position(
            rng.gauss(0.0, self.along * widen), rng.gauss(0.0, self.across * widen)
        )


_Array = NDArray[np.float64]


def _raw_moments(mu: ArrayLike, sigma: ArrayLike) -> tuple[_Array, _Array, _Array]:
    """Integrals of r^2, r^3 and r^4 times N(r; mu, sigma) over r >= 0.

    They are moments of a truncated normal distribution: integrated by parts, each follows from the
    two before it.
    """
    mean, width = np.asarray(mu, dtype=float), np.asarray(sigma, dtype=float)
    above = ndtr(mean / width)
    edge = width * np.exp(-0.5 * (mean / width) ** 2) / np.sqrt(2.0 * np.pi)
    first = mean * above + edge
    second = mean * first + width**2 * above
    third = mean * second + 2.0 * width**2 * first
    fourth = mean * third + 3.0 * width**2 * second
    return second, third, fourth


def distance_norm(mu: ArrayLike, sigma: ArrayLike) -> _Array:
    """Normalisation [1/Mpc^2] that makes p(r) integrate to 1."""
    return 1.0 / _raw_moments(mu, sigma)[0]


def distance_mean_and_std(weight: _Array, mu: _Array, sigma: _Array) -> tuple[float, float]:
    """Mean and standard deviation [Mpc] of the distance over all directions.

    Parameters
    ----------
    weight
        Probability of each tile, summing to 1, shape (n,).
    mu, sigma
        Its distance parameters [Mpc], shape (n,).
    """
    second, third, fourth = _raw_moments(mu, sigma)
    mean = float(np.sum(weight * third / second))
    square = float(np.sum(weight * fourth / second))
    return mean, float(np.sqrt(square - mean**2))


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
    mean, std = distance_mean_and_std(density * area, mu, sigma)
    columns = [
        fits.Column("UNIQ", "K", array=4 * sides**2 + pixels),
        fits.Column("PROBDENSITY", "D", unit="sr-1", array=density),
        fits.Column("DISTMU", "D", unit="Mpc", array=mu),
        fits.Column("DISTSIGMA", "D", unit="Mpc", array=sigma),
        fits.Column("DISTNORM", "D", unit="Mpc-2", array=distance_norm(mu, sigma)),
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

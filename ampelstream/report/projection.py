"""Map projections with right ascension growing to the left: Mollweide and gnomonic.

Formulas: Snyder, "Map Projections: A Working Manual", USGS Professional Paper 1395 (1987), pages
249-252 (Mollweide) and 164-168 (gnomonic).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Plane",
    "galactic_plane",
    "gnomonic",
    "gnomonic_inverse",
    "mollweide",
    "mollweide_inverse",
]

Plane = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Two arrays of the same shape: x to the right and y up, or ra and dec [deg]."""

_BISECTIONS = 52


def mollweide(ra: ArrayLike, dec: ArrayLike, centre: float = 180.0) -> Plane:
    """Project the sphere into an ellipse, preserving areas.

    Parameters
    ----------
    ra, dec
        Positions [deg].
    centre
        Right ascension of the middle [deg].

    Returns
    -------
    tuple of ndarray
        x in [-2, 2], to the right (ra falls), and y in [-1, 1], up. A position exactly opposite
        to the centre is put on the left edge.
    """
    lon = _from_centre(ra, centre)
    sine = np.sin(np.radians(np.asarray(dec, dtype=np.float64)))
    # Bisection: Newton's method, which Snyder gives, converges slowly next to the poles. In the
    # southern half, where rounding leaves the pole itself exact; the north is its mirror image.
    target = -np.pi * np.abs(sine)
    low = np.full(target.shape, -np.pi / 2)
    high = np.zeros(target.shape)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        below = 2 * middle + np.sin(2 * middle) < target
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    theta = np.copysign((low + high) / 2, sine)
    return -2.0 * (lon / 180.0) * np.cos(theta), np.sin(theta)


def _from_centre(ra: ArrayLike, centre: float) -> NDArray[np.float64]:
    """Degrees east of the centre, in (-180, 180]."""
    offset: NDArray[np.float64] = np.asarray(ra, dtype=np.float64) - centre
    return -(np.mod(180.0 - offset, 360.0) - 180.0)


def mollweide_inverse(x: ArrayLike, y: ArrayLike, centre: float = 180.0) -> Plane:
    """Positions (ra, dec) [deg] of points of the ellipse; NaN outside of it."""
    across, up = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        theta = np.arcsin(up)
        dec = np.degrees(np.arcsin((2 * theta + np.sin(2 * theta)) / np.pi))
        lon = -90.0 * across / np.cos(theta)
        outside = (across / 2) ** 2 + up**2 > 1.0
        ra = np.mod(centre + lon, 360.0)
    return np.where(outside, np.nan, ra), np.where(outside, np.nan, dec)


def gnomonic(ra: ArrayLike, dec: ArrayLike, ra0: float, dec0: float) -> Plane:
    """Project onto the plane that touches the sphere at (ra0, dec0).

    Returns
    -------
    tuple of ndarray
        x to the right (west) and y up (north) [deg at the centre]; NaN for positions more than
        about 89 deg away, which have no image.
    """
    lon = np.radians(np.asarray(ra, dtype=np.float64) - ra0)
    lat, lat0 = np.radians(np.asarray(dec, dtype=np.float64)), np.radians(dec0)
    cosine = np.sin(lat0) * np.sin(lat) + np.cos(lat0) * np.cos(lat) * np.cos(lon)
    visible = np.where(cosine > 0.02, cosine, np.nan)  # noqa: PLR2004  (cos 89 deg)
    east = np.cos(lat) * np.sin(lon) / visible
    north = (np.cos(lat0) * np.sin(lat) - np.sin(lat0) * np.cos(lat) * np.cos(lon)) / visible
    return -np.degrees(east), np.degrees(north)


def gnomonic_inverse(x: ArrayLike, y: ArrayLike, ra0: float, dec0: float) -> Plane:
    """Positions (ra, dec) [deg] of points of the plane; x and y as ``gnomonic`` gives them."""
    east = -np.radians(np.asarray(x, dtype=np.float64))
    north = np.radians(np.asarray(y, dtype=np.float64))
    lat0 = np.radians(dec0)
    ra = ra0 + np.degrees(np.arctan2(east, np.cos(lat0) - north * np.sin(lat0)))
    height = np.sin(lat0) + north * np.cos(lat0)
    dec = np.degrees(np.arcsin(height / np.sqrt(1 + east**2 + north**2)))
    return np.mod(ra, 360.0), dec


def galactic_plane(points: int = 361) -> Plane:
    """Positions (ra, dec) [deg, ICRS] along galactic latitude zero, shape (points,).

    Galactic pole and longitude of the celestial pole: ESA, The Hipparcos and Tycho Catalogues
    (1997), volume 1, section 1.5.3.
    """
    pole_ra, pole_dec, node = np.radians([192.85948, 27.12825, 122.93192])
    lon = node - np.radians(np.linspace(0.0, 360.0, points))
    dec = np.degrees(np.arcsin(np.cos(pole_dec) * np.cos(lon)))
    ra = pole_ra + np.arctan2(np.sin(lon), -np.sin(pole_dec) * np.cos(lon))
    return np.mod(np.degrees(ra), 360.0), dec

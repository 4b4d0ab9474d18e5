"""Where an event may be: an elongated, slightly bent Gaussian on the sphere."""

import math
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Localisation"]

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

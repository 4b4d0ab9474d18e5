"""Where simulated sources may be: around the event, in galaxies, over the whole footprint."""

import math
from collections.abc import Sequence
from random import Random
from typing import Final

from ampelstream.simulate.galaxies import NGC4993, Galaxy
from ampelstream.simulate.localisation import Localisation
from ampelstream.simulate.survey import T0_JD, Exposure, Survey, spot

__all__ = ["Sky", "offset"]

_NEAR_SHARE: Final = 0.4  # of the sources that lie around the region
_NEAR_WIDEN: Final = 1.6
_CORE_SHARE: Final = 0.35  # of those, in the final localisation, so that there is something to rank
_CORE_WIDEN: Final = 1.3
_CORE_RADIUS: Final = 2.1  # widths: somewhat less than the 90 % region
_SOUTH, _NORTH = -30.0, 80.0  # footprint [deg]
_PLANE_SCALE: Final = 18.0  # deg
_POLE: Final = (192.85948, 27.12825)  # north Galactic pole, ICRS [deg] (Hipparcos, ESA 1997)
_WRONG_Z: Final = 0.018  # from here on a host is beyond 3 sigma of the map's distance


def _latitude(ra: float, dec: float) -> float:
    lat, pole = math.radians(dec), math.radians(_POLE[1])
    turn = math.radians(ra - _POLE[0])
    sine = math.sin(lat) * math.sin(pole) + math.cos(lat) * math.cos(pole) * math.cos(turn)
    return math.degrees(math.asin(sine))


def offset(ra: float, dec: float, arcsec: float, rng: Random) -> tuple[float, float]:
    """Move a position by an angle [arcsec] in a random direction."""
    angle = rng.uniform(0.0, 2.0 * math.pi)
    north, east = arcsec / 3600.0 * math.cos(angle), arcsec / 3600.0 * math.sin(angle)
    return (ra + east / math.cos(math.radians(dec))) % 360.0, dec + north


class Sky:
    """Draws positions and the exposures that fall on them.

    Parameters
    ----------
    region, core
        First and final localisation of the event; a part of all sources lies around them.
    galaxies
        Hosts.
    survey
        When the telescope looks where.
    """

    def __init__(
        self,
        region: Localisation,
        core: Localisation,
        galaxies: Sequence[Galaxy],
        survey: Survey,
    ) -> None:
        self._region, self._core = region, core
        self._survey = survey
        self._distant = [one for one in galaxies if one.z > _WRONG_Z]
        radius = core.radius([one.ra for one in self._distant], [one.dec for one in self._distant])
        pairs = zip(self._distant, radius, strict=True)
        self._distant_in_core = [one for one, away in pairs if away < _CORE_RADIUS]
        self._all = [one for one in galaxies if one is not NGC4993]

    def position(self, rng: Random, *, near: float = _NEAR_SHARE) -> tuple[float, float]:
        """Draw (ra, dec) [deg]: around the region with probability ``near``, else anywhere."""
        if rng.random() < near:
            if rng.random() < _CORE_SHARE:
                return self._core.draw(rng, _CORE_WIDEN)
            return self._region.draw(rng, _NEAR_WIDEN)
        low, high = (math.sin(math.radians(one)) for one in (_SOUTH, _NORTH))
        return rng.uniform(0.0, 360.0), math.degrees(math.asin(rng.uniform(low, high)))

    def stellar(self, rng: Random) -> tuple[float, float]:
        """Draw (ra, dec) [deg], rather near the Galactic plane."""
        while True:
            ra, dec = self.position(rng)
            if rng.random() < 0.25 + math.exp(-abs(_latitude(ra, dec)) / _PLANE_SCALE):
                return ra, dec

    def galaxy(self, rng: Random) -> Galaxy:
        """Draw a galaxy."""
        return rng.choice(self._all)

    def distant_galaxy(self, rng: Random) -> Galaxy:
        """Draw a galaxy that is too far away to be the event's host."""
        core = self._distant_in_core and rng.random() < _CORE_SHARE
        return rng.choice(self._distant_in_core if core else self._distant)

    def exposure(self, rng: Random, ra: float, dec: float, since: float = -1.0) -> Exposure:
        """Draw one exposure of a position after a time [d from the trigger]."""
        return rng.choice(self._survey.after(spot(ra, dec).field, T0_JD + since))

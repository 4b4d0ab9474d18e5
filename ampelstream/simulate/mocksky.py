"""Where simulated sources may be: a mock galaxy catalogue, and positions around the event.

The galaxies have the columns of GLADE+. All rows are made up but one: NGC 4993, the host of
AT2017gfo. Its number, position and B magnitude are those of GLADE+ (Dalya et al. 2022, MNRAS 514,
1403), its heliocentric redshift is that of Hjorth et al. 2017, ApJL 848, L31, its distance that of
Cantiello et al. 2018, ApJL 854, L31.
"""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from ampelstream.simulate.lvkskymap import Localisation
from ampelstream.simulate.survey import T0_JD, Exposure, Survey, spot

__all__ = [
    "NGC4993",
    "Galaxy",
    "Sky",
    "galaxy_table",
    "luminosity_distance",
    "mock_galaxies",
    "offset",
]

_HUBBLE: Final = 67.74  # km/s/Mpc, Planck Collaboration 2016 (astropy's Planck15)
_DECELERATION: Final = -0.539  # 1.5 Om - 1 for the same
_LIGHT: Final = 299792.458
_FIRST_NUMBER: Final = 900_000_001  # beyond the last of GLADE+
_MAX_Z: Final = 0.05
_GROUP_SHARE: Final = 0.01
_WIDEN: Final = 2.5


@dataclass(frozen=True, slots=True)
class Galaxy:
    """A galaxy.

    Attributes
    ----------
    number
        Identifier.
    name
        Its name.
    ra, dec
        Position [deg, ICRS].
    distance_mpc
        Luminosity distance [Mpc].
    b_mag
        Apparent B magnitude.
    z
        Heliocentric redshift.
    """

    number: int
    name: str
    ra: float
    dec: float
    distance_mpc: float
    b_mag: float
    z: float


NGC4993: Final = Galaxy(1151336, "NGC4993", 197.448776, -23.383831, 40.7, 12.87, 0.00978)


def luminosity_distance(z: float) -> float:
    """Luminosity distance [Mpc] to second order in redshift: within 0.1 % below z = 0.05."""
    return _LIGHT * z / _HUBBLE * (1.0 + 0.5 * (1.0 - _DECELERATION) * z)


def mock_galaxies(region: Localisation, seed: int, count: int = 3000) -> list[Galaxy]:
    """Draw galaxies around a region, uniform in space, and a loose group about NGC 4993.

    Parameters
    ----------
    region
        They are drawn from it, widened to 2.5 times its size.
    seed
        Same seed, same galaxies.
    count
        How many, NGC 4993 included.
    """
    rng = Random(f"{seed}/galaxies")  # noqa: S311  (a simulation, no secrets)
    made = [NGC4993]
    for number in range(1, count):
        if rng.random() < _GROUP_SHARE:
            ra, dec = _beside(rng, NGC4993, 1.5)
            z = NGC4993.z + rng.gauss(0.0, 0.0005)
        else:
            ra, dec = region.draw(rng, _WIDEN)
            z = _MAX_Z * max(rng.random(), 1e-3) ** (1 / 3)
        distance = luminosity_distance(z)
        absolute = -20.5 + rng.expovariate(0.7)
        b_mag = absolute + 5.0 * math.log10(distance) + 25.0
        name = f"SIM G{number:05d}"
        made.append(Galaxy(_FIRST_NUMBER + number, name, ra, dec, distance, b_mag, z))
    return made


def _beside(rng: Random, galaxy: Galaxy, degrees: float) -> tuple[float, float]:
    return Localisation(galaxy.ra, galaxy.dec, degrees, degrees).draw(rng)


def galaxy_table(galaxies: Sequence[Galaxy]) -> str:
    """Give the galaxies as CSV with the names of GLADE+'s columns."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(("GLADE+", "GWGC", "RAJ2000", "DEJ2000", "Dist", "Bmag", "z_best"))
    for one in galaxies:
        position = (f"{one.ra:.6f}", f"{one.dec:.6f}")
        far = (f"{one.distance_mpc:.3f}", f"{one.b_mag:.2f}", f"{one.z:.7f}")
        rows.writerow((one.number, one.name, *position, *far))
    return out.getvalue()


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

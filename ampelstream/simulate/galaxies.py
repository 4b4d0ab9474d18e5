"""A mock galaxy catalogue with the columns of GLADE+ around the simulated event.

All rows are made up but one: NGC 4993, the host of AT2017gfo. Its number, position and B magnitude
are those of GLADE+ (Dalya et al. 2022, MNRAS 514, 1403), its heliocentric redshift is that of
Hjorth et al. 2017, ApJL 848, L31, its distance that of Cantiello et al. 2018, ApJL 854, L31.
"""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from ampelstream.simulate.localisation import Localisation

__all__ = ["NGC4993", "Galaxy", "luminosity_distance", "mock_galaxies", "table"]

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


def table(galaxies: Sequence[Galaxy]) -> str:
    """Give the galaxies as CSV with the names of GLADE+'s columns."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(("GLADE+", "GWGC", "RAJ2000", "DEJ2000", "Dist", "Bmag", "z_best"))
    for one in galaxies:
        place = (f"{one.ra:.6f}", f"{one.dec:.6f}")
        far = (f"{one.distance_mpc:.3f}", f"{one.b_mag:.2f}", f"{one.z:.7f}")
        rows.writerow((one.number, one.name, *place, *far))
    return out.getvalue()

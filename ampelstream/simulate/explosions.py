"""Supernovae, old and new."""

import math
from random import Random
from typing import Final

from ampelstream.simulate import looks
from ampelstream.simulate.galaxies import Galaxy
from ampelstream.simulate.sky import Sky, offset
from ampelstream.simulate.source import Flux, Kind, Neighbours, Source, flux_of, photometry
from ampelstream.simulate.survey import T0_JD

__all__ = ["supernova", "young_supernova"]

_HOST_SHARE: Final = 0.5  # of old supernovae whose host is in the galaxy table
_YOUNG_HOST_SHARE: Final = 0.75
_COLOUR: Final = {1: 0.0, 2: 0.05, 3: 0.2}  # magnitudes fainter than in g


def _slow(rng: Random, exploded: float, peak_mag: float) -> Flux:
    """Rise as time squared, an exponential decline: roughly a supernova of type Ia."""
    rise, decline = rng.uniform(14.0, 20.0), rng.uniform(0.03, 0.09)

    def difference(jd: float, fid: int) -> float:
        age = jd - exploded
        if age < 0.0:
            return 0.0
        peak = flux_of(peak_mag + _COLOUR[fid])
        past = math.pow(10.0, -0.4 * decline * max(0.0, age - rise))
        return peak * min(1.0, age / rise) ** 2 * past

    return difference


def _quick(rng: Random, exploded: float, peak_mag: float) -> Flux:
    """A rise within days, then a plateau: roughly a core-collapse supernova."""
    rise = rng.uniform(1.0, 3.0)

    def difference(jd: float, fid: int) -> float:
        age = jd - exploded
        return flux_of(peak_mag + _COLOUR[fid]) * -math.expm1(-age / rise) if age > 0.0 else 0.0

    return difference


def _in_host(rng: Random, host: Galaxy) -> tuple[float, float, Neighbours]:
    """Position in a galaxy and the neighbours there: most hosts are within 10 arcsec."""
    away = rng.uniform(1.7, 9.0)
    ra, dec = offset(host.ra, host.dec, away, rng)
    return ra, dec, looks.near_galaxy(rng, away)


def _apparent(rng: Random, host: Galaxy) -> float:
    return rng.uniform(-18.8, -16.8) + 5.0 * math.log10(host.distance_mpc) + 25.0


def supernova(rng: Random, sky: Sky) -> Source:
    """A supernova that the survey has followed for weeks when the trigger comes."""
    exploded = T0_JD - rng.uniform(9.0, 110.0)
    if rng.random() < _HOST_SHARE:
        host = sky.galaxy(rng)
        ra, dec, neighbours = _in_host(rng, host)
        mag = max(15.0, _apparent(rng, host))
    else:
        ra, dec = sky.position(rng)
        neighbours, mag = looks.near_galaxy(rng, rng.uniform(0.2, 6.0)), rng.uniform(17.0, 19.2)
    return Source(
        kind=Kind.SUPERNOVA,
        ra=ra,
        dec=dec,
        measure=photometry(_slow(rng, exploded, mag)),
        neighbours=neighbours,
        look=looks.clean,
        known_since=exploded + 6.0,
    )


def young_supernova(rng: Random, sky: Sky) -> Source:
    """A supernova that exploded after the trigger, too far away to belong to it."""
    exploded = T0_JD + rng.uniform(0.0, 3.0)
    if rng.random() < _YOUNG_HOST_SHARE:
        host = sky.distant_galaxy(rng)
        ra, dec, neighbours = _in_host(rng, host)
        mag = _apparent(rng, host)
    else:
        ra, dec = sky.position(rng, near=0.8)
        neighbours, mag = looks.near_galaxy(rng, rng.uniform(0.2, 6.0)), rng.uniform(18.0, 19.5)
    return Source(
        kind=Kind.YOUNG_SUPERNOVA,
        ra=ra,
        dec=dec,
        measure=photometry(_quick(rng, exploded, mag)),
        neighbours=neighbours,
        look=looks.clean,
    )

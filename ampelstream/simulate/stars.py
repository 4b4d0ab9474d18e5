"""Variable stars, dwarf novae and active nuclei: the bulk of any night."""

import math
from random import Random
from typing import Final

from ampelstream.simulate import looks
from ampelstream.simulate.sky import Sky, offset
from ampelstream.simulate.source import Flux, Kind, Source, flux_of, photometry
from ampelstream.simulate.survey import T0_JD

__all__ = ["agn", "dwarf_nova", "variable_star"]

_COUNTERPART_SHARE: Final = 0.4  # of dwarf novae whose quiescent star is catalogued
_QUASAR_SHARE: Final = 0.6  # of active nuclei without a galaxy in the catalogue


def variable_star(rng: Random, sky: Sky) -> Source:
    """A periodic star: brighter than its reference half of the time, known for long."""
    ra, dec = sky.stellar(rng)
    mag = rng.uniform(14.5, 19.0)
    flux, swing = flux_of(mag), rng.uniform(0.1, 0.9)
    period, phase = 10.0 ** rng.uniform(-0.5, 2.0), rng.uniform(0.0, 2.0 * math.pi)

    def difference(jd: float, fid: int) -> float:
        wave = math.sin(2.0 * math.pi * (jd - T0_JD) / period + phase)
        return flux * (math.pow(10.0, -0.4 * swing * wave / math.sqrt(fid)) - 1.0)

    return Source(
        kind=Kind.VARIABLE_STAR,
        ra=ra,
        dec=dec,
        measure=photometry(difference),
        neighbours=looks.on_star(rng, mag),
        look=looks.mixed,
        known_since=T0_JD - rng.uniform(101.0, 500.0),
    )


def agn(rng: Random, sky: Sky) -> Source:
    """An active nucleus: slow changes for years."""
    if rng.random() < _QUASAR_SHARE:
        ra, dec = sky.position(rng)
    else:
        galaxy = sky.galaxy(rng)
        ra, dec = offset(galaxy.ra, galaxy.dec, abs(rng.gauss(0.0, 0.3)), rng)
    flux = flux_of(rng.uniform(16.5, 19.0))
    waves = [
        (10.0 ** rng.uniform(1.2, 2.7), rng.uniform(0.0, 2.0 * math.pi), rng.uniform(0.1, 0.3))
        for _ in range(4)
    ]

    def difference(jd: float, _fid: int) -> float:
        return flux * sum(a * math.sin((jd - T0_JD) * 2.0 * math.pi / p + s) for p, s, a in waves)

    return Source(
        kind=Kind.AGN,
        ra=ra,
        dec=dec,
        measure=photometry(difference),
        neighbours=looks.on_galaxy(rng),
        look=looks.mixed,
        known_since=T0_JD - rng.uniform(150.0, 500.0),
    )


def _outburst(rng: Random) -> Flux:
    start, peak = T0_JD + rng.uniform(0.0, 3.5), flux_of(rng.uniform(16.5, 18.8))
    plateau, decline = rng.uniform(1.0, 4.0), rng.uniform(0.4, 1.0)

    def difference(jd: float, _fid: int) -> float:
        age = jd - start
        if age < 0.0:
            return 0.0
        fading = math.pow(10.0, -0.4 * decline * max(0.0, age - plateau))
        return peak * min(1.0, age / 0.4) * fading

    return difference


def dwarf_nova(rng: Random, sky: Sky) -> Source:
    """An outburst that began after the trigger; its star is often too faint to be catalogued."""
    ra, dec = sky.position(rng)
    seen = rng.random() < _COUNTERPART_SHARE
    return Source(
        kind=Kind.DWARF_NOVA,
        ra=ra,
        dec=dec,
        measure=photometry(_outburst(rng)),
        neighbours=looks.on_star(rng, rng.uniform(19.0, 21.0)) if seen else looks.near_star(rng),
        look=looks.clean,
    )

"""What is seen once: asteroids passing by, and what is not in the sky at all."""

from random import Random
from typing import Final

from ampelstream.simulate import looks
from ampelstream.simulate.sky import Sky
from ampelstream.simulate.source import Kind, Measure, Measurement, Source, flux_of, photometry
from ampelstream.simulate.survey import T0_JD, Exposure

__all__ = ["artefact", "asteroid"]

_UNKNOWN_SHARE: Final = 0.1  # of asteroids that no catalogue predicts
_NEGATIVE_SHARE: Final = 0.4
_STAR_SHARE: Final = 0.5


def _once(exposure: Exposure, mag: float, *, positive: bool) -> Measure:
    flux = flux_of(mag) * (1.0 if positive else -1.0)
    seen = photometry(lambda _jd, _fid: flux)

    def measure(other: Exposure, rng: Random) -> Measurement | None:
        return seen(other, rng) if other == exposure else None

    return measure


def asteroid(rng: Random, sky: Sky) -> Source:
    """A moving object: one detection at its place, mostly with a known one beside it."""
    ra, dec = sky.position(rng)
    exposure = sky.exposure(rng, ra, dec)
    mag = rng.uniform(16.5, exposure.limmag - 0.5)
    known = None
    if rng.random() >= _UNKNOWN_SHARE:
        name = str(rng.randrange(1_000, 400_000))
        known = (abs(rng.gauss(0.0, 1.5)), mag + rng.gauss(0.3, 0.2), name)
    return Source(
        kind=Kind.ASTEROID,
        ra=ra,
        dec=dec,
        measure=_once(exposure, mag, positive=True),
        neighbours=looks.near_star(rng),
        look=looks.mixed,
        solar=known,
    )


def artefact(rng: Random, sky: Sky) -> Source:
    """A bad subtraction; every second one at a star, and then not for the first time."""
    ra, dec = sky.stellar(rng)
    exposure = sky.exposure(rng, ra, dec)
    mag = rng.uniform(15.5, exposure.limmag - 0.3)
    star = rng.random() < _STAR_SHARE
    return Source(
        kind=Kind.ARTEFACT,
        ra=ra,
        dec=dec,
        measure=_once(exposure, mag, positive=rng.random() >= _NEGATIVE_SHARE),
        neighbours=looks.on_star(rng, rng.uniform(12.0, 18.0)) if star else looks.near_star(rng),
        look=looks.bogus,
        known_since=T0_JD - rng.uniform(10.0, 500.0) if star else None,
    )

"""How detections look, and what lies around them.

The ranges are such as the public alerts have; the cuts that they fall on either side of are those
of AMPEL's DecentFilter in its gravitational-wave configuration.
"""

from random import Random

from ampelstream.simulate.source import Look, Neighbours

__all__ = ["bogus", "clean", "mixed", "near_galaxy", "near_star", "on_galaxy", "on_star"]


def clean(rng: Random) -> Look:
    """A good subtraction of an isolated point source: the deep-learning score is above .995."""
    return Look(
        rb=rng.uniform(0.55, 0.97),
        drb=rng.uniform(0.9965, 0.99999),
        fwhm=rng.uniform(1.6, 3.6),
        elong=rng.uniform(1.0, 1.5),
        nbad=0,
        magdiff=rng.gauss(0.0, 0.12),
    )


def mixed(rng: Random) -> Look:
    """A real source on top of a bright one: good on most nights."""
    return Look(
        rb=rng.uniform(0.3, 0.95),
        drb=1.0 - rng.random() ** 4,
        fwhm=rng.uniform(1.4, 4.5),
        elong=rng.uniform(1.0, 1.9),
        nbad=rng.choice((0, 0, 0, 0, 1)),
        magdiff=rng.gauss(0.1, 0.25),
    )


def bogus(rng: Random) -> Look:
    """A bad subtraction, a ghost, a bad column: nothing in the sky."""
    return Look(
        rb=rng.uniform(0.01, 0.6),
        drb=rng.betavariate(0.5, 3.0) * 0.99,
        fwhm=rng.uniform(0.8, 9.0),
        elong=rng.uniform(1.0, 4.0),
        nbad=rng.choice((0, 1, 2, 3, 4, 6)),
        magdiff=rng.gauss(0.0, 0.9),
    )


def _around(rng: Random, score: float, distance: float, mag: float) -> Neighbours:
    second = max(distance + 1.0, rng.uniform(4.0, 18.0))
    return Neighbours(
        scores=(score, round(rng.random(), 3), round(rng.random(), 3)),
        distances=(distance, second, second + rng.uniform(0.5, 10.0)),
        mag=mag,
    )


def on_star(rng: Random, mag: float) -> Neighbours:
    """A star of that magnitude at the position."""
    return _around(rng, rng.uniform(0.9, 1.0), abs(rng.gauss(0.0, 0.15)), mag)


def on_galaxy(rng: Random) -> Neighbours:
    """A galaxy's nucleus at the position."""
    return _around(rng, rng.uniform(0.0, 0.4), abs(rng.gauss(0.0, 0.2)), rng.uniform(15.0, 20.0))


def near_star(rng: Random) -> Neighbours:
    """An unrelated star some arcseconds away."""
    return _around(rng, rng.uniform(0.7, 1.0), rng.uniform(2.5, 15.0), rng.uniform(15.0, 21.0))


def near_galaxy(rng: Random, distance: float) -> Neighbours:
    """A host galaxy at that distance [arcsec]."""
    return _around(rng, rng.uniform(0.0, 0.2), distance, rng.uniform(13.0, 18.0))

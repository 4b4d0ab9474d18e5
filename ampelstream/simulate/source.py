"""What a simulated source is before any telescope looks at it, and how its detections look.

The looks and neighbours are drawn from ranges such as the public alerts have; the cuts that they
fall on either side of are those of AMPEL's DecentFilter in its gravitational-wave configuration.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final

from ampelstream.simulate.survey import Exposure

__all__ = [
    "Flux",
    "Kind",
    "Look",
    "Measure",
    "Measurement",
    "Neighbours",
    "Source",
    "bogus_look",
    "clean_look",
    "flux_of",
    "mixed_look",
    "near_galaxy",
    "near_star",
    "on_galaxy",
    "on_star",
    "photometry",
]

ZERO_POINT: Final = 25.0
_SYSTEMATIC: Final = 0.02  # relative error of a flux that no exposure beats
_DETECTION: Final = 5.0  # sigma
_MAG_PER_RELATIVE: Final = 2.5 / math.log(10.0)


class Kind(StrEnum):
    """Classes of the truth table."""

    KILONOVA = "kilonova"
    VARIABLE_STAR = "variable_star"
    AGN = "agn"
    SUPERNOVA = "supernova"
    """First seen before the trigger."""
    YOUNG_SUPERNOVA = "young_supernova"
    """First seen after the trigger, in a galaxy at the wrong distance."""
    DWARF_NOVA = "dwarf_nova"
    """An outburst after the trigger."""
    ASTEROID = "asteroid"
    ARTEFACT = "artefact"


@dataclass(frozen=True, slots=True)
class Look:
    """How clean a detection looks.

    Attributes
    ----------
    rb, drb
        Real-bogus scores, 0 to 1.
    fwhm
        Width [pixel].
    elong
        Axis ratio.
    nbad
        Bad pixels in the stamp.
    magdiff
        Aperture minus PSF magnitude [mag].
    """

    rb: float
    drb: float
    fwhm: float
    elong: float
    nbad: int
    magdiff: float


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Catalogued sources around a position, nearest first.

    Attributes
    ----------
    scores
        Star (1) or galaxy (0), three of them.
    distances
        Separations [arcsec], three of them.
    mag
        r magnitude of the nearest [AB mag].
    """

    scores: tuple[float, float, float]
    distances: tuple[float, float, float]
    mag: float


@dataclass(frozen=True, slots=True)
class Measurement:
    """One detection's brightness.

    Attributes
    ----------
    mag, magerr
        Magnitude of the difference and its error [AB mag].
    positive
        Whether the source is brighter than in the reference.
    """

    mag: float
    magerr: float
    positive: bool


Measure = Callable[[Exposure, Random], Measurement | None]
"""Brightness in an exposure; None where nothing is detected."""

Flux = Callable[[float, int], float]
"""Difference flux, zero point 25, at a time [JD] in a filter (``fid``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A source on the sky.

    Attributes
    ----------
    kind
        What it is.
    ra, dec
        Position [deg, ICRS].
    measure
        Its photometry.
    neighbours
        What is catalogued around it.
    look
        Draws the look of a detection.
    known_since
        When the survey first saw it [JD]; None where that is the packet's first detection.
    solar
        Separation [arcsec] from a known solar-system object, its magnitude, its name.
    scatter_arcsec
        Scatter of the measured positions [arcsec].
    """

    kind: Kind
    ra: float
    dec: float
    measure: Measure
    neighbours: Neighbours
    look: Callable[[Random], Look]
    known_since: float | None = None
    solar: tuple[float, float, str] | None = None
    scatter_arcsec: float = 0.08


def flux_of(mag: float) -> float:
    """Flux of a magnitude [AB mag], zero point 25."""
    return math.pow(10.0, 0.4 * (ZERO_POINT - mag))


def photometry(flux: Flux) -> Measure:
    """Photometry of a flux: noise of the exposure's depth, and a detection threshold of 5 sigma."""

    def measure(exposure: Exposure, rng: Random) -> Measurement | None:
        true = flux(exposure.jd, exposure.fid)
        noise = flux_of(exposure.limmag) / _DETECTION
        sigma = math.hypot(noise, _SYSTEMATIC * true)
        seen = true + rng.gauss(0.0, sigma)
        if abs(seen) < _DETECTION * noise:
            return None
        mag = ZERO_POINT - 2.5 * math.log10(abs(seen))
        return Measurement(mag, _MAG_PER_RELATIVE * sigma / abs(seen), positive=seen > 0.0)

    return measure


def clean_look(rng: Random) -> Look:
    """A good subtraction of an isolated point source: the deep-learning score is above .995."""
    return Look(
        rb=rng.uniform(0.55, 0.97),
        drb=rng.uniform(0.9965, 0.99999),
        fwhm=rng.uniform(1.6, 3.6),
        elong=rng.uniform(1.0, 1.5),
        nbad=0,
        magdiff=rng.gauss(0.0, 0.12),
    )


def mixed_look(rng: Random) -> Look:
    """A real source on top of a bright one: good on most nights."""
    return Look(
        rb=rng.uniform(0.3, 0.95),
        drb=1.0 - rng.random() ** 4,
        fwhm=rng.uniform(1.4, 4.5),
        elong=rng.uniform(1.0, 1.9),
        nbad=rng.choice((0, 0, 0, 0, 1)),
        magdiff=rng.gauss(0.1, 0.25),
    )


def bogus_look(rng: Random) -> Look:
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

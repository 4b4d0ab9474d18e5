"""What a simulated source is, before any telescope looks at it."""

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
    "flux_of",
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

"""What the tables say of a candidate, found among its light curve and unit results."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ampelstream.model.candidate import Candidate
from ampelstream.model.lightcurve import Datapoint
from ampelstream.report.model import ReportMap
from ampelstream.report.quantities import is_number
from ampelstream.units.scores.cosmology import distances

__all__ = ["Facts", "facts_of", "score_of"]

# Where several units say the same thing, the first that says it wins. These are the spellings in
# use: AMPEL's, which the project's own units keep, and ligo.skymap's.
_LEVELS = ("cumprob", "searched_prob", "credible_level")
_REDSHIFTS = ("redshift", "ampel_z", "z")
_DISTANCES = ("distance_mpc", "luminosity_distance_mpc", "dist_mpc")


@dataclass(frozen=True, slots=True)
class Facts:
    """The columns of the candidate tables.

    Attributes
    ----------
    first_days
        First detection minus the trigger [d].
    latest
        Latest detection.
    level
        Credible level of the position in the event's sky map.
    redshift
        As a unit gave it; above 0.
    distance_mpc
        Luminosity distance [Mpc]: as a unit gave it, otherwise that of the redshift (Planck 2015).
    detections
        Number of detections.
    """

    first_days: float | None
    latest: Datapoint | None
    level: float | None
    redshift: float | None
    distance_mpc: float | None
    detections: int


def facts_of(candidate: Candidate, skymap: ReportMap | None) -> Facts:
    """Gather the facts; the credible level falls back on the sky map itself."""
    detections = sorted(
        (p for p in candidate.lightcurve if p.is_detection), key=lambda p: (p.jd, p.id)
    )
    first = None
    if detections and candidate.t0_jd is not None:
        first = detections[0].jd - candidate.t0_jd
    level = _named(candidate, _LEVELS)
    redshift = _positive(candidate, _REDSHIFTS)
    return Facts(
        first_days=first,
        latest=detections[-1] if detections else None,
        level=_level_in(candidate, skymap) if level is None else level,
        redshift=redshift,
        distance_mpc=_positive(candidate, _DISTANCES) or _distance(redshift),
        detections=len(detections),
    )


def score_of(candidate: Candidate, path: str | None) -> float | None:
    """Value at ``path`` ("Unit.key", or deeper) of the results; without a path, the rank."""
    if path is None:
        return candidate.rank
    name, *keys = path.split(".")
    value: Any = candidate.result(name)
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return float(value) if is_number(value) else None


def _level_in(candidate: Candidate, skymap: ReportMap | None) -> float | None:
    if skymap is None or candidate.ra is None or candidate.dec is None:
        return None
    level = float(skymap.credible_levels(np.array([candidate.ra]), np.array([candidate.dec]))[0])
    return level if math.isfinite(level) else None


def _positive(candidate: Candidate, names: tuple[str, ...]) -> float | None:
    """A redshift or distance; units write 0, too, where they have none."""
    value = _named(candidate, names)
    return value if value is not None and value > 0 else None


def _distance(redshift: float | None) -> float | None:
    found = None if redshift is None else distances(redshift)
    return None if found is None else found.luminosity_mpc


def _named(candidate: Candidate, names: tuple[str, ...]) -> float | None:
    for name in names:
        for value in _values(candidate, name):
            if is_number(value):
                return float(value)
    return None


def _values(candidate: Candidate, name: str) -> Iterator[Any]:
    for result in candidate.results:
        if result.body is not None and name in result.body:
            yield result.body[name]

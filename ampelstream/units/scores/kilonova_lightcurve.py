"""Kilonova score: what the light curve alone says."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from ampelstream.model.lightcurve import mean_position
from ampelstream.units.galactic import galactic_latitude
from ampelstream.units.scores.cosmology import distances
from ampelstream.units.scores.kilonova_config import KilonovaRules
from ampelstream.units.scores.kilonova_part import Line, Part, finite

__all__ = ["absolute_magnitude", "light_curve", "peak_magnitude"]

_PART = "light curve"
_TURN = 360.0
Points = Sequence[Mapping[str, Any]]


def _values(points: Points, key: str) -> list[float]:
    found = (finite(point.get(key)) for point in points)
    return [value for value in found if value is not None]


def peak_magnitude(points: Points) -> float | None:
    """Brightest magnitude [mag]; None without any."""
    return min(_values(points, "magpsf"), default=None)


def _note(text: str, reject: str) -> Line:
    return Line(_PART, 0, text, "lc", reject)


def light_curve(rules: KilonovaRules, points: Points) -> Part:
    """Doubts about the light curve; in AMPEL they give no points, they are only noted."""
    if not points:
        return [_note("there is no detection", "no_pps")]
    lines = []
    if len(points) < rules.min_ndet:
        text = f"{len(points)} detections, fewer than {rules.min_ndet}"
        lines.append(_note(text, "too_few_pps"))
    return [
        *lines,
        *_age(rules, points),
        *_peak(rules, points),
        *_latitude(rules, points),
        *_real(points, "rb", rules.rb_minmed),
        *_real(points, "drb", rules.drb_minmed),
    ]


def _age(rules: KilonovaRules, points: Points) -> Part:
    jds = _values(points, "jd")
    age = max(jds) - min(jds) if jds else 0.0
    if rules.min_age <= age <= rules.max_age:
        return []
    text = (
        f"{age:.3g} d from the first detection to the last, not {rules.min_age:g} to "
        f"{rules.max_age:g} d"
    )
    return [_note(text, "age")]


def _peak(rules: KilonovaRules, points: Points) -> Part:
    peak = peak_magnitude(points)
    if peak is not None and rules.min_peak_mag <= peak <= rules.max_peak_mag:
        return []
    said = "unknown" if peak is None else f"{peak:.2f} mag"
    text = f"peak at {said}, not {rules.min_peak_mag:g} to {rules.max_peak_mag:g} mag"
    return [_note(text, "peak_mag")]


def _latitude(rules: KilonovaRules, points: Points) -> Part:
    """Galactic latitude of the mean position.

    AMPEL averages right ascensions as numbers, which is wrong across 0/360 deg.
    """
    found = ((finite(point.get("ra")), finite(point.get("dec"))) for point in points)
    places = [
        (ra, dec)
        for ra, dec in found
        if ra is not None and dec is not None and abs(ra) <= _TURN and abs(dec) <= _TURN / 4
    ]
    if not places:
        return []
    if rules.mode == "ampel":
        ra = statistics.fmean(place[0] for place in places)
        dec = statistics.fmean(place[1] for place in places)
    else:
        ra, dec = mean_position(places)
    latitude = galactic_latitude(ra, dec)
    if abs(latitude) >= rules.min_gal_lat:
        return []
    text = f"{latitude:.1f} deg from the Galactic plane, less than {rules.min_gal_lat:g} deg"
    return [_note(text, "min_gal_lat")]


def _real(points: Points, key: str, least: float) -> Part:
    values = _values(points, key)
    if not values:
        return [_note(f"no detection has a real-bogus score ({key})", f"no_{key}_info")]
    median = statistics.median(values)
    if median >= least:
        return []
    text = f"median real-bogus score ({key}) {median:.3g}, below {least:g}"
    return [_note(text, f"{key}_minmed")]


def absolute_magnitude(rules: KilonovaRules, points: Points, z: float | None) -> Line:
    """One point for an absolute magnitude between the limits, not corrected for extinction.

    AMPEL takes 1 - modulus instead of peak - modulus, so that the point is never given at a
    redshift of another galaxy; mode ``ampel`` repeats that.
    """
    part = "absolute magnitude"
    scale = None if z is None else distances(z)
    peak = peak_magnitude(points)
    if scale is None or peak is None:
        text = "no redshift or no magnitude to compute an absolute magnitude from"
        return Line(part, 0, text, "lc", "no_absmag_calculated")
    ampel = rules.mode == "ampel"
    value = (1.0 if ampel else peak) - scale.modulus
    passed = rules.min_absmag < value < rules.max_absmag
    which = "is" if passed else "is not"
    text = f"{value:.2f} mag {which} between {rules.min_absmag:g} and {rules.max_absmag:g} mag: "
    text += (
        f"AMPEL takes 1 - {scale.modulus:.2f} mag, its mistake for peak magnitude - modulus"
        if ampel
        else f"peak {peak:.2f} mag, distance modulus {scale.modulus:.2f} mag"
    )
    return Line(part, int(passed), text, "lc", None if passed else "absmag_from_lc")

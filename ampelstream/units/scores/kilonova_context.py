"""Kilonova score: host redshift, sky map, bursts, catalogues and the rise or fall."""

from collections.abc import Mapping
from typing import Any

from ampelstream.units.scores.cosmology import distances
from ampelstream.units.scores.kilonova_config import KilonovaRules
from ampelstream.units.scores.kilonova_part import Line, Part, finite, mapping

__all__ = ["bursts", "catalogs", "known_redshift", "redshift", "rise_decline", "skymap"]

_LEVEL_INNER, _LEVEL_OUTER = 0.68, 0.95
"""One and two sigma: +3 and +1."""
_BURST_SIGMA = 3.0
_AGREE = {"reward": 5, "punish": 0, "pass": 1}
_DISAGREE = {"reward": 0, "punish": -20, "pass": 0}
_ARCSEC_PER_ARCMIN = 60.0

Body = Mapping[str, Any]


def known_redshift(body: Body) -> float | None:
    """Redshift of the result; None where there is none, or 0, which AMPEL takes for none."""
    return finite(body.get("ampel_z")) or None


def _test(part: str, *, passed: bool, text: str, reject: str) -> Line:
    """One point in the redshift column, or a reject."""
    return Line(part, int(passed), text, "z", None if passed else reject)


def redshift(rules: KilonovaRules, body: Body) -> Part:
    """Points for the redshift, and for the host's distance on the sky [arcsec] and in kpc."""
    z = known_redshift(body)
    if z is None:
        return [Line("redshift", 0, "no catalogue gives a redshift", "z", "no_ampelz_match")]
    low, high = rules.min_redshift, rules.max_redshift
    inside = low < z < high
    text = f"redshift {z:.4g} is {'' if inside else 'not '}between {low:g} and {high:g}"
    return [
        _test("redshift", passed=inside, text=text, reject="redshift"),
        *_host(rules, z, finite(body.get("ampel_dist"))),
    ]


def _host(rules: KilonovaRules, z: float, offset: float | None) -> Part:
    """Points for the host's distance from the object."""
    part = "host offset"
    if offset is None:
        text = "the distance to the host on the sky is not known"
        return [Line(part, 0, text, "z", "ampel_dist"), Line(part, 0, text, "z", "dst_kpc_zmatch")]
    near, far = rules.min_dist, rules.max_dist
    inside = near < offset < far
    which = "is" if inside else "is not"
    text = f"the host's {offset:.3g} arcsec {which} between {near:g} and {far:g} arcsec"
    lines = [_test(part, passed=inside, text=text, reject="ampel_dist")]
    scale = distances(z)
    if scale is None:
        text = f"redshift {z:.4g} gives no distance in kpc"
        return [*lines, Line(part, 0, text, "z", "dst_kpc_zmatch")]
    kpc = offset / _ARCSEC_PER_ARCMIN * scale.kpc_per_arcmin
    inside = kpc < rules.max_kpc_dist
    which = "is" if inside else "is not"
    text = f"the host's {kpc:.3g} kpc at that redshift {which} below {rules.max_kpc_dist:g} kpc"
    return [*lines, _test(part, passed=inside, text=text, reject="dst_kpc_zmatch")]


def skymap(rules: KilonovaRules, body: Body, z: float | None) -> Part:
    """Points for agreement in distance, where a redshift came before, and for the position."""
    distance = [] if z is None else _distance(rules, body, z)
    return [*distance, *_probability(body)]


def _distance(rules: KilonovaRules, body: Body, z: float) -> Part:
    mean, spread = finite(body.get("map_dist")), finite(body.get("map_dist_unc"))
    part = "distance"
    if mean is None or spread is None or spread <= 0:
        return [Line(part, 0, "the sky map gives no distance to compare with", "dist")]
    scale = distances(z)
    if scale is None:
        return [Line(part, 0, f"redshift {z:.4g} gives no distance", "dist")]
    sigma = abs(scale.luminosity_mpc - mean) / spread
    agrees = sigma <= rules.max_dist_sigma
    text = (
        f"the redshift's {scale.luminosity_mpc:.4g} Mpc and the map's {mean:.4g} +/- {spread:.3g} "
        f"Mpc are {sigma:.2g} sigma apart ({'within' if agrees else 'beyond'} "
        f"{rules.max_dist_sigma:g}; mode {rules.distance_mode})"
    )
    points = (_AGREE if agrees else _DISAGREE)[rules.distance_mode]
    return [Line(part, points, text, "dist", None if agrees else "distance_mismatch")]


def _probability(body: Body) -> Part:
    level = finite(body.get("cumprob"))
    if level is None:
        return [Line("position", 0, "the credible level of the position is not known")]
    if level == 0.0:
        return [
            Line("position", 0, "a credible level of exactly 0 counts as not known, as in AMPEL")
        ]
    points = 3 if level <= _LEVEL_INNER else 1 if level <= _LEVEL_OUTER else 0
    where = {3: "up to 68 %", 1: "up to 95 %", 0: "beyond 95 %"}[points]
    text = f"the position is at credible level {100 * level:.3g} % ({where})"
    return [Line("position", points, text, reject=("prob", points))]


def bursts(body: Body) -> Part:
    """Points for each gamma-ray burst whose position agrees within three of its errors [deg]."""
    listed = body.get("temporal_grb")
    lines = []
    for burst in listed if isinstance(listed, list | tuple) else ():
        apart, error = (finite(mapping(burst).get(key)) for key in ("separation", "err"))
        if apart is not None and error is not None and apart <= _BURST_SIGMA * error:
            text = f"a gamma-ray burst {apart:.3g} deg away, with an error of {error:.3g} deg"
            lines.append(Line("burst", 1, text))
    text = "no gamma-ray burst agrees in time and within 3 of its position errors"
    return lines or [Line("burst", 0, text, reject="no_grb_match")]


def rise_decline(body: Body) -> Part:
    """One point for falling, one for having peaked."""
    falls, peaked = body.get("bool_fall") is True, body.get("bool_peaked") is True
    fall = f"the flux {'falls' if falls else 'does not fall'} significantly"
    peak = f"the flux {'rose and fell' if peaked else 'did not both rise and fall significantly'}"
    return [
        Line("light curve", int(falls), fall, "lc"),
        Line("light curve", int(peaked), peak, "lc"),
    ]


def catalogs(body: Body) -> Part:
    """No points; each catalogue that has the object is noted."""
    return [
        Line("catalogues", 0, f"matched in {name}", "cat", name)
        for name, match in body.items()
        if match
    ]

"""KilonovaScore: how much like the kilonova of this trigger an object looks.

The rules are those of AMPEL's T2KilonovaEval: an integer sum of points, and a list of rejects,
notes of what speaks against the object. From top to bottom: `KilonovaRules`, the numbers that a
topology may change; the numbers that AMPEL has fixed; one function for each kind of result that is
read, which gives a `Line` of explanation for all points given and not given; `score`, which adds
the lines up; and the unit around it. `score` is a pure function of plain data, so that AMPEL's own
cases can be run through it (`ampelstream.units.scores.kilonova_cases`).
"""

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import msgspec
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ampelstream.errors import ConfigError
from ampelstream.model.display import counted
from ampelstream.model.position import mean_position
from ampelstream.units import Inputs, ObjectUnit
from ampelstream.units.cosmology import distances
from ampelstream.units.galactic import galactic_latitude

__all__ = ["KilonovaRules", "KilonovaScore", "ScoreResult", "Why", "score"]


class KilonovaRules(BaseModel):
    """What gives a point and what is noted as a reject."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Literal["corrected", "ampel"] = Field(
        default="corrected",
        description="ampel repeats AMPEL's score with its mistakes; corrected avoids them and says "
        "in the result what that changed.",
    )
    distance_mode: Literal["reward", "punish", "pass"] = Field(
        default="reward",
        description="Points when redshift and sky map agree in distance / disagree: reward +5 / "
        "0, punish 0 / -20, pass +1 / 0.",
    )
    min_redshift: float = Field(default=0.001, description="A point above this redshift ...")
    max_redshift: float = Field(default=0.05, description="... and below this one.")
    min_dist: float = Field(
        default=1.5, description="A point for a host further away than this [arcsec] ..."
    )
    max_dist: float = Field(default=50.0, description="... and closer than this [arcsec].")
    max_kpc_dist: float = Field(
        default=999.0, description="A point for a host closer than this [kpc, proper]."
    )
    max_dist_sigma: float = Field(
        default=3.0,
        description="Distances agree within this many standard deviations of the map's.",
    )
    min_ndet: int = Field(default=1, description="Fewer detections are noted: too_few_pps.")
    min_age: float = Field(
        default=0.01,
        description="First to last detection [d]; shorter is noted: age. One detection has age 0.",
    )
    max_age: float = Field(
        default=10.0, description="First to last detection [d]; longer is noted: age."
    )
    min_peak_mag: float = Field(
        default=16.0, description="Brighter at peak [mag] is noted: peak_mag."
    )
    max_peak_mag: float = Field(
        default=22.0, description="Fainter at peak [mag] is noted: peak_mag."
    )
    min_gal_lat: float = Field(
        default=14.0,
        description="Closer to the Galactic plane [deg] is noted: min_gal_lat.",
    )
    rb_minmed: float = Field(
        default=0.3, description="A median real-bogus score below this is noted: rb_minmed."
    )
    drb_minmed: float = Field(
        default=0.995,
        description="A median deep-learning real-bogus score below this is noted: drb_minmed.",
    )
    min_absmag: float = Field(
        default=-20.0, description="A point for a peak fainter than this absolute magnitude ..."
    )
    max_absmag: float = Field(default=-12.0, description="... and brighter than this one.")

    @model_validator(mode="after")
    def _ranges(self) -> Self:
        """Refuse ranges that nothing can be in."""
        for low, high in (
            ("min_redshift", "max_redshift"),
            ("min_dist", "max_dist"),
            ("min_age", "max_age"),
            ("min_peak_mag", "max_peak_mag"),
            ("min_absmag", "max_absmag"),
        ):
            if not getattr(self, low) < getattr(self, high):
                raise ConfigError(f"{low} must be below {high}")
        return self


# The numbers that AMPEL has fixed. Of a table of points, the first row that applies counts.

_LEVEL_POINTS = ((0.68, 3, "up to 68 %"), (0.95, 1, "up to 95 %"), (math.inf, 0, "beyond 95 %"))
"""(credible level of the position up to, points, words): one and two sigma."""

_DISTANCE_POINTS = {"reward": (5, 0), "punish": (0, -20), "pass": (1, 0)}
"""Points where redshift and sky map agree in distance, and where they do not, by mode."""

_BURST_SIGMA = 3.0
"""A burst counts within so many of its position errors."""

_BEST_CHI2 = 0.75
_CHI2_POINTS = ((7.5, 3), (22.0, 2), (40.0, 1))
"""(reduced chi2 of the model fit up to, points); below the best there are none."""

_NO_CHI2 = -99.0
"""Reduced chi2 of a fit without degrees of freedom."""

_OBSERVED = (19.0, 21.0)
"""The model's observed peak in B that gives a point, exclusive [mag]."""

_TYPICAL_ABSMAG = -15.5
_ABSMAG_POINTS = ((0.5, 5), (2.0, 2), (4.0, 1))
"""(distance of the model's absolute B magnitude from the typical one below [mag], points)."""

_GOLD = 0.9
"""``kilonovaness_dec`` above which a candidate is gold."""

_CORRECTIONS = {
    "absolute magnitude": "absolute magnitude is peak magnitude minus distance modulus [mag]; "
    "AMPEL takes 1 minus the modulus and so never gives this point",
    "light curve": "Galactic latitude is that of the mean direction; AMPEL averages right "
    "ascensions as numbers, which is wrong across 0/360 deg",
}
"""What mode ``corrected`` does otherwise, by part."""

_ARCSEC_PER_ARCMIN = 60.0
_TURN_DEG = 360.0

Body = Mapping[str, Any]
Points = Sequence[Mapping[str, Any]]
Reject = str | tuple[str, int]
"""A label, or ``("prob", points)``."""
Column = Literal["z", "lc", "possis", "cat", "dist", ""]
"""Sub-score that points are also counted in; probability and bursts count in none."""


@dataclass(frozen=True, slots=True)
class Line:
    """One reason for points given or not given.

    Attributes
    ----------
    part
        What was looked at, in a word or two.
    points
        Points given; below 0 taken.
    text
        Why, in plain language with units of measure.
    column
        Sub-score that they count in.
    reject
        Label noted with it, where there is one.
    """

    part: str
    points: int
    text: str
    column: Column = ""
    reject: Reject | None = None


# Results of other units come from topologies and from files: nothing is assumed of their types.


def _finite(value: Any) -> float | None:
    """Give a finite number as a float; None for anything else, booleans included."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _mapping(value: Any) -> Body:
    """Give a mapping as it is; an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def _is(passed: bool) -> str:  # noqa: FBT001  (a word of a sentence)
    return "is" if passed else "is not"


def _known_redshift(body: Body) -> float | None:
    """Redshift of the result; None where there is none, or 0, which AMPEL takes for none."""
    return _finite(body.get("ampel_z")) or None


def redshift(rules: KilonovaRules, body: Body) -> Iterator[Line]:
    """Points for the redshift, and for the host's distance on the sky [arcsec] and in kpc."""

    def test(part: str, text: str, reject: str, *, passed: bool) -> Line:
        return Line(part, int(passed), text, "z", None if passed else reject)

    z, offset, part = _known_redshift(body), _finite(body.get("ampel_dist")), "host offset"
    if z is None:
        yield Line("redshift", 0, "no catalogue gives a redshift", "z", "no_ampelz_match")
        return
    low, high = rules.min_redshift, rules.max_redshift
    inside = low < z < high
    text = f"redshift {z:.4g} {_is(inside)} between {low:g} and {high:g}"
    yield test("redshift", text, "redshift", passed=inside)
    if offset is None:
        text = "the distance to the host on the sky is not known"
        yield test(part, text, "ampel_dist", passed=False)
        yield test(part, text, "dst_kpc_zmatch", passed=False)
        return
    low, high = rules.min_dist, rules.max_dist
    inside = low < offset < high
    text = f"the host's {offset:.3g} arcsec {_is(inside)} between {low:g} and {high:g} arcsec"
    yield test(part, text, "ampel_dist", passed=inside)
    scale = distances(z)
    if scale is None:
        text = f"redshift {z:.4g} gives no distance in kpc"
        yield test(part, text, "dst_kpc_zmatch", passed=False)
        return
    kpc = offset / _ARCSEC_PER_ARCMIN * scale.kpc_per_arcmin
    inside, most = kpc < rules.max_kpc_dist, rules.max_kpc_dist
    text = f"the host's {kpc:.3g} kpc at that redshift {_is(inside)} below {most:g} kpc"
    yield test(part, text, "dst_kpc_zmatch", passed=inside)


def skymap(rules: KilonovaRules, body: Body, z: float | None) -> Iterator[Line]:
    """Points for agreement in distance, where a redshift came before, and for the position."""
    if z is not None:
        yield _distance(rules, body, z)
    level = _finite(body.get("cumprob"))
    if level is None:
        yield Line("position", 0, "the credible level of the position is not known")
    elif level == 0.0:
        text = "a credible level of exactly 0 counts as not known, as in AMPEL"
        yield Line("position", 0, text)
    else:
        points, words = next((p, words) for most, p, words in _LEVEL_POINTS if level <= most)
        text = f"the position is at credible level {100 * level:.3g} % ({words})"
        yield Line("position", points, text, reject=("prob", points))


def _distance(rules: KilonovaRules, body: Body, z: float) -> Line:
    mean, spread = _finite(body.get("map_dist")), _finite(body.get("map_dist_unc"))
    if mean is None or spread is None or spread <= 0:
        return Line("distance", 0, "the sky map gives no distance to compare with", "dist")
    scale = distances(z)
    if scale is None:
        return Line("distance", 0, f"redshift {z:.4g} gives no distance", "dist")
    sigma = abs(scale.luminosity_mpc - mean) / spread
    agrees = sigma <= rules.max_dist_sigma
    text = (
        f"the redshift's {scale.luminosity_mpc:.4g} Mpc and the map's {mean:.4g} +/- {spread:.3g} "
        f"Mpc are {sigma:.2g} sigma apart ({'within' if agrees else 'beyond'} "
        f"{rules.max_dist_sigma:g}; mode {rules.distance_mode})"
    )
    agreeing, differing = _DISTANCE_POINTS[rules.distance_mode]
    if agrees:
        return Line("distance", agreeing, text, "dist")
    return Line("distance", differing, text, "dist", "distance_mismatch")


def bursts(body: Body) -> Iterator[Line]:
    """Points for each gamma-ray burst whose position agrees within three of its errors [deg]."""
    listed, found = body.get("temporal_grb"), False
    for burst in listed if isinstance(listed, list | tuple) else ():
        apart, error = (_finite(_mapping(burst).get(key)) for key in ("separation", "err"))
        if apart is not None and error is not None and apart <= _BURST_SIGMA * error:
            found = True
            text = f"a gamma-ray burst {apart:.3g} deg away, with an error of {error:.3g} deg"
            yield Line("burst", 1, text)
    if not found:
        text = "no gamma-ray burst agrees in time and within 3 of its position errors"
        yield Line("burst", 0, text, reject="no_grb_match")


def rise_decline(body: Body) -> Iterator[Line]:
    """One point for falling, one for having peaked."""
    falls, peaked = body.get("bool_fall") is True, body.get("bool_peaked") is True
    text = f"the flux {'falls' if falls else 'does not fall'} significantly"
    yield Line("light curve", int(falls), text, "lc")
    text = f"the flux {'rose and fell' if peaked else 'did not both rise and fall significantly'}"
    yield Line("light curve", int(peaked), text, "lc")


def catalogs(body: Body) -> Iterator[Line]:
    """No points; each catalogue that has the object is noted."""
    for name, match in body.items():
        if match:
            yield Line("catalogues", 0, f"matched in {name}", "cat", name)


@dataclass(frozen=True, slots=True)
class _Fit:
    """A successful fit of a kilonova model; peak magnitudes in B, absolute and observed [mag]."""

    name: str
    chi2: float
    has_freedom: bool
    absolute: float | None
    observed: float | None


def _fits(body: Body) -> Iterator[_Fit]:
    """Successful fits at a redshift, in the order of the result."""
    for key, value in body.items():
        model = _mapping(value)
        outcome, metrics = _mapping(model.get("sncosmo_result")), _mapping(model.get("fit_metrics"))
        chisq, ndof = _finite(outcome.get("chisq")), _finite(outcome.get("ndof"))
        if _finite(model.get("z")) is None or not outcome.get("success"):
            continue
        if chisq is not None and ndof is not None:
            yield _Fit(
                name=str(model.get("model_name") or key),
                chi2=chisq / ndof if ndof > 0 else _NO_CHI2,
                has_freedom=ndof > 0,
                absolute=_finite(metrics.get("restpeak_model_absmag_B")),
                observed=_finite(metrics.get("obspeak_model_B")),
            )


def possis(body: Body) -> Iterator[Line]:
    """Points for the model whose reduced chi2 is closest to 1.

    Parameters
    ----------
    body
        Fits by name, each with ``model_name``, ``z``, ``sncosmo_result`` (success, chisq, ndof) and
        ``fit_metrics`` (restpeak_model_absmag_B, obspeak_model_B) [mag].
    """
    part, bright = "model fit", "model brightness"
    fit = min(_fits(body), key=lambda one: abs(one.chi2 - 1), default=None)
    if fit is None:
        text = "no kilonova model could be fitted at a redshift"
        yield Line(part, 0, text, "possis", "no_possis_fits")
        return
    if not fit.has_freedom:
        text = f"{fit.name} has as many parameters as there are points: the fit says nothing"
        yield Line(part, 0, text, "possis", "possis_ndof")
        return
    points = 0
    if fit.chi2 >= _BEST_CHI2:
        points = next((given for most, given in _CHI2_POINTS if fit.chi2 <= most), 0)
    yield Line(part, points, f"{fit.name} fits with chi2/ndof {fit.chi2:.3g}", "possis")

    (low, high), seen = _OBSERVED, fit.observed
    words = "is not known" if seen is None else f"{seen:.2f} mag"
    text = f"the model's observed peak in B: {words} ({low:g} to {high:g} mag give a point)"
    passed = seen is not None and low < seen < high
    yield Line(bright, int(passed), text, "possis", None if passed else "obsmag")

    if fit.absolute is None:
        text = "the model's absolute B magnitude is not known"
        yield Line(bright, 0, text, "possis", "absmag")
        return
    apart = abs(fit.absolute - _TYPICAL_ABSMAG)
    points = next((given for most, given in _ABSMAG_POINTS if apart < most), 0)
    text = (
        f"the model's absolute peak in B: {fit.absolute:.2f} mag, {apart:.2f} mag from a typical "
        f"kilonova's {_TYPICAL_ABSMAG} mag"
    )
    yield Line(bright, points, text, "possis", None if points else "absmag")


def _values(points: Points, key: str) -> list[float]:
    found = (_finite(point.get(key)) for point in points)
    return [value for value in found if value is not None]


def light_curve(
    rules: KilonovaRules, points: Points, place: tuple[float, float] | None = None
) -> Iterator[Line]:
    """Doubts about the light curve; in AMPEL they give no points, they are only noted."""

    def doubt(reject: str, text: str) -> Line:
        return Line("light curve", 0, text, "lc", reject)

    if not points:
        yield doubt("no_pps", "there is no detection")
        return
    if len(points) < rules.min_ndet:
        text = f"{counted(len(points), 'detection')}, fewer than {rules.min_ndet}"
        yield doubt("too_few_pps", text)
    jds = _values(points, "jd")
    low, high, age = rules.min_age, rules.max_age, max(jds) - min(jds) if jds else 0.0
    if not low <= age <= high:
        text = f"{age:.3g} d from the first detection to the last, not {low:g} to {high:g} d"
        yield doubt("age", text)
    low, high = rules.min_peak_mag, rules.max_peak_mag
    peak = min(_values(points, "magpsf"), default=None)
    if peak is None or not low <= peak <= high:
        words = "unknown" if peak is None else f"{peak:.2f} mag"
        yield doubt("peak_mag", f"peak at {words}, not {low:g} to {high:g} mag")
    latitude, least = _latitude(rules, points, place), rules.min_gal_lat
    if latitude is not None and abs(latitude) < least:
        text = f"{latitude:.1f} deg from the Galactic plane, less than {least:g} deg"
        yield doubt("min_gal_lat", text)
    for key, least in (("rb", rules.rb_minmed), ("drb", rules.drb_minmed)):
        values = _values(points, key)
        if not values:
            yield doubt(f"no_{key}_info", f"no detection has a real-bogus score ({key})")
        elif (median := statistics.median(values)) < least:
            text = f"median real-bogus score ({key}) {median:.3g}, below {least:g}"
            yield doubt(f"{key}_minmed", text)


def _latitude(
    rules: KilonovaRules, points: Points, place: tuple[float, float] | None
) -> float | None:
    """Galactic latitude of the object's position, or else of the mean position [deg].

    AMPEL averages right ascensions as numbers, which is wrong across 0/360 deg.
    """
    if place is not None and rules.mode != "ampel":
        return float(galactic_latitude(*place))
    found = ((_finite(point.get("ra")), _finite(point.get("dec"))) for point in points)
    positions = [
        (ra, dec)
        for ra, dec in found
        if ra is not None and dec is not None and abs(ra) <= _TURN_DEG and abs(dec) <= _TURN_DEG / 4
    ]
    if not positions:
        return None
    if rules.mode == "ampel":
        means = (statistics.fmean(axis) for axis in zip(*positions, strict=True))
        return float(galactic_latitude(*means))
    return float(galactic_latitude(*mean_position(positions)))


def absolute_magnitude(rules: KilonovaRules, points: Points, z: float | None) -> Line:
    """One point for an absolute magnitude between the limits, not corrected for extinction.

    AMPEL takes 1 - modulus instead of peak - modulus, so that the point is never given at a
    redshift of another galaxy; mode ``ampel`` repeats that.
    """
    part = "absolute magnitude"
    scale = None if z is None else distances(z)
    peak = min(_values(points, "magpsf"), default=None)
    if scale is None or peak is None:
        text = "no redshift or no magnitude to compute an absolute magnitude from"
        return Line(part, 0, text, "lc", "no_absmag_calculated")
    ampel, low, high = rules.mode == "ampel", rules.min_absmag, rules.max_absmag
    value = (1.0 if ampel else peak) - scale.modulus
    passed = low < value < high
    text = f"{value:.2f} mag {_is(passed)} between {low:g} and {high:g} mag: " + (
        f"AMPEL takes 1 - {scale.modulus:.2f} mag, its mistake for peak magnitude - modulus"
        if ampel
        else f"peak {peak:.2f} mag, distance modulus {scale.modulus:.2f} mag"
    )
    return Line(part, int(passed), text, "lc", None if passed else "absmag_from_lc")


_PARTS: Mapping[str, Callable[[KilonovaRules, Body, float | None], Iterable[Line]]] = {
    "redshift": lambda rules, body, _z: redshift(rules, body),
    "skymap": skymap,
    "possis": lambda _rules, body, _z: possis(body),
    "grb": lambda _rules, body, _z: bursts(body),
    "risedecline": lambda _rules, body, _z: rise_decline(body),
    "catalogs": lambda _rules, body, _z: catalogs(body),
}
"""How each kind of result is read: with its body, and the last redshift that came before it."""


class Why(msgspec.Struct, frozen=True):
    """One line of the explanation; the points of all lines add up to the score.

    Attributes
    ----------
    part
        Which part of the score it is.
    points
        What it adds to the score.
    text
        Why, for people.
    """

    part: str
    points: int
    text: str


class ScoreResult(msgspec.Struct, frozen=True):
    """The score and how it came about.

    Attributes
    ----------
    kilonovaness
        The score: an integer sum; higher is more like a kilonova near the trigger.
    kilonovaness_dec
        0 for a score below 1, else score / (score + number of rejects): 0 to 1.
    z_kilonovaness, lc_kilonovaness, possis_kilonovaness, cat_kilonovaness, dist_kilonovaness
        Points from redshift, light curve, model fit, catalogues and distance. Those for the
        position in the map and for bursts are in the score only.
    is_gold
        Whether ``kilonovaness_dec`` is above 0.9; in mode ``ampel`` None instead of False.
    rejects
        What speaks against it, in the order in which it was noted; ``("prob", points)`` is always
        there when there is a sky map.
    mode
        ``corrected`` or ``ampel``.
    why
        Part by part.
    corrections
        What the mode ``corrected`` changed here; empty where both modes agree.
    score_ampel
        The score in mode ``ampel``.
    redshift
        The redshift that was used.
    """

    kilonovaness: float
    kilonovaness_dec: float
    z_kilonovaness: float
    lc_kilonovaness: float
    possis_kilonovaness: float
    cat_kilonovaness: float
    dist_kilonovaness: float
    is_gold: bool | None
    rejects: tuple[Reject, ...]
    mode: str
    why: tuple[Why, ...]
    corrections: tuple[str, ...]
    score_ampel: float
    redshift: float | None


def score(
    rules: KilonovaRules,
    photopoints: Points,
    results: Iterable[tuple[str, Body]],
    place: tuple[float, float] | None = None,
) -> ScoreResult:
    """Score an object.

    Parameters
    ----------
    rules
        Numbers and mode.
    photopoints
        Detections: jd [d], magpsf [mag], ra, dec [deg], rb, drb; absent or None where not known.
    results
        (kind, body) of other units, in the order in which they are to be read. The kinds are
        ``redshift``, ``skymap``, ``possis``, ``grb``, ``risedecline``, ``catalogs``; others are
        passed over.
    place
        Position of the object (ra, dec) [deg]; by default the mean of the detections. Mode
        ``ampel`` always takes that.
    """
    seen = [(kind, _mapping(body)) for kind, body in results]
    lines, z = _lines(rules, photopoints, seen, place)
    if rules.mode == "ampel":
        return _result(rules, lines, z)
    as_ampel, _ = _lines(rules.model_copy(update={"mode": "ampel"}), photopoints, seen)
    return _result(rules, lines, z, as_ampel)


def _lines(
    rules: KilonovaRules,
    photopoints: Points,
    results: Iterable[tuple[str, Body]],
    place: tuple[float, float] | None = None,
) -> tuple[list[Line], float | None]:
    """All lines, and the redshift: that of the last result that gives one."""
    lines: list[Line] = []
    z: float | None = None
    for kind, body in results:
        if kind in _PARTS:
            lines += _PARTS[kind](rules, body, z)
        if kind == "redshift":
            z = _known_redshift(body) or z
    lines += light_curve(rules, photopoints, place)
    lines.append(absolute_magnitude(rules, photopoints, z))
    return lines, z


def _corrections(lines: list[Line], as_ampel: list[Line]) -> tuple[str, ...]:
    """Name the parts on which the two modes disagree in points or rejects."""

    def outcome(part: str, by: list[Line]) -> list[tuple[int, Reject | None]]:
        return [(line.points, line.reject) for line in by if line.part == part]

    parts = [one for one in _CORRECTIONS if outcome(one, lines) != outcome(one, as_ampel)]
    return tuple(_CORRECTIONS[part] for part in parts)


def _result(
    rules: KilonovaRules, lines: list[Line], z: float | None, as_ampel: list[Line] | None = None
) -> ScoreResult:
    def points(*columns: str) -> float:
        return float(sum(line.points for line in lines if not columns or line.column in columns))

    rejects = tuple(line.reject for line in lines if line.reject is not None)
    total = points()
    fraction = total / (total + len(rejects)) if total >= 1 else 0.0
    gold = fraction > _GOLD
    reference = lines if as_ampel is None else as_ampel
    return ScoreResult(
        kilonovaness=total,
        kilonovaness_dec=fraction,
        z_kilonovaness=points("z"),
        lc_kilonovaness=points("lc"),
        possis_kilonovaness=points("possis"),
        cat_kilonovaness=points("cat"),
        dist_kilonovaness=points("dist"),
        is_gold=gold if gold or rules.mode != "ampel" else None,
        rejects=rejects,
        mode=rules.mode,
        why=tuple(Why(line.part, line.points, line.text) for line in lines),
        corrections=() if as_ampel is None else _corrections(lines, as_ampel),
        score_ampel=float(sum(line.points for line in reference)),
        redshift=z,
    )


class KilonovaScore(KilonovaRules, ObjectUnit):
    """Add points for redshift, distance, position, model fit, bursts and light curve.

    The rules are those of AMPEL's T2KilonovaEval. Mode ``ampel`` gives its score with its mistakes;
    mode ``corrected`` (the default) gives the point for the absolute magnitude and takes the mean
    direction for the Galactic latitude, and says what that changed (``corrections``,
    ``score_ampel``). ``why`` explains the score part by part.

    Detections fainter than the reference image are left out: a kilonova adds light. So is forced
    photometry, as in AMPEL: it has no real-bogus score, and would count exposures twice.
    The results of other units are read in the order of the topology; the distance is compared only
    when the redshift comes before the sky map.
    """

    provides: ClassVar[str] = "score"
    uses: ClassVar[tuple[str, ...]] = tuple(_PARTS)

    def compute(self, inputs: Inputs) -> ScoreResult:
        """Give the score; missing results of other units cost their points, nothing more."""
        points = [
            {"jd": p.jd, "magpsf": p.mag, "ra": p.ra, "dec": p.dec, "rb": p.rb, "drb": p.drb}
            for p in inputs.lightcurve.detections
        ]
        results = [(one.provides, one.body) for one in inputs.dependencies]
        return score(self, points, results, inputs.lightcurve.position)

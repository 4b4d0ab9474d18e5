"""Kilonova score: the sum of its parts, as a pure function."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from ampelstream.units.scores import kilonova_context as context
from ampelstream.units.scores.kilonova_config import KilonovaRules
from ampelstream.units.scores.kilonova_lightcurve import absolute_magnitude, light_curve
from ampelstream.units.scores.kilonova_part import Line, Reject, mapping
from ampelstream.units.scores.kilonova_possis import possis

__all__ = ["ScoreResult", "Why", "score"]

_GOLD = 0.9
_CORRECTIONS = {
    "absolute magnitude": "absolute magnitude is peak magnitude minus distance modulus [mag]; "
    "AMPEL takes 1 minus the modulus and so never gives this point",
    "light curve": "Galactic latitude is that of the mean direction; AMPEL averages right "
    "ascensions as numbers, which is wrong across 0/360 deg",
}


class Why(msgspec.Struct, frozen=True):
    """One line of the explanation; the points of all lines add up to the score."""

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
    photopoints: Sequence[Mapping[str, Any]],
    results: Iterable[tuple[str, Mapping[str, Any]]],
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
    """
    seen = [(kind, mapping(body)) for kind, body in results]
    lines, z = _lines(rules, photopoints, seen)
    if rules.mode == "ampel":
        return _result(rules, lines, z)
    as_ampel, _ = _lines(rules.model_copy(update={"mode": "ampel"}), photopoints, seen)
    return _result(rules, lines, z, as_ampel)


def _lines(
    rules: KilonovaRules,
    photopoints: Sequence[Mapping[str, Any]],
    results: Iterable[tuple[str, Mapping[str, Any]]],
) -> tuple[list[Line], float | None]:
    lines: list[Line] = []
    z: float | None = None
    for kind, body in results:
        if kind == "redshift":
            lines += context.redshift(rules, body)
            z = context.known_redshift(body) or z
        elif kind == "skymap":
            lines += context.skymap(rules, body, z)
        elif kind == "possis":
            lines += possis(body)
        elif kind == "grb":
            lines += context.bursts(body)
        elif kind == "risedecline":
            lines += context.rise_decline(body)
        elif kind == "catalogs":
            lines += context.catalogs(body)
    lines += light_curve(rules, photopoints)
    lines.append(absolute_magnitude(rules, photopoints, z))
    return lines, z


def _corrections(lines: list[Line], as_ampel: list[Line]) -> tuple[str, ...]:
    """Name the parts on which the two modes disagree in points or rejects."""

    def said(part: str, by: list[Line]) -> list[tuple[int, Reject | None]]:
        return [(line.points, line.reject) for line in by if line.part == part]

    return tuple(
        text for part, text in _CORRECTIONS.items() if said(part, lines) != said(part, as_ampel)
    )


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

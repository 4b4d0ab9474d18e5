"""Kilonova score: how well a kilonova model fits, and how bright it is."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ampelstream.units.scores.kilonova_part import Line, Part, finite, mapping

__all__ = ["possis"]

_PART = "model fit"
_NO_CHI2 = -99.0
"""Reduced chi2 of a fit without degrees of freedom, as AMPEL has it."""
_BEST_LOW = 0.75
_CHI2_POINTS = ((7.5, 3), (22.0, 2), (40.0, 1))
"""(largest reduced chi2, points)."""
_OBSERVED = (19.0, 21.0)
"""Observed peak in B that gives a point, exclusive [mag]."""
_TYPICAL_ABSMAG = -15.5
_ABSMAG_POINTS = ((0.5, 5), (2.0, 2), (4.0, 1))
"""(largest distance from the typical absolute B magnitude, exclusive [mag]; points)."""


@dataclass(frozen=True, slots=True)
class _Fit:
    name: str
    reduced: float
    has_freedom: bool
    rest_b: float | None
    observed_b: float | None


def _fits(body: Mapping[str, Any]) -> Iterator[_Fit]:
    """Successful fits at a redshift, in the order of the result."""
    for key, value in body.items():
        model = mapping(value)
        outcome = mapping(model.get("sncosmo_result"))
        if finite(model.get("z")) is None or not outcome.get("success"):
            continue
        chisq, ndof = finite(outcome.get("chisq")), finite(outcome.get("ndof"))
        if chisq is None or ndof is None:
            continue
        metrics = mapping(model.get("fit_metrics"))
        yield _Fit(
            name=str(model.get("model_name") or key),
            reduced=chisq / ndof if ndof > 0 else _NO_CHI2,
            has_freedom=ndof > 0,
            rest_b=finite(metrics.get("restpeak_model_absmag_B")),
            observed_b=finite(metrics.get("obspeak_model_B")),
        )


def possis(body: Mapping[str, Any]) -> Part:
    """Points for the model whose reduced chi2 is closest to 1.

    Parameters
    ----------
    body
        Fits by name, each with ``model_name``, ``z``, ``sncosmo_result`` (success, chisq, ndof) and
        ``fit_metrics`` (restpeak_model_absmag_B, obspeak_model_B) [mag].
    """
    fit = min(_fits(body), key=lambda one: abs(one.reduced - 1), default=None)
    if fit is None:
        text = "no kilonova model could be fitted at a redshift"
        return [Line(_PART, 0, text, "possis", "no_possis_fits")]
    if not fit.has_freedom:
        text = f"{fit.name} has as many parameters as there are points: the fit says nothing"
        return [Line(_PART, 0, text, "possis", "possis_ndof")]
    return [_chi2(fit), _observed(fit), _absolute(fit)]


def _chi2(fit: _Fit) -> Line:
    points = 0
    if fit.reduced >= _BEST_LOW:
        points = next((given for most, given in _CHI2_POINTS if fit.reduced <= most), 0)
    return Line(_PART, points, f"{fit.name} fits with chi2/ndof {fit.reduced:.3g}", "possis")


def _observed(fit: _Fit) -> Line:
    low, high = _OBSERVED
    value = fit.observed_b
    said = "is not known" if value is None else f"{value:.2f} mag"
    text = f"the model's observed peak in B: {said} ({low:g} to {high:g} mag give a point)"
    passed = value is not None and low < value < high
    return Line("model brightness", int(passed), text, "possis", None if passed else "obsmag")


def _absolute(fit: _Fit) -> Line:
    value = fit.rest_b
    part = "model brightness"
    if value is None:
        return Line(part, 0, "the model's absolute B magnitude is not known", "possis", "absmag")
    apart = abs(value - _TYPICAL_ABSMAG)
    points = next((given for most, given in _ABSMAG_POINTS if apart < most), 0)
    text = (
        f"the model's absolute peak in B: {value:.2f} mag, {apart:.2f} mag from a typical "
        f"kilonova's {_TYPICAL_ABSMAG} mag"
    )
    return Line(part, points, text, "possis", None if points else "absmag")

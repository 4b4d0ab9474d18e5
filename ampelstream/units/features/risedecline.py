"""RiseDecline: whether the light curve rises, falls, or has done both."""

import math
from collections.abc import Sequence
from typing import ClassVar

import msgspec
from pydantic import Field

from ampelstream.errors import UnitError
from ampelstream.model.lightcurve import BANDS, Datapoint, LightCurve
from ampelstream.units import Inputs, ObjectUnit
from ampelstream.units.features.linearfit import Slope, fit_slope

__all__ = ["BandResult", "Colour", "RiseDecline", "RiseDeclineResult"]

_ZERO_POINT = 25.0
_MAG_PER_RELATIVE_FLUX = 2.5 / math.log(10)


class BandResult(msgspec.Struct, frozen=True):
    """One band.

    Attributes
    ----------
    ndet
        Number of magnitudes.
    peak_mag, peak_jd
        Brightest one [mag] and its time [JD].
    rise_slope, fall_slope
        Slopes of flux up to and from the brightest point [flux/d, zero point 25]; None for fewer
        than two epochs.
    rise_significance, fall_significance
        The slopes in units of their errors [sigma].
    fade_rate
        Slope of the magnitudes from the brightest point on [mag/d]; positive when fading.
    """

    ndet: int
    peak_mag: float
    peak_jd: float
    rise_slope: float | None
    rise_significance: float | None
    fall_slope: float | None
    fall_significance: float | None
    fade_rate: float | None


class Colour(msgspec.Struct, frozen=True):
    """Difference of two bands' magnitudes, from the pair closest in time.

    Attributes
    ----------
    value, error
        Colour and its 1-sigma error [mag], not corrected for extinction.
    jd, gap_days
        Mean time of the pair [JD] and time between them [d].
    """

    value: float
    error: float | None
    jd: float
    gap_days: float


class RiseDeclineResult(msgspec.Struct, frozen=True):
    """Shape of the light curve, from its magnitudes: detections and forced photometry.

    Attributes
    ----------
    bool_rise
        The significances of the bands' rises add up to more than the limit (3).
    bool_fall
        Those of the falls add up to less than minus the limit.
    bool_peaked
        Both, and some band has a slope before and after its maximum.
    rise_significance, fall_significance
        Sums of the bands' significances of rise and fall [sigma].
    ndet, ndet_negative
        Number of detections brighter, and fainter, than the reference; only the former are used.
    nforced
        Number of exposures whose magnitude is that of forced photometry.
    first_jd, last_jd, duration_days
        First and last magnitude [JD], and the time between [d].
    peak_mag, peak_band, peak_jd
        Brightest of them [mag], its band, and its time [JD].
    limit_before_mag, limit_before_days
        Last upper limit before the first of them [mag], and how long before [d].
    bands
        Band by band.
    colours
        ``g-r`` and the like, where two bands were detected close enough in time.
    """

    bool_rise: bool
    bool_fall: bool
    bool_peaked: bool
    rise_significance: float
    fall_significance: float
    ndet: int
    ndet_negative: int
    first_jd: float
    last_jd: float
    duration_days: float
    peak_mag: float
    peak_band: str
    peak_jd: float
    limit_before_mag: float | None
    limit_before_days: float | None
    bands: dict[str, BandResult]
    colours: dict[str, Colour]
    nforced: int = 0


class RiseDecline(ObjectUnit):
    """Weighted linear fits in flux before and after the maximum, band by band.

    Fitted is one magnitude of each exposure that has one (`LightCurve.brightness`): that of forced
    photometry where it is positive and significant, otherwise that of the detection.
    Detections fainter than the reference image are counted, not fitted: what adds light is looked
    for, and a subtraction that goes wrong would pull the line. The brightest point of a band
    belongs to its rise and to its fall. Points without an error are not fitted.
    """

    provides: ClassVar[str] = "risedecline"

    significance: float = Field(
        default=3.0, gt=0, description="Limit on the sum of the bands' significances [sigma]."
    )
    max_colour_gap: float = Field(
        default=0.5, ge=0, description="Longest time between two bands for a colour [d]."
    )

    def compute(self, inputs: Inputs) -> RiseDeclineResult:
        """Describe the light curve.

        Raises
        ------
        UnitError
            There is no positive detection.
        """
        curve = inputs.lightcurve
        points = curve.brightness
        if not curve.detections:
            raise UnitError(f"{curve.object_id} has no detection brighter than the reference")
        by_band: dict[str, list[Datapoint]] = {}
        for point in sorted(points, key=lambda p: (p.fid, p.jd, p.id)):
            by_band.setdefault(point.band, []).append(point)
        bands = {name: _band(of_band) for name, of_band in by_band.items()}
        colours = _colours(by_band, self.max_colour_gap)
        return _result(self.significance, curve, points, bands, colours)


def _magnitude(point: Datapoint) -> float:
    return math.inf if point.mag is None else point.mag


def _flux(point: Datapoint) -> tuple[float, float]:
    """Flux and its error, zero point 25."""
    flux = 10.0 ** (-0.4 * (_magnitude(point) - _ZERO_POINT))
    return flux, flux * (point.magerr or 0.0) / _MAG_PER_RELATIVE_FLUX


def _slope(points: Sequence[Datapoint]) -> Slope | None:
    usable = [p for p in points if p.magerr is not None and p.magerr > 0]
    fluxes = [_flux(p) for p in usable]
    return fit_slope([p.jd for p in usable], [f for f, _ in fluxes], [e for _, e in fluxes])


def _fade(points: Sequence[Datapoint]) -> float | None:
    usable = [(p.jd, _magnitude(p), p.magerr) for p in points]
    fitted = [(jd, mag, error) for jd, mag, error in usable if error is not None and error > 0]
    slope = fit_slope([f[0] for f in fitted], [f[1] for f in fitted], [f[2] for f in fitted])
    return None if slope is None else slope.value


def _band(points: Sequence[Datapoint]) -> BandResult:
    """Describe one band; its points are sorted by time."""
    top = min(range(len(points)), key=lambda i: (_magnitude(points[i]), i))
    rise, fall = _slope(points[: top + 1]), _slope(points[top:])
    return BandResult(
        ndet=len(points),
        peak_mag=_magnitude(points[top]),
        peak_jd=points[top].jd,
        rise_slope=None if rise is None else rise.value,
        rise_significance=None if rise is None else rise.significance,
        fall_slope=None if fall is None else fall.value,
        fall_significance=None if fall is None else fall.significance,
        fade_rate=_fade(points[top:]),
    )


def _colours(by_band: dict[str, list[Datapoint]], longest: float) -> dict[str, Colour]:
    names = [name for name in BANDS.values() if name in by_band]
    found = {}
    for i, blue in enumerate(names):
        for red in names[i + 1 :]:
            first, second = min(
                ((a, b) for a in by_band[blue] for b in by_band[red]),
                key=lambda pair: (abs(pair[0].jd - pair[1].jd), pair[0].jd, pair[0].id, pair[1].id),
            )
            if abs(first.jd - second.jd) <= longest:
                found[f"{blue}-{red}"] = _colour(first, second)
    return found


def _colour(first: Datapoint, second: Datapoint) -> Colour:
    known = first.magerr is not None and second.magerr is not None
    return Colour(
        value=_magnitude(first) - _magnitude(second),
        error=math.hypot(first.magerr or 0.0, second.magerr or 0.0) if known else None,
        jd=(first.jd + second.jd) / 2,
        gap_days=abs(first.jd - second.jd),
    )


def _result(
    limit: float,
    curve: LightCurve,
    points: Sequence[Datapoint],
    bands: dict[str, BandResult],
    colours: dict[str, Colour],
) -> RiseDeclineResult:
    rise = math.fsum(one.rise_significance or 0.0 for one in bands.values())
    fall = math.fsum(one.fall_significance or 0.0 for one in bands.values())
    rises, falls = rise > limit, fall < -limit
    both = any(one.rise_slope is not None and one.fall_slope is not None for one in bands.values())
    first, last = points[0].jd, points[-1].jd
    top = min(points, key=_magnitude)
    before = [p for p in curve.upper_limits if p.jd < first]
    return RiseDeclineResult(
        bool_rise=rises,
        bool_fall=falls,
        bool_peaked=rises and falls and both,
        rise_significance=rise,
        fall_significance=fall,
        ndet=len(curve.detections),
        ndet_negative=len(curve.negative),
        nforced=sum(p.forced for p in points),
        first_jd=first,
        last_jd=last,
        duration_days=last - first,
        peak_mag=_magnitude(top),
        peak_band=top.band,
        peak_jd=top.jd,
        limit_before_mag=before[-1].limmag if before else None,
        limit_before_days=first - before[-1].jd if before else None,
        bands=bands,
        colours=colours,
    )

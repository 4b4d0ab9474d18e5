"""InfantScore: how much like a supernova in its first days an object looks.

The looks and their limits are those of AMPEL's selection for rapid follow-up (RapidBase of
Ampel-contrib-HU, 2020). AMPEL drops an object at the first look that it fails. Here all of them are
taken, so that a person sees which ones an object fails, and by how much.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

import msgspec
from pydantic import Field, model_validator

from ampelstream.errors import ConfigError, UnitError
from ampelstream.model.lightcurve import Datapoint, LightCurve
from ampelstream.units import Inputs, ObjectUnit
from ampelstream.units.cosmology import distances
from ampelstream.units.galactic import galactic_latitude

__all__ = ["InfantScore", "InfantScoreResult", "Look"]

_ARCSEC_PER_ARCMIN = 60.0


class Look(msgspec.Struct, frozen=True):
    """One thing that was looked at.

    Attributes
    ----------
    name
        What.
    value
        What it is; None where it is not known, which does not pass.
    least, most
        Limits that it must lie between, inclusive; None for no limit.
    passed
        Whether it does.
    """

    name: str
    value: float | None
    least: float | None
    most: float | None
    passed: bool


class InfantScoreResult(msgspec.Struct, frozen=True):
    """What speaks for a supernova in its first days.

    Attributes
    ----------
    score
        Number of looks that it passes, 0 to 9.
    is_infant
        Whether it passes all.
    failed
        Names of those that it does not.
    looks
        All of them, in order.
    age_days
        First to last detection [d].
    peak_mag
        Brightest detection [AB mag].
    limit_mag, limit_days
        Last significant upper limit [AB mag], and how long before the last detection [d]; None
        without one.
    rise_mag_per_day
        How fast it brightens [mag/d]: from the first to the last detection of a band, the fastest
        band; where no band has two, the least that the last upper limit of a band asks for. None
        where neither is known.
    absmag
        Peak magnitude less the distance modulus of the host's redshift (Planck 2015) [mag].
    host_offset_kpc
        Projected distance from the host [kpc].
    """

    score: int
    is_infant: bool
    failed: tuple[str, ...]
    looks: tuple[Look, ...]
    age_days: float
    peak_mag: float
    limit_mag: float | None
    limit_days: float | None
    rise_mag_per_day: float | None
    absmag: float | None
    host_offset_kpc: float | None


class InfantScore(ObjectUnit):
    """Look at age, last upper limit, rise, brightness and host; count what passes.

    Negative subtractions are no detections. A host's redshift is that of a unit listed before which
    provides ``redshift`` (DigestRedshifts); without one, the looks at the host do not pass.
    """

    provides: ClassVar[str] = "infant"
    uses: ClassVar[tuple[str, ...]] = ("redshift",)

    min_ndet: int = Field(default=2, ge=1, description="Detections since the last upper limit.")
    max_age: float = Field(default=3.0, ge=0, description="First to last detection [d], at most.")
    limit_mag: float = Field(
        default=19.5, description="An upper limit at least this deep [AB mag] is significant."
    )
    max_limit_days: float = Field(
        default=2.5, gt=0, description="Last significant limit before the last detection [d]."
    )
    min_rise: float = Field(default=0.0, description="It must brighten at least this fast [mag/d].")
    min_peak_mag: float = Field(default=16.0, description="Peak, not brighter [AB mag].")
    max_peak_mag: float = Field(default=20.0, description="Peak, not fainter [AB mag].")
    min_gal_lat: float = Field(default=14.0, description="Galactic latitude, at least [deg].")
    min_redshift: float = Field(default=0.001, description="Redshift of the host, at least.")
    max_redshift: float = Field(default=0.1, description="Redshift of the host, at most.")
    min_dist: float = Field(default=1.5, description="Host, not closer than [arcsec].")
    max_dist: float = Field(default=50.0, description="Host, not further than [arcsec].")
    min_absmag: float = Field(default=-17.0, description="Peak, not more luminous than [mag].")
    max_absmag: float = Field(default=-13.0, description="Peak, not less luminous than [mag].")

    @model_validator(mode="after")
    def _ranges(self) -> Self:
        """Refuse ranges that nothing can be in."""
        for low, high in (
            ("min_peak_mag", "max_peak_mag"),
            ("min_redshift", "max_redshift"),
            ("min_dist", "max_dist"),
            ("min_absmag", "max_absmag"),
        ):
            if not getattr(self, low) < getattr(self, high):
                raise ConfigError(f"{low} must be below {high}")
        return self

    def compute(self, inputs: Inputs) -> InfantScoreResult:
        """Take all looks.

        Raises
        ------
        UnitError
            The object has no detection that is brighter than the reference.
        """
        curve = inputs.lightcurve
        points = curve.detections
        if not points:
            raise UnitError(f"{curve.object_id} has no detection brighter than the reference")
        limits = [p for p in curve.upper_limits if (p.limmag or 0.0) >= self.limit_mag]
        limit = max(limits, key=lambda p: p.jd, default=None)
        last = points[-1].jd
        peak = min(p.mag for p in points if p.mag is not None)
        host = inputs.first("redshift") or {}
        redshift, apart = _number(host, "ampel_z"), _number(host, "ampel_dist")
        far = None if redshift is None else distances(redshift)
        absmag = None if far is None else peak - far.modulus
        facts: dict[str, float | None] = {
            "detections": float(sum(1 for p in points if limit is None or p.jd >= limit.jd)),
            "age": last - points[0].jd,
            "limit": None if limit is None else last - limit.jd,
            "rise": _rise(points, curve),
            "peak": peak,
            "latitude": _latitude(curve),
            "redshift": redshift,
            "host": apart,
            "luminosity": absmag,
        }
        looks = tuple(self._looks(facts))
        failed = tuple(one.name for one in looks if not one.passed)
        return InfantScoreResult(
            score=len(looks) - len(failed),
            is_infant=not failed,
            failed=failed,
            looks=looks,
            age_days=last - points[0].jd,
            peak_mag=peak,
            limit_mag=None if limit is None else limit.limmag,
            limit_days=facts["limit"],
            rise_mag_per_day=facts["rise"],
            absmag=absmag,
            host_offset_kpc=(
                None
                if far is None or apart is None
                else apart * far.kpc_per_arcmin / _ARCSEC_PER_ARCMIN
            ),
        )

    def _looks(self, facts: Mapping[str, float | None]) -> Iterator[Look]:
        limits: dict[str, tuple[float | None, float | None]] = {
            "detections": (self.min_ndet, None),
            "age": (None, self.max_age),
            "limit": (None, self.max_limit_days),
            "rise": (self.min_rise, None),
            "peak": (self.min_peak_mag, self.max_peak_mag),
            "latitude": (self.min_gal_lat, None),
            "redshift": (self.min_redshift, self.max_redshift),
            "host": (self.min_dist, self.max_dist),
            "luminosity": (self.min_absmag, self.max_absmag),
        }
        for name, (least, most) in limits.items():
            value = facts[name]
            passed = (
                value is not None
                and (least is None or value >= least)
                and (most is None or value <= most)
            )
            yield Look(name, value, least, most, passed)


def _number(body: Mapping[str, Any], name: str) -> float | None:
    value = body.get(name)
    return float(value) if isinstance(value, int | float) else None


def _latitude(curve: LightCurve) -> float | None:
    """Distance from the Galactic plane [deg]."""
    position = curve.position
    return None if position is None else abs(float(galactic_latitude(*position)))


def _rise(points: Sequence[Datapoint], curve: LightCurve) -> float | None:
    """How fast it brightens [mag/d]; None where no band says so."""
    rates = [
        rate
        for fid in sorted({p.fid for p in points})
        if (rate := _slope([p for p in points if p.fid == fid])) is not None
    ]
    if not rates:
        firsts = {p.fid: p for p in reversed(points)}
        lasts = {
            p.fid: p for p in curve.upper_limits if p.fid in firsts and p.jd < firsts[p.fid].jd
        }
        rates = [
            (limit.limmag - first.mag) / (first.jd - limit.jd)
            for fid, limit in lasts.items()
            if limit.limmag is not None and (first := firsts[fid]).mag is not None
        ]
    return max(rates, default=None)


def _slope(points: Sequence[Datapoint]) -> float | None:
    """Magnitudes per day that lie between the first and the last point of a band."""
    first, last = points[0], points[-1]
    if first.mag is None or last.mag is None or last.jd <= first.jd:
        return None
    return (first.mag - last.mag) / (last.jd - first.jd)

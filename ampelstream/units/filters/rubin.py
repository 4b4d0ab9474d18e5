"""RubinFilter: cuts on Rubin's alerts, for who looks for new sources outside the Galaxy.

`RubinCuts` is the configuration, `_RULES` the table of rules in the order in which they are
applied, to one alert or to the columns of many. Names of fields and flags are those of Rubin's
alert schemas (lsst/alert_packet, 7.1 to 11.0); a schema that lacks a flag never has it set.
"""

import difflib
import math
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from ampelstream.model.alert import Alert
from ampelstream.units import AlertBatch, AlertFilter, Asked, Verdict, Verdicts
from ampelstream.units.historyrules import (
    DETECTIONS,
    GALACTIC_PLANE,
    TIMESPAN,
    asks_for_history,
)
from ampelstream.units.rules import Fields, Rule, evaluate, judge

__all__ = ["FLAGS", "RubinCuts", "RubinFilter"]

FLAGS = (
    "pixelFlags_bad",
    "pixelFlags_cr",
    "pixelFlags_crCenter",
    "pixelFlags_edge",
    "pixelFlags_nodata",
    "pixelFlags_nodataCenter",
    "pixelFlags_offimage",
    "pixelFlags_saturated",
    "pixelFlags_saturatedCenter",
    "pixelFlags_interpolated",
    "pixelFlags_interpolatedCenter",
    "pixelFlags_suspect",
    "pixelFlags_suspectCenter",
    "pixelFlags_streak",
    "pixelFlags_streakCenter",
    "pixelFlags_injected",
    "pixelFlags_injectedCenter",
    "pixelFlags_injected_template",
    "pixelFlags_injected_templateCenter",
    "pixelFlags",
    "psfFlux_flag",
    "psfFlux_flag_edge",
    "psfFlux_flag_noGoodPixels",
    "forced_PsfFlux_flag",
    "forced_PsfFlux_flag_edge",
    "forced_PsfFlux_flag_noGoodPixels",
    "apFlux_flag",
    "apFlux_flag_apertureTruncated",
    "centroid_flag",
    "shape_flag",
    "shape_flag_no_pixels",
    "shape_flag_not_contained",
    "shape_flag_parent_source",
    "trail_flag_edge",
    "isDipole",
    "glint_trail",
)
"""Flags of a DIA source that can be asked for, in the order in which they are looked at."""

_ARTEFACTS = (
    "pixelFlags_bad",
    "pixelFlags_cr",
    "pixelFlags_crCenter",
    "pixelFlags_edge",
    "pixelFlags_nodataCenter",
    "pixelFlags_offimage",
    "pixelFlags_saturated",
    "pixelFlags_saturatedCenter",
    "pixelFlags_suspectCenter",
    "pixelFlags_streakCenter",
    "pixelFlags_injected",
    "pixelFlags_injected_template",
    "psfFlux_flag",
    "centroid_flag",
    "isDipole",
    "glint_trail",
)


class RubinCuts(BaseModel):
    """Cuts on one alert; each can be switched off."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_reliability: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Least reliability, 0 (artefact) to 1 (real); without one an alert does not "
        "pass. 0 switches the cut off. Rubin itself sends none below 0.1.",
    )
    min_snr: float = Field(
        default=5.0,
        ge=0,
        allow_inf_nan=False,
        description="Least signal-to-noise ratio of the detection; 0 switches the cut off.",
    )
    positive: bool = Field(
        default=True,
        description="Whether the source must be brighter than the template: psfFlux above 0 and "
        "at least min_psf_snr times its error, and not isNegative.",
    )
    min_psf_snr: float = Field(
        default=3.0,
        ge=0,
        allow_inf_nan=False,
        description="Least psfFlux in units of psfFluxErr, used with positive only. A source below "
        "3 has no magnitude in a light curve, but an upper limit.",
    )
    solar_system: bool = Field(
        default=False,
        description="Whether alerts of known solar-system objects (ssObjectId) pass.",
    )
    flags: tuple[str, ...] = Field(
        default=_ARTEFACTS,
        description="Flags of the DIA source of which none may be set.",
    )
    min_gal_lat: float = Field(
        default=14.0,
        le=90,
        description="Least absolute Galactic latitude [deg]; 0 or less switches the cut off.",
    )
    min_ndet: int = Field(
        default=1,
        description="Least number of detections in the packet, the alert's own included.",
    )
    min_tspan: float = Field(
        default=0.0,
        description="Least time from the packet's first detection to its last [d].",
    )
    max_tspan: float = Field(
        default=math.inf,
        description="Longest time from the packet's first detection to its last [d]; a packet has "
        "those of about a year.",
    )

    @field_validator("flags")
    @classmethod
    def _are_flags(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in FLAGS:
                begun = [flag for flag in FLAGS if flag.startswith(name)]
                close = begun or difflib.get_close_matches(name, FLAGS, 1, cutoff=0.4)
                meant = f"; did you mean {close[0]}?" if close else ""
                raise ValueError(f"{name!r} is no flag of a DIA source{meant}")
        return tuple(sorted(set(names), key=FLAGS.index))


def _not_at_least(value: Any, least: float) -> Any:
    """Whether it is smaller, or not known (NaN)."""
    return np.logical_not(value >= least)


def _flag(name: str) -> Rule[RubinCuts]:
    """Rule of a flag: null, and absent from the schema, are not set."""
    return Rule(
        *(name, (name,), ("flags",)),
        lambda _, fields: fields(name) > 0,
        applies=lambda cuts, _: name in cuts.flags,
    )


def _not_brighter(cuts: RubinCuts, fields: Fields) -> Any:
    flux, least = fields("psfFlux"), cuts.min_psf_snr * fields("psfFluxErr")
    return np.logical_not((flux > 0) & (flux >= least))


def _is_negative(_cuts: RubinCuts, fields: Fields) -> Any:
    # schema 7.3 and 7.4 wrote it with an underscore
    return (fields("isNegative") > 0) | (fields("is_negative") > 0)


_RULES: tuple[Rule[RubinCuts], ...] = (
    Rule(
        *("ssObjectId", ("ssObjectId",), ("solar_system",)),
        lambda _, fields: fields("ssObjectId") > 0,
        applies=lambda cuts, _: not cuts.solar_system,
    ),
    Rule(
        *("psfFlux", ("psfFlux", "psfFluxErr"), ("positive", "min_psf_snr")),
        _not_brighter,
        applies=lambda cuts, _: cuts.positive,
    ),
    Rule(
        *("isNegative", ("isNegative", "is_negative"), ("positive",)),
        _is_negative,
        applies=lambda cuts, _: cuts.positive,
    ),
    Rule(
        *("snr", ("snr",), ("min_snr",)),
        lambda cuts, fields: _not_at_least(fields("snr"), cuts.min_snr),
        applies=lambda cuts, _: cuts.min_snr > 0,
    ),
    Rule(
        *("reliability", ("reliability",), ("min_reliability",)),
        lambda cuts, fields: _not_at_least(fields("reliability"), cuts.min_reliability),
        applies=lambda cuts, _: cuts.min_reliability > 0,
    ),
    *map(_flag, FLAGS),
    GALACTIC_PLANE,
    # last: of an alert by itself the history is decoded for them
    DETECTIONS,
    TIMESPAN,
)


class RubinFilter(RubinCuts, AlertFilter):
    """Reject artefacts, solar-system objects and what is fainter than the template.

    The first rule that fails is the reason: ``ssObjectId``, ``psfFlux``, ``isNegative``, ``snr``,
    ``reliability``, the name of a flag, ``galPlane``, ``nDet``, ``tSpan``.

    The thresholds are ours. Rubin says what its own pipeline has removed before an alert is sent
    (prompt-products.lsst.io, "Filtering and Reliability Scoring"): sources of a reliability below
    0.1, on bad, saturated or empty pixels, with a cosmic ray at the centre. Those flags are looked
    at all the same, because alerts of 2025 have them. Not among the default flags are those that
    many faint real sources have (``shape_flag``, ``pixelFlags_interpolated``). 5 is the detection
    threshold of the difference images, 14 deg that of ZTF's gravitational-wave follow-up.
    """

    def evaluate(self, alert: Alert) -> Verdict:
        """Accept, or reject with the first rule that failed."""
        return evaluate(_RULES, self, alert)

    def asks(self) -> Asked:
        """Fields of the rules that apply."""
        own = {*self.flags, "ra", "dec", "ssObjectId"}
        own |= {"psfFlux", "psfFluxErr", "isNegative", "is_negative"} if self.positive else set()
        own |= {"snr"} if self.min_snr > 0 else set()
        own |= {"reliability"} if self.min_reliability > 0 else set()
        return Asked(frozenset(own), epochs=asks_for_history(self))

    def judge(self, batch: AlertBatch) -> Verdicts:
        """The same for many alerts."""
        return judge(_RULES, self, batch)

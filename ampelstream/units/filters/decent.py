"""DecentFilter: the cuts that AMPEL's gravitational-wave follow-up puts on every ZTF alert.

`DecentCuts` is the configuration, `_RULES` the table of rules in the order in which they are
applied, to one alert or to the columns of many, `_star_in_gaia` the last rule, which needs a
catalogue; `DecentFilter` puts them together. All of it repeats AMPEL's DecentFilter (ampel-ztf
0.10), the strictness of each comparison included.
"""

import math
from collections.abc import Mapping
from functools import reduce
from operator import and_, or_
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from ampelstream.errors import UnitError
from ampelstream.model.alert import Alert
from ampelstream.model.flags import NO
from ampelstream.units import AlertBatch, AlertFilter, Asked, Resources, Verdict, Verdicts
from ampelstream.units.historyrules import (
    DETECTIONS,
    GALACTIC_PLANE,
    TIMESPAN,
    asks_for_history,
)
from ampelstream.units.rules import Fields, Rule, evaluate, judge

if TYPE_CHECKING:
    from ampelstream.sky.catalogs import Catalog

__all__ = ["DecentCuts", "DecentFilter"]


class DecentCuts(BaseModel):
    """Cuts on one alert; the keys are AMPEL's, so that a configuration can be carried over.

    The defaults: see `DecentFilter`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_ndet: int = Field(
        default=2, description="Least number of detections in the packet, the alert's own included."
    )
    min_tspan: float = Field(
        default=0.0, description="Least time from the packet's first detection to its last [d]."
    )
    max_tspan: float = Field(
        default=365.0, description="Longest time from the packet's first detection to its last [d]."
    )
    min_archive_tspan: float = Field(
        default=0.0,
        description="jdendhist - jdstarthist must be longer than this [d]; not tested where "
        "absent.",
    )
    max_archive_tspan: float = Field(
        default=1e5,
        description="jdendhist - jdstarthist must be shorter than this [d]; not tested where "
        "absent.",
    )
    min_drb: float = Field(
        default=0.0,
        le=1,
        description="Least deep-learning real-bogus score, 0 to 1; 0 switches the cut off. A "
        "packet without the field passes, one whose field is null or NaN does not.",
    )
    min_rb: float = Field(default=0.3, le=1, description="Least real-bogus score, 0 to 1.")
    max_fwhm: float = Field(
        default=5.5, description="Largest full width at half maximum [pixel, 1.01 arcsec]."
    )
    max_elong: float = Field(default=1.4, description="Largest ratio of major to minor axis.")
    max_magdiff: float = Field(
        default=1.0, description="Largest absolute difference of aperture and PSF magnitude [mag]."
    )
    max_nbad: int = Field(
        default=2,
        description="Largest number of bad pixels in a 5 x 5 stamp; used with apply_max_nbad only.",
    )
    min_sso_dist: float = Field(
        default=20.0,
        description="Least distance to a known solar-system object [arcsec]; ZTF writes -999 where "
        "there is none.",
    )
    min_gal_lat: float = Field(
        default=14.0,
        description="Least absolute Galactic latitude [deg]; 0 or less switches the cut off.",
    )
    ps1_sgveto_rad: float = Field(
        default=1.0,
        description="Reject when the nearest Pan-STARRS source is closer than this [arcsec] and "
        "is a star by ps1_sgveto_th.",
    )
    ps1_sgveto_th: float = Field(
        default=0.8,
        description="A nearest source whose star-galaxy score, 0 (galaxy) to 1 (star), is above "
        "this is a star.",
    )
    ps1_confusion_rad: float = Field(
        default=3.0,
        description="Reject when all three nearest Pan-STARRS sources are closer than this "
        "[arcsec] and none is clearly a star or a galaxy by ps1_confusion_sg_tol.",
    )
    ps1_confusion_sg_tol: float = Field(
        default=0.1,
        description="A source whose star-galaxy score is closer than this to 0.5 may be either.",
    )
    gaia_rs: float = Field(
        default=0.0,
        ge=0,
        description="Search radius around the alert for Gaia stars [arcsec]; 0 for none.",
    )
    gaia_pm_signif: float = Field(
        default=3.0,
        description="A proper motion above this many sigma, in either coordinate, makes a star.",
    )
    gaia_plx_signif: float = Field(
        default=3.0, description="A parallax above this many sigma makes a star."
    )
    gaia_veto_gmag_min: float = Field(
        default=9.0, description="Brightest G of a star that rejects [mag]."
    )
    gaia_veto_gmag_max: float = Field(
        default=20.0, description="Faintest G of a star that rejects [mag]."
    )
    gaia_excessnoise_sig_max: float = Field(
        default=999.0,
        description="Sources with an astrometric excess noise of this significance or more are no "
        "proof of a star.",
    )
    apply_max_nbad: bool = Field(
        default=False,
        description="Apply max_nbad. AMPEL asks for it but never applies it, so the default is "
        "not to.",
    )
    gaia_catalog: str = Field(
        default="GaiaDR2", description="Name of the Gaia catalogue; read when gaia_rs > 0 only."
    )


_NUMBERS = (
    "rb",
    "fwhm",
    "elong",
    "magdiff",
    "nbad",
    "ssdistnr",
    "ra",
    "dec",
    "distpsnr1",
    "distpsnr2",
    "distpsnr3",
    "sgscore1",
    "sgscore2",
    "sgscore3",
)
_REQUIRED = ("isdiffpos", *_NUMBERS)
_OPTIONAL = ("drb", "jdstarthist", "jdendhist")
_UNDECIDED = 0.5
"""Star-galaxy score of a source that may be either."""


def _missing(_cuts: DecentCuts, fields: Fields) -> Any:
    unsigned = np.isnan(fields.flag("isdiffpos"))  # absent, null, or says neither yes nor no
    return reduce(or_, (fields.null(name) for name in _NUMBERS), unsigned)


def _archive_tspan(cuts: DecentCuts, fields: Fields) -> Any:
    span = fields("jdendhist") - fields("jdstarthist")
    known = np.logical_not(fields.null("jdstarthist") | fields.null("jdendhist"))
    inside = (span > cuts.min_archive_tspan) & (span < cuts.max_archive_tspan)
    return known & np.logical_not(inside)


def _confusion(cuts: DecentCuts, fields: Fields) -> Any:
    radius, tolerance = cuts.ps1_confusion_rad, cuts.ps1_confusion_sg_tol
    return reduce(
        and_,
        (
            (fields(f"distpsnr{n}") < radius)
            & (abs(fields(f"sgscore{n}") - _UNDECIDED) < tolerance)
            for n in (1, 2, 3)
        ),
    )


_PS1 = ("distpsnr1", "distpsnr2", "distpsnr3", "sgscore1", "sgscore2", "sgscore3")
_RULES: tuple[Rule[DecentCuts], ...] = (
    DETECTIONS,
    TIMESPAN,
    Rule("missing", _REQUIRED, (), _missing),
    Rule(
        *("isdiffpos", ("isdiffpos",), ()),
        lambda _, fields: fields.flag("isdiffpos") == NO,
    ),
    Rule("rb", ("rb",), ("min_rb",), lambda cuts, fields: fields("rb") < cuts.min_rb),
    Rule(
        *("drb", ("drb",), ("min_drb",)),
        lambda cuts, fields: fields.null("drb") | (fields("drb") < cuts.min_drb),
        applies=lambda cuts, fields: cuts.min_drb > 0 and fields.has("drb"),
    ),
    Rule("fwhm", ("fwhm",), ("max_fwhm",), lambda cuts, fields: fields("fwhm") > cuts.max_fwhm),
    Rule(
        *("elong", ("elong",), ("max_elong",)),
        lambda cuts, fields: fields("elong") > cuts.max_elong,
    ),
    Rule(
        *("magdiff", ("magdiff",), ("max_magdiff",)),
        lambda cuts, fields: abs(fields("magdiff")) > cuts.max_magdiff,
    ),
    Rule(
        *("nbad", ("nbad",), ("max_nbad",)),
        lambda cuts, fields: fields("nbad") > cuts.max_nbad,
        applies=lambda cuts, _: cuts.apply_max_nbad,
    ),
    Rule(
        "archive_tspan",
        ("jdstarthist", "jdendhist"),
        ("min_archive_tspan", "max_archive_tspan"),
        _archive_tspan,
    ),
    Rule(
        *("ssdistnr", ("ssdistnr",), ("min_sso_dist",)),
        lambda cuts, fields: (fields("ssdistnr") >= 0) & (fields("ssdistnr") < cuts.min_sso_dist),
    ),
    GALACTIC_PLANE,
    Rule(
        *("distpsnr1", ("distpsnr1", "sgscore1"), ("ps1_sgveto_rad", "ps1_sgveto_th")),
        lambda cuts, fields: (
            (fields("distpsnr1") < cuts.ps1_sgveto_rad) & (fields("sgscore1") > cuts.ps1_sgveto_th)
        ),
    ),
    Rule("ps1Confusion", _PS1, ("ps1_confusion_rad", "ps1_confusion_sg_tol"), _confusion),
)
"""First to last; the reasons are AMPEL's."""


_GAIA_COLUMNS = (
    "phot_g_mean_mag",
    "pmra",
    "pmra_error",
    "pmdec",
    "pmdec_error",
    "parallax",
    "parallax_error",
    "astrometric_excess_noise_sig",
)
"""Columns that are read, with Gaia's own names."""

# How far a star of magnitude G may be from the alert that it causes: bright stars leave residuals
# further out. AMPEL's DecentFilter has the relation and its constants.
_FAINT_RADIUS = 1.8
_RADIUS_SCALE = 0.6
_RADIUS_ZERO_G = 20.0
_RADIUS_G_SCALE = 2.05


def _star_in_gaia(cuts: DecentCuts, catalog: "Catalog", ra: float, dec: float) -> bool:
    """Whether a source near the position moves like a star of our Galaxy.

    Parameters
    ----------
    cuts
        Radius, magnitudes and significances.
    catalog
        Gaia, with columns phot_g_mean_mag [mag], pmra, pmdec [mas/yr], parallax [mas], each of
        these three with its ``_error``, and astrometric_excess_noise_sig.
    ra, dec
        Position [deg, ICRS].
    """
    return any(
        _is_star(cuts, match.row, match.separation_arcsec)
        for match in catalog.cone(ra, dec, cuts.gaia_rs, _GAIA_COLUMNS)
    )


def _is_star(cuts: DecentCuts, row: Mapping[str, Any], separation: float) -> bool:
    magnitude = row.get("phot_g_mean_mag")
    if magnitude is None or not cuts.gaia_veto_gmag_min <= magnitude <= cuts.gaia_veto_gmag_max:
        return False
    radius = _FAINT_RADIUS + _RADIUS_SCALE * math.exp(
        (_RADIUS_ZERO_G - magnitude) / _RADIUS_G_SCALE
    )
    # a source without a value has no known excess noise
    noise = row.get("astrometric_excess_noise_sig") or 0.0
    if not (separation < radius and noise < cuts.gaia_excessnoise_sig_max):
        return False
    return (
        _significance(row, "pmra") > cuts.gaia_pm_signif
        or _significance(row, "pmdec") > cuts.gaia_pm_signif
        or _significance(row, "parallax") > cuts.gaia_plx_signif
    )


def _significance(row: Mapping[str, Any], name: str) -> float:
    """Size of a quantity in units of its error; -inf where either is not known."""
    value, error = row.get(name), row.get(f"{name}_error")
    if value is None or error is None or not error > 0:
        return -math.inf
    return abs(float(value)) / float(error)


class DecentFilter(DecentCuts, AlertFilter):
    """Reject artefacts, asteroids, stars and too old or too young sources.

    The rules are those of AMPEL's DecentFilter, in its order; the first that fails is the reason:
    ``nDet``, ``tSpan``, ``missing``, ``isdiffpos``, ``rb``, ``drb``, ``fwhm``, ``elong``,
    ``magdiff``, ``nbad`` (only with ``apply_max_nbad``), ``archive_tspan``, ``ssdistnr``,
    ``galPlane``, ``distpsnr1``, ``ps1Confusion``, ``gaia``.

    It differs from AMPEL where AMPEL crashes: a ``drb`` that is null is rejected (``drb``). NaN is
    null, as in tables that have no nulls, and an ``isdiffpos`` that says neither yes nor no is
    ``missing``; AMPEL lets both pass. As in AMPEL the alert itself must be brighter than the
    reference (``isdiffpos``), while earlier detections count whatever their sign (``nDet``,
    ``tSpan``).

    The defaults are those of AMPEL's searches for extragalactic transients: what its sample
    channels (BrightNStable, in its contributed units) and nuztf's follow-up have in common, with
    nuztf's year for ``max_tspan``, and the defaults of AMPEL's own class for ``min_drb`` and both
    ``archive_tspan``. One differs: Gaia is not looked into (``gaia_rs`` is 0, there 20), since that
    needs a catalogue on disk. Follow-up of an event takes young objects with a single detection, as
    ``topologies/kilonova.yml`` does.
    """

    _gaia: "Catalog | None" = PrivateAttr(default=None)

    def open(self, resources: Resources) -> None:
        """Open the Gaia catalogue, if it is asked for.

        Raises
        ------
        CatalogError
            It is not there, or lacks a column.
        """
        if self.gaia_rs > 0:
            catalog = resources.catalogs.open(self.gaia_catalog)
            catalog.require(_GAIA_COLUMNS)
            self._gaia = catalog

    def reads(self) -> Mapping[str, str | None]:
        """Version of the Gaia catalogue, where it is read."""
        return {} if self._gaia is None else {self.gaia_catalog: self._gaia.version}

    def evaluate(self, alert: Alert) -> Verdict:
        """Accept, or reject with the first rule that failed.

        Raises
        ------
        UnitError
            Gaia is asked for, but ``open`` was not called.
        """
        verdict = evaluate(_RULES, self, alert)
        if verdict.accept and self.gaia_rs > 0:
            ra, dec = alert.candidate["ra"], alert.candidate["dec"]
            if self._in_gaia(ra, dec):
                return Verdict(accept=False, reason="gaia", seen={"ra": ra, "dec": dec})
        return verdict

    def asks(self) -> Asked:
        """Fields of the rules."""
        return Asked(frozenset({*_REQUIRED, *_OPTIONAL}), epochs=asks_for_history(self))

    def judge(self, batch: AlertBatch) -> Verdicts:
        """The same for many alerts.

        Raises
        ------
        UnitError
            Gaia is asked for, but ``open`` was not called.
        """
        verdicts = judge(_RULES, self, batch)
        if self.gaia_rs <= 0:
            return verdicts
        reasons = (*verdicts.reasons, "gaia")
        for row in np.flatnonzero(verdicts.codes == 0).tolist():
            if row not in batch.faults and self._in_gaia(batch.ra[row], batch.dec[row]):
                verdicts.codes[row] = len(reasons)
        return Verdicts(verdicts.codes, reasons)

    def _in_gaia(self, ra: float, dec: float) -> bool:
        if self._gaia is None:
            raise UnitError(
                f"DecentFilter is to look into {self.gaia_catalog} (gaia_rs > 0), but the "
                "catalogue was not opened: call open(resources) before the first alert"
            )
        return _star_in_gaia(self, self._gaia, float(ra), float(dec))

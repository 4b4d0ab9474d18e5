"""DecentFilter: the cuts that AMPEL's gravitational-wave follow-up puts on every ZTF alert.

`DecentCuts` is the configuration, `_RULES` the table of rules on the alert's own detection in the
order in which they are applied, `_star_in_gaia` the last rule, which needs a catalogue;
`DecentFilter` puts them together. All of it repeats AMPEL's DecentFilter (ampel-ztf 0.10), the
strictness of each comparison included.
"""

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from ampelstream.errors import UnitError
from ampelstream.model.alert import Alert
from ampelstream.units import ACCEPT, AlertFilter, Resources, Verdict
from ampelstream.units.galactic import galactic_latitude

if TYPE_CHECKING:
    from ampelstream.sky.catalogs import Catalog

__all__ = ["DecentCuts", "DecentFilter"]


class DecentCuts(BaseModel):
    """Cuts on one alert; the keys are AMPEL's, so that a configuration can be carried over.

    All are required but the last two: there is no default that suits every science case.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_ndet: int = Field(
        description="Least number of detections in the packet, the alert's own included."
    )
    min_tspan: float = Field(
        description="Least time from the packet's first detection to its last [d]."
    )
    max_tspan: float = Field(
        description="Longest time from the packet's first detection to its last [d]."
    )
    min_archive_tspan: float = Field(
        description="jdendhist - jdstarthist must be longer than this [d]; not tested where absent."
    )
    max_archive_tspan: float = Field(
        description="jdendhist - jdstarthist must be shorter than this [d]; not tested where "
        "absent."
    )
    min_drb: float = Field(
        description="Least deep-learning real-bogus score, 0 to 1; 0 switches the cut off. A "
        "packet without the field passes, one whose field is null does not."
    )
    min_rb: float = Field(description="Least real-bogus score, 0 to 1.")
    max_fwhm: float = Field(description="Largest full width at half maximum [pixel, 1.01 arcsec].")
    max_elong: float = Field(description="Largest ratio of major to minor axis.")
    max_magdiff: float = Field(
        description="Largest absolute difference of aperture and PSF magnitude [mag]."
    )
    max_nbad: int = Field(
        description="Largest number of bad pixels in a 5 x 5 stamp; used with apply_max_nbad only."
    )
    min_sso_dist: float = Field(
        description="Least distance to a known solar-system object [arcsec]; ZTF writes -999 where "
        "there is none."
    )
    min_gal_lat: float = Field(
        description="Least absolute Galactic latitude [deg]; 0 or less switches the cut off."
    )
    ps1_sgveto_rad: float = Field(
        description="Reject when the nearest Pan-STARRS source is closer than this [arcsec] and "
        "is a star by ps1_sgveto_th."
    )
    ps1_sgveto_th: float = Field(
        description="A nearest source whose star-galaxy score, 0 (galaxy) to 1 (star), is above "
        "this is a star."
    )
    ps1_confusion_rad: float = Field(
        description="Reject when all three nearest Pan-STARRS sources are closer than this "
        "[arcsec] and none is clearly a star or a galaxy by ps1_confusion_sg_tol."
    )
    ps1_confusion_sg_tol: float = Field(
        description="A source whose star-galaxy score is closer than this to 0.5 may be either."
    )
    gaia_rs: float = Field(
        ge=0, description="Search radius around the alert for Gaia stars [arcsec]; 0 for none."
    )
    gaia_pm_signif: float = Field(
        description="A proper motion above this many sigma, in either coordinate, makes a star."
    )
    gaia_plx_signif: float = Field(description="A parallax above this many sigma makes a star.")
    gaia_veto_gmag_min: float = Field(description="Brightest G of a star that rejects [mag].")
    gaia_veto_gmag_max: float = Field(description="Faintest G of a star that rejects [mag].")
    gaia_excessnoise_sig_max: float = Field(
        description="Sources with an astrometric excess noise of this significance or more are no "
        "proof of a star."
    )
    apply_max_nbad: bool = Field(
        default=False,
        description="Apply max_nbad. AMPEL asks for it but never applies it, so the default is "
        "not to.",
    )
    gaia_catalog: str = Field(
        default="GaiaDR2", description="Name of the Gaia catalogue; read when gaia_rs > 0 only."
    )


_Candidate = Mapping[str, Any]
_Rule = Callable[[DecentCuts, _Candidate], bool]

_REQUIRED = (
    "isdiffpos",
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
_UNDECIDED = 0.5
"""Star-galaxy score of a source that may be either."""


def _drb(cuts: DecentCuts, candidate: _Candidate) -> bool:
    if cuts.min_drb <= 0 or "drb" not in candidate:
        return False
    drb = candidate["drb"]
    return drb is None or bool(drb < cuts.min_drb)


def _archive_tspan(cuts: DecentCuts, candidate: _Candidate) -> bool:
    first, last = candidate.get("jdstarthist"), candidate.get("jdendhist")
    if first is None or last is None:
        return False
    return not cuts.min_archive_tspan < last - first < cuts.max_archive_tspan


def _galactic_plane(cuts: DecentCuts, candidate: _Candidate) -> bool:
    if cuts.min_gal_lat <= 0:
        return False
    return abs(galactic_latitude(candidate["ra"], candidate["dec"])) < cuts.min_gal_lat


def _confusion(cuts: DecentCuts, candidate: _Candidate) -> bool:
    radius, tolerance = cuts.ps1_confusion_rad, cuts.ps1_confusion_sg_tol
    return all(
        candidate[distance] < radius and abs(candidate[score] - _UNDECIDED) < tolerance
        for distance, score in (
            ("distpsnr1", "sgscore1"),
            ("distpsnr2", "sgscore2"),
            ("distpsnr3", "sgscore3"),
        )
    )


_RULES: tuple[tuple[str, _Rule], ...] = (
    ("missing", lambda _, candidate: None in map(candidate.get, _REQUIRED)),
    # packets say t/f, and older ones 1/0; columnar files have true and false as well
    ("isdiffpos", lambda _, candidate: candidate["isdiffpos"] in ("f", "0", False)),
    ("rb", lambda cuts, candidate: candidate["rb"] < cuts.min_rb),
    ("drb", _drb),
    ("fwhm", lambda cuts, candidate: candidate["fwhm"] > cuts.max_fwhm),
    ("elong", lambda cuts, candidate: candidate["elong"] > cuts.max_elong),
    ("magdiff", lambda cuts, candidate: abs(candidate["magdiff"]) > cuts.max_magdiff),
    ("nbad", lambda cuts, candidate: cuts.apply_max_nbad and candidate["nbad"] > cuts.max_nbad),
    ("archive_tspan", _archive_tspan),
    ("ssdistnr", lambda cuts, candidate: 0 <= candidate["ssdistnr"] < cuts.min_sso_dist),
    ("galPlane", _galactic_plane),
    (
        "distpsnr1",
        lambda cuts, candidate: (
            candidate["distpsnr1"] < cuts.ps1_sgveto_rad
            and candidate["sgscore1"] > cuts.ps1_sgveto_th
        ),
    ),
    ("ps1Confusion", _confusion),
)
"""(reason, rule that rejects), first to last; the reasons are AMPEL's."""


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

    It differs from AMPEL where AMPEL crashes: a ``drb`` that is null is rejected (``drb``).
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
        history = self._history_reason(alert)
        if history:
            return Verdict(accept=False, reason=history)
        candidate = alert.candidate
        for reason, rejects in _RULES:
            if rejects(self, candidate):
                return Verdict(accept=False, reason=reason)
        if self.gaia_rs > 0 and self._in_gaia(alert):
            return Verdict(accept=False, reason="gaia")
        return ACCEPT

    def _history_reason(self, alert: Alert) -> str:
        """Rules on the detections of the packet; the reason, or an empty string."""
        if self.min_ndet <= 1 and self.min_tspan <= 0 and self.max_tspan == math.inf:
            return ""  # no history can fail, so it need not be decoded
        jds = alert.detection_jds()
        if len(jds) < self.min_ndet:
            return "nDet"
        return "" if self.min_tspan <= max(jds) - min(jds) <= self.max_tspan else "tSpan"

    def _in_gaia(self, alert: Alert) -> bool:
        if self._gaia is None:
            raise UnitError(
                f"DecentFilter is to look into {self.gaia_catalog} (gaia_rs > 0), but the "
                "catalogue was not opened: call open(resources) before the first alert"
            )
        return _star_in_gaia(self, self._gaia, alert.candidate["ra"], alert.candidate["dec"])

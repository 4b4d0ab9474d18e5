"""The rules of DecentFilter on the alert's own detection, in evaluation order.

Every rule says whether the candidate is rejected. They repeat AMPEL's DecentFilter (ampel-ztf
0.10), the strictness of each comparison included.
"""

from collections.abc import Callable, Mapping
from typing import Any

from ampelstream.units.filters.decent_config import DecentCuts
from ampelstream.units.galactic import galactic_latitude

__all__ = ["RULES", "Rule"]

Candidate = Mapping[str, Any]
Rule = Callable[[DecentCuts, Candidate], bool]

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


def _missing(_: DecentCuts, candidate: Candidate) -> bool:
    return None in map(candidate.get, _REQUIRED)


def _negative(_: DecentCuts, candidate: Candidate) -> bool:
    # packets say t/f, and older ones 1/0; columnar files have true and false as well
    return candidate["isdiffpos"] in ("f", "0", False)


def _rb(cuts: DecentCuts, candidate: Candidate) -> bool:
    return bool(candidate["rb"] < cuts.min_rb)


def _drb(cuts: DecentCuts, candidate: Candidate) -> bool:
    if cuts.min_drb <= 0 or "drb" not in candidate:
        return False
    drb = candidate["drb"]
    return drb is None or bool(drb < cuts.min_drb)


def _fwhm(cuts: DecentCuts, candidate: Candidate) -> bool:
    return bool(candidate["fwhm"] > cuts.max_fwhm)


def _elong(cuts: DecentCuts, candidate: Candidate) -> bool:
    return bool(candidate["elong"] > cuts.max_elong)


def _magdiff(cuts: DecentCuts, candidate: Candidate) -> bool:
    return bool(abs(candidate["magdiff"]) > cuts.max_magdiff)


def _nbad(cuts: DecentCuts, candidate: Candidate) -> bool:
    return cuts.apply_max_nbad and bool(candidate["nbad"] > cuts.max_nbad)


def _archive_tspan(cuts: DecentCuts, candidate: Candidate) -> bool:
    first, last = candidate.get("jdstarthist"), candidate.get("jdendhist")
    if first is None or last is None:
        return False
    return not cuts.min_archive_tspan < last - first < cuts.max_archive_tspan


def _solar_system(cuts: DecentCuts, candidate: Candidate) -> bool:
    return bool(0 <= candidate["ssdistnr"] < cuts.min_sso_dist)


def _galactic_plane(cuts: DecentCuts, candidate: Candidate) -> bool:
    if cuts.min_gal_lat <= 0:
        return False
    return abs(galactic_latitude(candidate["ra"], candidate["dec"])) < cuts.min_gal_lat


def _star_nearby(cuts: DecentCuts, candidate: Candidate) -> bool:
    return bool(
        candidate["distpsnr1"] < cuts.ps1_sgveto_rad and candidate["sgscore1"] > cuts.ps1_sgveto_th
    )


def _confusion(cuts: DecentCuts, candidate: Candidate) -> bool:
    radius, tolerance = cuts.ps1_confusion_rad, cuts.ps1_confusion_sg_tol
    return all(
        candidate[distance] < radius and abs(candidate[score] - _UNDECIDED) < tolerance
        for distance, score in (
            ("distpsnr1", "sgscore1"),
            ("distpsnr2", "sgscore2"),
            ("distpsnr3", "sgscore3"),
        )
    )


RULES: tuple[tuple[str, Rule], ...] = (
    ("missing", _missing),
    ("isdiffpos", _negative),
    ("rb", _rb),
    ("drb", _drb),
    ("fwhm", _fwhm),
    ("elong", _elong),
    ("magdiff", _magdiff),
    ("nbad", _nbad),
    ("archive_tspan", _archive_tspan),
    ("ssdistnr", _solar_system),
    ("galPlane", _galactic_plane),
    ("distpsnr1", _star_nearby),
    ("ps1Confusion", _confusion),
)
"""(reason, rule), first to last; the reasons are AMPEL's."""

"""Whether an alert lies on a star, by motion or parallax in Gaia."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ampelstream.units.filters.decent_config import DecentCuts

if TYPE_CHECKING:
    from ampelstream.sky.catalogs import Catalog

__all__ = ["GAIA_COLUMNS", "star_in_gaia"]

GAIA_COLUMNS = (
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


def star_in_gaia(cuts: DecentCuts, catalog: "Catalog", ra: float, dec: float) -> bool:
    """Tell whether a source near the position moves like a star of ours.

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
        for match in catalog.cone(ra, dec, cuts.gaia_rs, GAIA_COLUMNS)
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

"""What notices do not say because everybody knows it: of missions and their instruments."""

import math
import re
from typing import NamedTuple

__all__ = ["GBM_SYSTEMATIC_DEG", "Mission", "containment_of", "mission_of", "with_systematic"]

GBM_SYSTEMATIC_DEG = 3.7
"""Systematic error of a localisation by Fermi GBM [deg], as a radius of 68 %: the core of the model
of Connaughton et al. 2015 (ApJS 216, 32), which holds for nine of ten bursts. Its tail, 14 deg for
the tenth, is left out: it would double the area of all."""

_GBM_CONTAINMENT = 0.68
_CONTAINMENT = 0.9
"""What GCN's schema takes where a notice does not say; so do the classic notices of Swift,
INTEGRAL, Fermi LAT and AMON."""


class Mission(NamedTuple):
    """A mission: its name as its community spells it, and the kind of its events."""

    name: str
    kind: str


_KNOWN = {
    "agile": Mission("AGILE", "grb"),
    "amon": Mission("AMON", "neutrino"),
    "astrosat": Mission("AstroSat", "grb"),
    "blackcat": Mission("BlackCAT", "xray"),
    "burstcube": Mission("BurstCube", "grb"),
    "calet": Mission("CALET", "grb"),
    "chime": Mission("CHIME", "frb"),
    "dsa110": Mission("DSA-110", "frb"),
    "einsteinprobe": Mission("EP", "xray"),
    "ep": Mission("EP", "xray"),
    "fermi": Mission("Fermi", "grb"),
    "gecam": Mission("GECAM", "grb"),
    "glowbug": Mission("Glowbug", "grb"),
    "hete": Mission("HETE", "grb"),
    "icecube": Mission("IceCube", "neutrino"),
    "integral": Mission("INTEGRAL", "grb"),
    "km3net": Mission("KM3NeT", "neutrino"),
    "konus": Mission("Konus-Wind", "grb"),
    "lvc": Mission("LVK", "gw"),
    "lvk": Mission("LVK", "gw"),
    "maxi": Mission("MAXI", "xray"),
    "snews": Mission("SNEWS", "neutrino"),
    "superk": Mission("Super-Kamiokande", "neutrino"),
    "superkamiokande": Mission("Super-Kamiokande", "neutrino"),
    "svom": Mission("SVOM", "grb"),
    "swift": Mission("Swift", "grb"),
}
_MESSENGERS = {"gw": "gw", "neutrino": "neutrino"}


def mission_of(name: str, messenger: str = "") -> Mission:
    """Mission of that name, in whatever spelling; an unknown one is of the kind of its messenger.

    Parameters
    ----------
    name
        ``"Einstein Probe"``, ``"einstein_probe"``, ``"SWIFT"``.
    messenger
        ``"EM"``, ``"GW"`` or ``"Neutrino"``, where the notice says.
    """
    known = _KNOWN.get(re.sub(r"[^a-z0-9]", "", name.lower()))
    return known or Mission(name, _MESSENGERS.get(messenger.lower(), "other"))


def containment_of(mission: str, instrument: str) -> float:
    """Probability within the error that a notice gives, where it does not say.

    Parameters
    ----------
    mission, instrument
        As here; ``"Fermi"``, ``"GBM"``.
    """
    return _GBM_CONTAINMENT if _is_gbm(mission, instrument) else _CONTAINMENT


def with_systematic(
    radius: float, containment: float, mission: str, instrument: str
) -> tuple[float, str]:
    """Radius [deg] with the systematic error that a statistical one leaves out, and what was done.

    Parameters
    ----------
    radius, containment
        Statistical error [deg] and the probability within.
    mission, instrument
        As here.
    """
    if not _is_gbm(mission, instrument):
        return radius, ""
    # both radii at the same containment, of Gaussians
    scale = math.sqrt(math.log1p(-containment) / math.log1p(-_GBM_CONTAINMENT))
    note = f"{GBM_SYSTEMATIC_DEG} deg (68 %) of systematic error added in quadrature"
    return math.hypot(radius, GBM_SYSTEMATIC_DEG * scale), note


def _is_gbm(mission: str, instrument: str) -> bool:
    return mission == "Fermi" and instrument.upper().startswith("GBM")

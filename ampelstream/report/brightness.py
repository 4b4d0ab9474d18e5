"""From apparent to absolute magnitude: distance modulus, and extinction in the Milky Way."""

import math
from dataclasses import dataclass

from ampelstream.report.views import Facts

__all__ = ["EXTINCTION", "Luminosity", "luminosity_of"]

EXTINCTION = {"u": 4.145, "g": 3.237, "r": 2.273, "i": 1.684, "z": 1.323, "y": 1.088}
"""Extinction over reddening, A / E(B-V), in the bands of LSST for R_V = 3.1: Schlafly & Finkbeiner
2011 (ApJ 737, 103), table 6. ZTF's bands are close to them; where they differ, by some 3 %."""

_TEN_PARSEC_PER_MPC = 1e5


@dataclass(frozen=True, slots=True)
class Luminosity:
    """What turns the magnitudes of a candidate into absolute ones.

    Attributes
    ----------
    modulus
        Distance modulus [mag]; None without a distance.
    ebv
        Reddening E(B-V) in the Milky Way [mag] that a unit gave; None without.
    """

    modulus: float | None = None
    ebv: float | None = None

    def extinction(self, band: str) -> float:
        """Extinction in a band [mag]; 0 where nothing is known of it."""
        return 0.0 if self.ebv is None else EXTINCTION.get(band, 0.0) * self.ebv

    @property
    def correction(self) -> str:
        """What was done about extinction, in words."""
        if self.ebv is None:
            return "not corrected for extinction"
        return f"corrected for E(B−V) = {self.ebv:.3f}"  # noqa: RUF001  (a minus sign)


def luminosity_of(facts: Facts) -> Luminosity:
    """Distance modulus of the distance that a candidate's tables show, and its reddening."""
    distance = facts.distance_mpc
    modulus = None if distance is None else 5 * math.log10(distance * _TEN_PARSEC_PER_MPC)
    return Luminosity(modulus, facts.ebv)

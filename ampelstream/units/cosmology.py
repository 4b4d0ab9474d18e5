"""Distances for a redshift (Planck 2015), remembered so that they cost nothing per alert."""

from functools import lru_cache
from typing import NamedTuple

__all__ = ["Distances", "distances"]


_FARTHEST = 1000.0
"""Nothing shines from before recombination (z about 1090); larger numbers are not redshifts."""


class Distances(NamedTuple):
    """What a redshift means.

    Attributes
    ----------
    luminosity_mpc
        Luminosity distance [Mpc].
    modulus
        Distance modulus [mag].
    kpc_per_arcmin
        Proper transverse size of an arc minute at that redshift [kpc].
    """

    luminosity_mpc: float
    modulus: float
    kpc_per_arcmin: float


@lru_cache(maxsize=65536)
def distances(redshift: float) -> Distances | None:
    """Distances at a redshift in astropy's Planck15 cosmology; None where there is none.

    Parameters
    ----------
    redshift
        Above 0 and at most 1000; for others (a blueshifted neighbour) there is no distance.
    """
    if not 0 < redshift <= _FARTHEST:
        return None
    from astropy.cosmology import Planck15  # noqa: PLC0415  (a second of import, for scores only)

    return Distances(
        luminosity_mpc=float(Planck15.luminosity_distance(redshift).value),
        modulus=float(Planck15.distmod(redshift).value),
        kpc_per_arcmin=float(Planck15.kpc_proper_per_arcmin(redshift).value),
    )

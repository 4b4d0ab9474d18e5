"""Error ellipses on the sky, as notices give positions, and maps that they only name."""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

__all__ = ["Ellipse", "FetchedMap", "MapAt", "no_map"]


class Ellipse(msgspec.Struct, frozen=True):
    """A position and its error: a circle where both axes are the same.

    Attributes
    ----------
    ra, dec
        Centre [deg].
    semi_major, semi_minor
        Semi-axes [deg], systematic errors included; either may be the longer one.
    angle
        Position angle of the first axis [deg], from north through east.
    containment
        Probability within the ellipse, between 0 and 1.
    """

    ra: float
    dec: float
    semi_major: float
    semi_minor: float
    angle: float = 0.0
    containment: float = 0.9


class FetchedMap(NamedTuple):
    """What came of fetching a sky map that a notice only names.

    Attributes
    ----------
    data
        The FITS file; empty where there is none.
    fault
        Why there is none.
    """

    data: bytes
    fault: str


MapAt = Callable[[str], FetchedMap | None]
"""Gives the sky map at an address; None where none is asked for."""


def no_map(_url: str) -> None:
    """Ask for no sky map at all."""

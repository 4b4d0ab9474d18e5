"""Units of measure of a sky map's columns (TUNITn), and what makes [1/sr] and [Mpc] of them."""

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from astropy import units

from ampelstream.codecs.fitsheader import DENSITY, MapColumn

__all__ = ["LENGTHS", "ProbabilityUnit", "UnfitUnit", "length_factors", "probability_unit"]

_LONGEST = 40
"""Characters of a unit that is looked at."""
_WORDS = {
    # files spell them in any case; nobody means the millipc that "mpc" is by the book
    word.lower(): word
    for word in ("sr", "steradian", "deg", "arcmin", "arcsec", "rad", "pix", "pixel", "pc")
} | {"kpc": "kpc", "mpc": "Mpc", "gpc": "Gpc"}
_PIXEL = units.pix**-1
_ANGLE = units.sr**-1
LENGTHS = ("DISTMU", "DISTSIGMA", "DISTNORM")
"""Columns of the distance; the last is in one over the square of a length."""
_POWERS = (1, 1, -2)


class UnfitUnit(ValueError):  # noqa: N818  (named for what is wrong)
    """A unit is not known, or is none of what the column holds."""


class ProbabilityUnit(NamedTuple):
    """What a column of probability is given in.

    Attributes
    ----------
    factor
        What makes probability per pixel, or per steradian, of its values.
    per_pixel
        Which of the two.
    """

    factor: float
    per_pixel: bool


def probability_unit(key: str, column: MapColumn) -> ProbabilityUnit:
    """Unit of a column of probability; without TUNIT what its name says.

    Parameters
    ----------
    key
        Name of the column, in capitals.
    column
        As the file has it.

    Raises
    ------
    UnfitUnit
        It is neither per pixel nor per solid angle.
    """
    by_name = ProbabilityUnit(1.0, per_pixel=key != DENSITY)
    if not column.unit:
        return by_name
    unit = _parsed(column.unit)
    if unit is not None:
        if unit.is_equivalent(_ANGLE):
            return ProbabilityUnit(_factor(unit, _ANGLE, column), per_pixel=False)
        if unit.is_equivalent(_PIXEL):
            return ProbabilityUnit(_factor(unit, _PIXEL, column), per_pixel=True)
        if unit.is_equivalent(units.dimensionless_unscaled) and by_name.per_pixel:
            return ProbabilityUnit(_factor(unit, units.dimensionless_unscaled, column), True)  # noqa: FBT003  (as above)
    raise UnfitUnit(
        f"TUNIT{column.number} = {column.unit!r:.60} of the column {column.name} is no probability "
        "per pixel (pix-1) nor per solid angle (sr-1, deg-2); write which of these it is"
    )


def length_factors(columns: Mapping[str, MapColumn]) -> tuple[float, float, float]:
    """What makes Mpc, Mpc and Mpc^-2 of DISTMU, DISTSIGMA and DISTNORM.

    Without any TUNIT they are in Mpc; one without it is in the unit of DISTMU.

    Raises
    ------
    UnfitUnit
        A unit is no length, or not one over the square of a length.
    """
    first = 1.0
    factors: list[float] = []
    for key, power in zip(LENGTHS, _POWERS, strict=True):
        column, wanted = columns[key], units.Mpc**power
        unit = _parsed(column.unit) if column.unit else None
        if not column.unit:
            factors.append(first**power)
        elif unit is not None and unit.is_equivalent(wanted):
            factors.append(_factor(unit, wanted, column))
        else:
            kind = "length (Mpc)" if power > 0 else "length to the power of -2 (Mpc-2)"
            raise UnfitUnit(
                f"TUNIT{column.number} = {column.unit!r:.60} of the column {column.name} is no "
                f"{kind}; write which one it is"
            )
        first = factors[0]
    mu, sigma, norm = factors
    return mu, sigma, norm


def _parsed(text: str) -> units.UnitBase | None:
    """A unit, as astropy reads it, whatever the case of the letters; None where it is none."""
    if len(text) > _LONGEST:
        return None
    spelled = re.sub("[A-Za-z]+", lambda word: _WORDS.get(word[0].lower(), word[0]), text)
    try:
        return units.Unit(spelled)
    except (ValueError, TypeError, ArithmeticError):
        return None


def _factor(unit: units.UnitBase, wanted: units.UnitBase, column: MapColumn) -> float:
    with np.errstate(all="ignore"):
        factor = float(unit.to(wanted))
    if not 0 < factor < np.inf:
        raise UnfitUnit(
            f"TUNIT{column.number} = {column.unit!r:.60} of the column {column.name} is out of "
            "range; write pix-1 or sr-1, and Mpc"
        )
    return factor

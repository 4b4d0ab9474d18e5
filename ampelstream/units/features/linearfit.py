"""A straight line through points with errors."""

import math
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Slope", "fit_slope"]


class Slope(NamedTuple):
    """Slope of a weighted linear fit, per unit of time.

    Attributes
    ----------
    value, error
        Slope and its 1-sigma error, from the errors of the points alone.
    """

    value: float
    error: float

    @property
    def significance(self) -> float:
        """Slope in units of its error."""
        return self.value / self.error


def fit_slope(
    times: Sequence[float], values: Sequence[float], errors: Sequence[float]
) -> Slope | None:
    """Least squares with weights 1/error^2.

    Parameters
    ----------
    times, values, errors
        Of the same length; errors above 0.

    Returns
    -------
    Slope or None
        None for fewer than two different times.
    """
    if len(times) < 2:  # noqa: PLR2004  (a line needs two points)
        return None
    weights = [1.0 / error**2 for error in errors]
    total = math.fsum(weights)
    # times are Julian dates: differences first, or the squares lose all their digits
    offsets = [time - times[0] for time in times]
    centre = math.fsum(w * t for w, t in zip(weights, offsets, strict=True)) / total
    middle = math.fsum(w * v for w, v in zip(weights, values, strict=True)) / total
    spread = math.fsum(w * (t - centre) ** 2 for w, t in zip(weights, offsets, strict=True))
    if not (min(offsets) < max(offsets) and spread > 0):
        return None
    covariance = math.fsum(
        w * (t - centre) * (v - middle) for w, t, v in zip(weights, offsets, values, strict=True)
    )
    return Slope(covariance / spread, 1.0 / math.sqrt(spread))

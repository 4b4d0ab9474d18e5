"""The distance part of a sky map: p(r) proportional to r^2 N(r; mu, sigma), r >= 0.

The form is that of Singer et al. 2016, ApJL 829, L15. Its moments are those of a truncated normal
distribution, by integrating r^n N(r; mu, sigma) by parts.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

__all__ = ["mean_and_std", "norm"]

_Array = NDArray[np.float64]


def _raw_moments(mu: ArrayLike, sigma: ArrayLike) -> tuple[_Array, _Array, _Array]:
    """Integrals of r^2, r^3 and r^4 times N(r; mu, sigma) over r >= 0."""
    mean, width = np.asarray(mu, dtype=float), np.asarray(sigma, dtype=float)
    above = ndtr(mean / width)
    edge = width * np.exp(-0.5 * (mean / width) ** 2) / np.sqrt(2.0 * np.pi)
    first = mean * above + edge
    second = mean * first + width**2 * above
    third = mean * second + 2.0 * width**2 * first
    fourth = mean * third + 3.0 * width**2 * second
    return second, third, fourth


def norm(mu: ArrayLike, sigma: ArrayLike) -> _Array:
    """Normalisation [1/Mpc^2] that makes p(r) integrate to 1."""
    return 1.0 / _raw_moments(mu, sigma)[0]


def mean_and_std(weight: _Array, mu: _Array, sigma: _Array) -> tuple[float, float]:
    """Mean and standard deviation [Mpc] of the distance over all directions.

    Parameters
    ----------
    weight
        Probability of each tile, summing to 1, shape (n,).
    mu, sigma
        Its distance parameters [Mpc], shape (n,).
    """
    second, third, fourth = _raw_moments(mu, sigma)
    mean = float(np.sum(weight * third / second))
    square = float(np.sum(weight * fourth / second))
    return mean, float(np.sqrt(square - mean**2))

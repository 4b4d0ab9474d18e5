"""Moments of the distance ansatz p(r) ~ r^2 N(r; mu, sigma), r >= 0."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from ampelstream.sky.tiles import Distances

__all__ = ["Moments", "marginal_moments"]

# below this mu/sigma the recurrence loses digits (as x^4 eps), and the quadrature is exact
_FAR_BELOW = -8.0
_NODES = 48


class Moments(NamedTuple):
    """Mean and standard deviation [Mpc]."""

    mean: float
    std: float


def marginal_moments(probability: NDArray[np.float64], distances: Distances) -> Moments:
    """Moments over the whole sky.

    Parameters
    ----------
    probability
        Of each tile, shape (n,); not normalised here, as ligo.skymap does not either.
    distances
        Of each tile; those without one do not count.
    """
    good = distances.norm > 0
    sigma, weight = distances.sigma[good], probability[good]
    first, second = _conditional(distances.mu[good] / sigma)
    mean = float(np.sum(weight * sigma * first))
    square = float(np.sum(weight * sigma**2 * second))
    return Moments(mean, float(np.sqrt(max(square - mean**2, 0.0))))


def _conditional(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """E(t) and E(t^2) of t = r / sigma with density ~ t^2 exp(-(t - x)^2 / 2), t >= 0.

    The truncated normal's moments follow m[n] = x m[n-1] + (n-1) m[n-2] for n >= 2, from
    m[0] = 1 and m[1] = x + h(x), h the density over the distribution function at x.
    """
    safe = np.maximum(x, _FAR_BELOW)
    hazard = np.exp(-0.5 * safe**2 - 0.5 * np.log(2 * np.pi) - log_ndtr(safe))
    m1 = safe + hazard
    m2 = safe * m1 + 1
    m3 = safe * m2 + 2 * m1
    m4 = safe * m3 + 3 * m2
    first, second = m3 / m2, m4 / m2
    far = x < _FAR_BELOW
    if far.any():
        first[far], second[far] = _far_below(-x[far])
    return first, second


def _far_below(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The same for mu = -x sigma far below zero, with u = x t: u^2 exp(-u) exp(-u^2 / 2 x^2)."""
    node, weight = np.polynomial.laguerre.laggauss(_NODES)
    kernel = weight * node**2 * np.exp(-0.5 * (node / x[:, None]) ** 2)
    zeroth = kernel.sum(axis=1)
    return kernel @ node / zeroth / x, kernel @ node**2 / zeroth / x**2

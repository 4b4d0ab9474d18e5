"""The third dimension: a map's distance, and the greedy ranking by density per volume.

A tile has the distance ansatz p(r) ~ r^2 N(r; mu, sigma), r >= 0. Its moments are summed over the
tiles to the distance of the whole map.

Along the line of sight of a tile the density per volume, rho(r) = density norm N(r; mu, sigma), is
a Gaussian without the r^2 of the ansatz. Where it exceeds a threshold is an interval around mu, and
the probability in an interval is elementary: the sum over the tiles needs neither a grid nor a
sort. ligo.skymap's ``crossmatch`` sums over voxels instead, with the same limit; what is kept of
its grid is the distance at which it takes the density, so that the values can be compared.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtr

from ampelstream.sky.tiles import Distances, Tiles, falling

__all__ = ["Moments", "Volume", "marginal_moments", "sight_moments"]

_STEPS = 1000
_REACH = 6
"""ligo.skymap 2.5: a thousand steps up to six times the mean distance, or the farthest position."""

_ROOT_TAU = float(np.sqrt(2 * np.pi))
_HALF_LOG_TAU = 0.5 * np.log(2 * np.pi)

# below this mu/sigma the recurrence loses digits (as x^4 eps), and the quadrature is exact
_FAR_BELOW = -8.0
_NODES = 48
_PART = 1 << 16
"""Tiles at a time: a map may have millions, and the intermediates of all would be many times it."""


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
    first, second = _by_parts(_conditional, distances.mu[good] / sigma)
    mean = float(np.sum(weight * sigma * first))
    square = float(np.sum(weight * sigma**2 * second))
    return Moments(mean, float(np.sqrt(max(square - mean**2, 0.0))))


def sight_moments(distances: Distances, tile: int) -> Moments:
    """Moments along the line of sight of a tile that has a distance.

    The same as `marginal_moments` of that tile alone, to the last bit, at a fifth of its cost: it
    is asked for each candidate.
    """
    mu, sigma = distances.mu[tile], distances.sigma[tile]
    x = mu / sigma
    if not x >= _FAR_BELOW:
        one = slice(tile, tile + 1)
        alone = Distances(mu=distances.mu[one], sigma=distances.sigma[one], norm=np.ones(1))
        return marginal_moments(np.ones(1), alone)
    first, second = _by_recurrence(x)
    mean, square = float(sigma * first), float(sigma * sigma * second)
    return Moments(mean, float(np.sqrt(max(square - mean**2, 0.0))))


def _by_recurrence(x: Any) -> tuple[Any, Any]:
    """E(t) and E(t^2) as below, for numbers or arrays that are not far below zero.

    The truncated normal's moments follow m[n] = x m[n-1] + (n-1) m[n-2] for n >= 2, from
    m[0] = 1 and m[1] = x + h(x), h the density over the distribution function at x.
    """
    hazard = np.exp(-0.5 * (x * x) - _HALF_LOG_TAU - log_ndtr(x))
    m1 = x + hazard
    m2 = x * m1 + 1
    m3 = x * m2 + 2 * m1
    m4 = x * m3 + 3 * m2
    return m3 / m2, m4 / m2


def _conditional(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """E(t) and E(t^2) of t = r / sigma with density ~ t^2 exp(-(t - x)^2 / 2), t >= 0."""
    first, second = _by_recurrence(np.maximum(x, _FAR_BELOW))
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


class Volume:
    """Posterior density per volume of a map with distances.

    Parameters
    ----------
    tiles
        The sky, with distances.
    total
        Probability of the whole map, to normalise by.
    """

    def __init__(self, tiles: Tiles, total: float) -> None:
        distances = tiles.distances
        if distances is None:
            raise ValueError("a map without distances has no volume")
        probability = tiles.density * tiles.area()
        self._reach = _REACH * marginal_moments(probability, distances).mean
        self._tiles, self._distances = tiles, distances
        peak = _peak(tiles.density, distances.norm, distances.sigma)
        ranked = falling(peak)
        ranked = ranked[peak[ranked] > 0]
        self._depth = -np.log(peak[ranked])
        self._mu, self._sigma = distances.mu[ranked], distances.sigma[ranked]
        self._weight = probability[ranked] * distances.norm[ranked] / total

    def voxel(self, distance: float, farthest: float) -> float:
        """Distance [Mpc] of the voxel that a distance [Mpc] falls in: its near edge.

        Parameters
        ----------
        distance
            The position's.
        farthest
            Largest distance asked for together with it; the grid reaches that far.
        """
        step = max(self._reach, farthest) / _STEPS
        return step * min(max(int(distance / step), 1), _STEPS - 1)

    def density(self, tile: int, distance: float) -> float:
        """Probability per volume [1/Mpc^3] in a tile at a distance [Mpc]."""
        mu, sigma = float(self._distances.mu[tile]), float(self._distances.sigma[tile])
        peak = _peak(self._tiles.density[tile], self._distances.norm[tile], sigma)
        return float(np.exp(-0.5 * ((distance - mu) / sigma) ** 2) * peak)

    def probability_above(self, density: float) -> float:
        """Probability of all positions with at least that density [1/Mpc^3], at most 1."""
        if density > 0:
            depth = -np.log(density)
            count = int(np.searchsorted(self._depth, depth, side="right"))
            half = np.sqrt(2 * (depth - self._depth[:count]))
        else:
            count = len(self._depth)
            half = np.full(count, np.inf)
        (inside,) = _by_parts(_between, self._mu[:count], self._sigma[:count], half)
        return min(float(np.sum(self._weight[:count] * inside)), 1.0)


def _peak(density: Any, norm: Any, sigma: Any) -> Any:
    """Highest probability per volume [1/Mpc^3] along the line of sight of a tile."""
    return density * norm / (sigma * _ROOT_TAU)


def _by_parts(
    function: Callable[..., tuple[NDArray[np.float64], ...]], *arguments: NDArray[np.float64]
) -> list[NDArray[np.float64]]:
    """Values of a function of each tile, for so many tiles at a time: it has many intermediates."""
    begins = range(0, len(arguments[0]), _PART) or range(1)
    parts = [function(*(one[begin : begin + _PART] for one in arguments)) for begin in begins]
    return [one[0] if len(one) == 1 else np.concatenate(one) for one in zip(*parts, strict=True)]


def _between(
    mu: NDArray[np.float64], sigma: NDArray[np.float64], half: NDArray[np.float64]
) -> tuple[NDArray[np.float64]]:
    """Integral of r^2 N(r; mu, sigma) [Mpc^2] over |r - mu| <= half sigma, r >= 0.

    With z = (r - mu) / sigma it is (mu^2 + sigma^2) Phi(z) - sigma (r + mu) phi(z), from the lower
    to the upper end; r phi(z) vanishes where z is infinite.
    """
    low, high = np.maximum(-half, -mu / sigma), half
    low = np.minimum(low, high)
    # differences of upper tails where both ends lie above: the lower ones would cancel
    side = np.where(low > 0, -1.0, 1.0)
    mass = side * (ndtr(side * high) - ndtr(side * low))
    ends = [
        np.where(np.isfinite(z), (2 * mu + np.where(np.isfinite(z), z, 0.0) * sigma), 0.0)
        * np.exp(-0.5 * z**2)
        for z in (low, high)
    ]
    integral = (mu**2 + sigma**2) * mass - sigma / _ROOT_TAU * (ends[1] - ends[0])
    positive: NDArray[np.float64] = np.maximum(integral, 0.0)
    return (positive,)

"""The greedy ranking in three dimensions: how much probability lies where it is denser.

Along the line of sight of a tile the density per volume, rho(r) = density norm N(r; mu, sigma), is
a Gaussian without the r^2 of the ansatz. Where it exceeds a threshold is an interval around mu, and
the probability in an interval is elementary: the sum over the tiles needs neither a grid nor a
sort. ligo.skymap's ``crossmatch`` sums over voxels instead, with the same limit; what is kept of
its grid is the distance at which it takes the density, so that the values can be compared.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from ampelstream.sky.distance import marginal_moments
from ampelstream.sky.tiles import Tiles

__all__ = ["Volume"]

_STEPS = 1000
_REACH = 6
"""ligo.skymap 2.5: a thousand steps up to six times the mean distance, or the farthest position."""

_ROOT_TAU = float(np.sqrt(2 * np.pi))


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
        self._peak = tiles.density * distances.norm / (distances.sigma * _ROOT_TAU)
        ranked = np.argsort(-self._peak, kind="stable")
        ranked = ranked[self._peak[ranked] > 0]
        self._depth = -np.log(self._peak[ranked])
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
        return float(np.exp(-0.5 * ((distance - mu) / sigma) ** 2) * self._peak[tile])

    def probability_above(self, density: float) -> float:
        """Probability of all places with at least that density [1/Mpc^3], at most 1."""
        if density > 0:
            depth = -np.log(density)
            count = int(np.searchsorted(self._depth, depth, side="right"))
            half = np.sqrt(2 * (depth - self._depth[:count]))
        else:
            count = len(self._depth)
            half = np.full(count, np.inf)
        inside = _between(self._mu[:count], self._sigma[:count], half)
        return min(float(np.sum(self._weight[:count] * inside)), 1.0)


def _between(
    mu: NDArray[np.float64], sigma: NDArray[np.float64], half: NDArray[np.float64]
) -> NDArray[np.float64]:
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
    return positive

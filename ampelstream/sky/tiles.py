"""The sky cut into HEALPix pixels of mixed orders, each with a probability density."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ampelstream.sky.healpix import ORDER

__all__ = ["SQUARE_DEGREES", "Distances", "Tiles"]

SQUARE_DEGREES = (180 / np.pi) ** 2
"""Square degrees per steradian."""

_BASE_PIXELS = 12


@dataclass(frozen=True, slots=True, eq=False)
class Distances:
    """Distance ansatz of each tile: p(r) = norm r^2 N(r; mu, sigma), Singer et al. 2016.

    The reference is ApJL 829, L15. A tile without a distance has mu = inf, sigma = 1, norm = 0.

    Attributes
    ----------
    mu, sigma
        Location and scale [Mpc], shape (n,).
    norm
        Normalisation [1/Mpc^2], shape (n,).
    """

    mu: NDArray[np.float64]
    sigma: NDArray[np.float64]
    norm: NDArray[np.float64]

    @classmethod
    def of(
        cls, mu: NDArray[np.float64], sigma: NDArray[np.float64], norm: NDArray[np.float64]
    ) -> "Distances":
        """Spell tiles without a distance one way; files have infinities, nan or zeros there."""
        good = np.isfinite(mu) & np.isfinite(sigma) & np.isfinite(norm) & (sigma > 0) & (norm > 0)
        return cls(
            _frozen(np.where(good, mu, np.inf)),
            _frozen(np.where(good, sigma, 1.0)),
            _frozen(np.where(good, norm, 0.0)),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Tiles:
    """Tiles in the order of their position in the nested scheme; they do not overlap.

    Attributes
    ----------
    start29
        First order-29 nested pixel, shape (n,).
    order
        HEALPix order, shape (n,).
    density
        Probability density [1/sr], shape (n,).
    distances
        None for a map without distances.
    """

    start29: NDArray[np.int64]
    order: NDArray[np.int8]
    density: NDArray[np.float64]
    distances: Distances | None = None

    def __post_init__(self) -> None:
        for array in (self.start29, self.order, self.density):
            array.flags.writeable = False

    def stop29(self) -> NDArray[np.int64]:
        """One past the last order-29 nested pixel, shape (n,)."""
        stop: NDArray[np.int64] = self.start29 + (
            np.int64(1) << 2 * (ORDER - self.order.astype(np.int64))
        )
        return stop

    def area(self) -> NDArray[np.float64]:
        """Area [sr], shape (n,)."""
        area: NDArray[np.float64] = 4 * np.pi / _BASE_PIXELS / np.exp2(2.0 * self.order)
        return area


def _frozen(array: NDArray[np.float64]) -> NDArray[np.float64]:
    array.flags.writeable = False
    return array

"""The greedy ranking of tiles: densest first, how much probability has been seen when."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ampelstream.sky.tiles import SQUARE_DEGREES, Tiles

__all__ = ["Ranking"]


class Ranking:
    """Tiles by density, densest first.

    Tiles of equal density stand together: the credible level of each is that behind the last of
    them. No order among them would mean anything, and so the levels do not depend on how finely
    the sky is cut.

    Parameters
    ----------
    tiles
        The sky.
    """

    def __init__(self, tiles: Tiles) -> None:
        self._tiles = tiles

    @cached_property
    def _steps(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Tiles by falling density, and the last place in that order of each equal density."""
        density = self._tiles.density
        order = np.argsort(-density, kind="stable")
        ranked = density[order]
        last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
        return order, last

    @cached_property
    def _cumulative(self) -> NDArray[np.float64]:
        """Probability, as the map has it, behind each place in the order."""
        order, _ = self._steps
        probability: NDArray[np.float64] = (self._tiles.density * self._tiles.area())[order]
        return np.cumsum(probability)

    @property
    def total(self) -> float:
        """Probability of the whole map; 1 but for rounding, by rights."""
        return float(self._cumulative[-1])

    @cached_property
    def level(self) -> NDArray[np.float64]:
        """Credible level of each tile, itself included, shape (n,); 1 where the density is zero."""
        order, last = self._steps
        place = np.searchsorted(last, np.arange(len(order)))
        level = np.empty(len(order))
        level[order] = (self._cumulative[last] / self.total)[place]
        level.flags.writeable = False
        return level

    @cached_property
    def _profile(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Probability and area [deg2] behind each density, from none on."""
        order, last = self._steps
        area = np.cumsum(self._tiles.area()[order])[last] * SQUARE_DEGREES
        probability = self._cumulative[last] / self.total
        return np.append(0.0, probability), np.append(0.0, area)

    def area(self, level: float) -> float:
        """Area [deg2] of the smallest region of that probability; part of a tile counts as part."""
        probability, area = self._profile
        return float(np.interp(level, probability, area))

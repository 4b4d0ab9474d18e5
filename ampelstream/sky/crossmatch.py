"""Credible levels: the greedy ranking of tiles, and what it says of positions.

Tiles are ranked by density, densest first; the credible level of a position is the probability of
all that is at least as dense. Words mean what they mean in ligo.skymap's ``crossmatch``.
"""

from collections.abc import Sequence
from functools import cached_property

import msgspec
import numpy as np
from numpy.typing import NDArray

from ampelstream.errors import SkyMapError
from ampelstream.sky.tiles import SQUARE_DEGREES, Lookup, Tiles, falling
from ampelstream.sky.volume import Volume

__all__ = ["Crossmatch", "Crossmatcher", "Position", "Ranking"]

Position = tuple[float, float, float | None]
"""Right ascension [deg], declination [deg], luminosity distance [Mpc] or None."""


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
        self._areas: dict[float, float] = {}

    def _ranked(self) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
        """Tiles by falling density, the last rank of each equal density, and sums of probability.

        The sums are the probability, as the map has it, up to each rank. All this is made anew for
        each of its few uses: of a map of millions of tiles it would take more memory than the map.
        """
        density = self._tiles.density
        order = falling(density)
        ranked = density[order]
        last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
        probability: NDArray[np.float64] = density * self._tiles.area()
        return order, last, np.cumsum(probability[order])

    @cached_property
    def _levels(self) -> tuple[NDArray[np.float64], float]:
        """Credible level of each tile, and the probability of the whole map, in one ranking."""
        order, last, cumulative = self._ranked()
        total = float(cumulative[-1])
        level = np.empty(len(order))
        level[order] = np.repeat(cumulative[last] / total, np.diff(last, prepend=-1))
        level.flags.writeable = False
        return level, total

    @property
    def total(self) -> float:
        """Probability of the whole map; 1 but for rounding, by rights."""
        return self._levels[1]

    @property
    def level(self) -> NDArray[np.float64]:
        """Credible level of each tile, itself included, shape (n,); 1 where the density is zero."""
        return self._levels[0]

    @cached_property
    def _profile(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Probability and area [deg2] behind each density, from none on."""
        order, last, cumulative = self._ranked()
        area = np.cumsum(self._tiles.area()[order])[last] * SQUARE_DEGREES
        probability = cumulative[last] / float(cumulative[-1])
        return np.append(0.0, probability), np.append(0.0, area)

    def area(self, level: float) -> float:
        """Area [deg2] of the smallest region of that probability; part of a tile counts as part.

        What was asked for is kept: each candidate asks for the same, and numpy lets go of the
        interpreter meanwhile, which another thread then has for longer than this takes.
        """
        if level not in self._areas:
            probability, area = self._profile
            self._areas[level] = float(np.interp(level, probability, area))
        return self._areas[level]


class Crossmatch(msgspec.Struct, frozen=True, gc=False):
    """What a map says of a position.

    Attributes
    ----------
    searched_prob
        Credible level: probability of all tiles at least as dense, 0..1.
    probdensity_per_sr
        Probability density [1/sr], as the file has it.
    searched_prob_vol
        The same level in three dimensions; None without a distance.
    probdensity_vol
        Probability density [1/Mpc^3]; None without a distance.
    """

    searched_prob: float
    probdensity_per_sr: float
    searched_prob_vol: float | None = None
    probdensity_vol: float | None = None


class Crossmatcher:
    """Answers for positions.

    Parameters
    ----------
    tiles, ranking, lookup
        The sky, its credible levels, and how to find a tile.
    """

    def __init__(self, tiles: Tiles, ranking: Ranking, lookup: Lookup) -> None:
        self._tiles, self._ranking, self._lookup = tiles, ranking, lookup

    @cached_property
    def _volume(self) -> Volume | None:
        return Volume(self._tiles, self._ranking.total) if self._tiles.distances else None

    def match(self, positions: Sequence[Position]) -> list[Crossmatch]:
        """Give an answer for each position; see ``SkyMap.crossmatch``.

        Raises
        ------
        SkyMapError
            One of them is no position, or a distance is not positive.
        """
        farthest = 0.0
        for ra, dec, distance in positions:
            if distance is not None and not 0 < distance < np.inf:
                raise SkyMapError(
                    f"the distance {distance} Mpc at ra={ra}, dec={dec} is not positive"
                )
            farthest = max(farthest, distance or 0.0)
        return [self._one(position, farthest) for position in positions]

    def _one(self, position: Position, farthest: float) -> Crossmatch:
        ra, dec, distance = position
        tile = self._lookup.tile(ra, dec)
        level, density = 1.0, 0.0
        if tile >= 0:
            level, density = float(self._ranking.level[tile]), float(self._tiles.density[tile])
        if distance is None or self._volume is None:
            return Crossmatch(level, density)
        voxel = self._volume.voxel(distance, farthest)
        density_vol = self._volume.density(tile, voxel) if tile >= 0 else 0.0
        return Crossmatch(level, density, self._volume.probability_above(density_vol), density_vol)

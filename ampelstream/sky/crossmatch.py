"""What a sky map says of positions, with ligo.skymap's ``crossmatch`` for the meaning of words."""

from collections.abc import Sequence
from functools import cached_property

import msgspec
import numpy as np

from ampelstream.errors import SkyMapError
from ampelstream.sky.lookup import Lookup
from ampelstream.sky.ranking import Ranking
from ampelstream.sky.tiles import Tiles
from ampelstream.sky.volume import Volume

__all__ = ["Crossmatch", "Crossmatcher", "Position"]

Position = tuple[float, float, float | None]
"""Right ascension [deg], declination [deg], luminosity distance [Mpc] or None."""


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

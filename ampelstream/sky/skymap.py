"""A sky map: where an event may be, and what that says of a position."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ampelstream.errors import SkyMapError, SourceError
from ampelstream.model.digest import digest_bytes
from ampelstream.sky import ranges, storage
from ampelstream.sky.distance import Moments, marginal_moments
from ampelstream.sky.fits import read_fits
from ampelstream.sky.healpix import pixel29, pixels29
from ampelstream.sky.obstime import observation_jd
from ampelstream.sky.ranking import Ranking
from ampelstream.sky.tiles import Tiles
from ampelstream.sky.volume import Volume

__all__ = ["Crossmatch", "SkyMap"]


class Crossmatch(msgspec.Struct, frozen=True, gc=False):
    """What a map says of a position.

    Attributes
    ----------
    searched_prob
        Credible level: probability of all tiles at least as dense, 0..1.
    probdensity_per_sr
        Probability density [1/sr].
    searched_prob_vol
        The same level in three dimensions; None without a distance.
    probdensity_vol
        Probability density [1/Mpc^3]; None without a distance.
    """

    searched_prob: float
    probdensity_per_sr: float
    searched_prob_vol: float | None = None
    probdensity_vol: float | None = None


class SkyMap:
    """A sky map; never changed once made.

    Parameters
    ----------
    tiles
        The sky; what they leave out has no probability.
    name
        For messages and captions.
    digest
        Digest of the file that it was read from.
    header
        Cards of its table.
    t_obs_jd
        Time of the observation [JD, UTC]; None where the header does not tell.
    """

    def __init__(
        self,
        tiles: Tiles,
        *,
        name: str,
        digest: str,
        header: Mapping[str, str | float],
        t_obs_jd: float | None,
    ) -> None:
        self._tiles = tiles
        self._ranking = Ranking(tiles)
        self.name = name
        self.digest = digest
        self.header = header
        self.t_obs_jd = t_obs_jd

    @classmethod
    def from_fits(cls, data: bytes, *, name: str = "", t_obs_jd: float | None = None) -> "SkyMap":
        """Read a map from the bytes of a FITS file, plain or gzipped.

        Parameters
        ----------
        data
            The file.
        name
            For messages; by default OBJECT of the header.
        t_obs_jd
            Time of the observation [JD, UTC], instead of the header's.

        Raises
        ------
        SkyMapError
            The bytes are no sky map, or a broken one.
        """
        header, tiles = read_fits(data, name or "(unnamed)")
        return cls(
            tiles,
            name=name or str(header.get("OBJECT", "(unnamed)")),
            digest=digest_bytes(data),
            header=header,
            t_obs_jd=observation_jd(header) if t_obs_jd is None else t_obs_jd,
        )

    @classmethod
    def from_file(cls, path: str | Path, *, t_obs_jd: float | None = None) -> "SkyMap":
        """Read a map from a FITS file, plain or gzipped; its name is the file's.

        Raises
        ------
        SourceError
            The file cannot be read.
        SkyMapError
            It is no sky map, or a broken one.
        """
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise SourceError(
                f"sky map {path} cannot be read: {error.strerror or error}"
            ) from error
        return cls.from_fits(data, name=Path(path).name, t_obs_jd=t_obs_jd)

    def t_obs(self) -> float:
        """Time of the observation [JD, UTC].

        Raises
        ------
        SkyMapError
            The map does not tell.
        """
        if self.t_obs_jd is None:
            raise SkyMapError(
                f"sky map {self.name} has no DATE-OBS: without a trigger time it cannot be followed "
                "as an event. Give --t0, or a map whose table has the card DATE-OBS (UTC, ISO 8601)"
            )
        return self.t_obs_jd

    @property
    def start29(self) -> NDArray[np.int64]:
        """First order-29 nested pixel of each tile, rising, shape (n,)."""
        return self._tiles.start29

    @property
    def order(self) -> NDArray[np.int8]:
        """HEALPix order of each tile, shape (n,)."""
        return self._tiles.order

    @property
    def density(self) -> NDArray[np.float64]:
        """Probability density of each tile [1/sr], as the file has it, shape (n,)."""
        return self._tiles.density

    @property
    def level(self) -> NDArray[np.float64]:
        """Greedy credible level of each tile, itself included, normalised, shape (n,)."""
        return self._ranking.level

    @property
    def distmu(self) -> NDArray[np.float64] | None:
        """Location of the distance ansatz of each tile [Mpc], or None; inf where it has none."""
        return self._tiles.distances.mu if self._tiles.distances else None

    @property
    def distsigma(self) -> NDArray[np.float64] | None:
        """Scale of the distance ansatz of each tile [Mpc], or None."""
        return self._tiles.distances.sigma if self._tiles.distances else None

    @property
    def distnorm(self) -> NDArray[np.float64] | None:
        """Normalisation of the distance ansatz of each tile [1/Mpc^2], or None."""
        return self._tiles.distances.norm if self._tiles.distances else None

    @cached_property
    def _moments(self) -> Moments | None:
        distances = self._tiles.distances
        if distances is None:
            return None
        return marginal_moments(self.density * self._tiles.area() / self._ranking.total, distances)

    @cached_property
    def distmean(self) -> float | None:
        """Mean distance [Mpc]: DISTMEAN of the header, else from the tiles, else None."""
        given = self.header.get("DISTMEAN")
        if isinstance(given, int | float):
            return float(given)
        return self._moments.mean if self._moments else None

    @cached_property
    def diststd(self) -> float | None:
        """Standard deviation of the distance [Mpc]: DISTSTD, else from the tiles, else None."""
        given = self.header.get("DISTSTD")
        if isinstance(given, int | float):
            return float(given)
        return self._moments.std if self._moments else None

    @cached_property
    def _starts(self) -> memoryview:
        # bisect on a memoryview makes plain integers, without the 40 bytes per tile of a list
        return memoryview(self.start29)

    @cached_property
    def _stops(self) -> memoryview:
        return memoryview(self._tiles.stop29())

    @cached_property
    def _levels(self) -> memoryview:
        return memoryview(self.level)

    def _tile(self, ra: float, dec: float) -> int:
        """Index of the tile at a position [deg]; -1 where no tile is."""
        pixel = pixel29(ra, dec)
        tile = bisect_right(self._starts, pixel) - 1
        return tile if tile >= 0 and pixel < self._stops[tile] else -1

    def credible_level(self, ra: float, dec: float) -> float:
        """Greedy credible level of a position [deg], 0..1.

        Raises
        ------
        SkyMapError
            It is no position.
        """
        tile = self._tile(ra, dec)
        return float(self._levels[tile]) if tile >= 0 else 1.0

    def credible_levels(self, ra: ArrayLike, dec: ArrayLike) -> NDArray[np.float64]:
        """Greedy credible levels of positions [deg], shapes that broadcast.

        Raises
        ------
        SkyMapError
            One of them is no position.
        """
        pixel = pixels29(ra, dec)
        tile = np.searchsorted(self.start29, pixel, side="right") - 1
        inside = (tile >= 0) & (pixel < np.asarray(self._stops)[tile])
        return np.where(inside, self.level[tile], 1.0)

    def area(self, level: float) -> float:
        """Area [deg2] of the smallest region of that probability, as ligo.skymap interpolates it."""
        return self._ranking.area(level)

    def region(self, level: float) -> NDArray[np.int64]:
        """Give the tiles up to a credible level as ranges of order-29 nested pixels.

        Returns
        -------
        NDArray
            Half-open, sorted, merged, shape (n, 2).
        """
        inside = self.level <= level
        return ranges.merge(self.start29[inside], self._tiles.stop29()[inside])

    @cached_property
    def _volume(self) -> Volume | None:
        return Volume(self._tiles, self._ranking.total) if self._tiles.distances else None

    def at(self, ra: float, dec: float, distance_mpc: float | None = None) -> Crossmatch:
        """What the map says of a position [deg], and of a luminosity distance [Mpc] there.

        Raises
        ------
        SkyMapError
            It is no position, or the distance is not positive.
        """
        return self.crossmatch([(ra, dec, distance_mpc)])[0]

    def crossmatch(
        self, positions: Sequence[tuple[float, float, float | None]]
    ) -> list[Crossmatch]:
        """What the map says of positions (ra [deg], dec [deg], distance [Mpc] or None).

        As with ligo.skymap, the grid of distances reaches to the farthest of them when that is
        beyond six times the map's mean, so that the densities of all depend on it slightly; alone
        and together they agree for distances within that.

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
        return [self._one(ra, dec, distance, farthest) for ra, dec, distance in positions]

    def _one(self, ra: float, dec: float, distance: float | None, farthest: float) -> Crossmatch:
        tile = self._tile(ra, dec)
        level, density = 1.0, 0.0
        if tile >= 0:
            level, density = float(self._levels[tile]), float(self.density[tile])
        if distance is None or self._volume is None:
            return Crossmatch(level, density)
        voxel = self._volume.voxel(distance, farthest)
        density_vol = self._volume.density(tile, voxel) if tile >= 0 else 0.0
        return Crossmatch(level, density, self._volume.probability_above(density_vol), density_vol)

    def to_bytes(self) -> bytes:
        """Compact bytes for the state store."""
        return storage.pack(self._tiles, self.name, self.digest, self.t_obs_jd, dict(self.header))

    @classmethod
    def from_bytes(cls, data: bytes) -> "SkyMap":
        """Undo ``to_bytes``: every answer is the same to the bit.

        Raises
        ------
        SkyMapError
            These are no such bytes.
        """
        stored, tiles = storage.unpack(data)
        return cls(
            tiles,
            name=stored.name,
            digest=stored.digest,
            header=stored.header,
            t_obs_jd=stored.t_obs_jd,
        )

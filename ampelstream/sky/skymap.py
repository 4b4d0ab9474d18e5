"""A sky map: where an event may be, and what that says of a position."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ampelstream.errors import SkyMapError, SourceError
from ampelstream.model.digest import digest_bytes
from ampelstream.model.localisation import Ellipse
from ampelstream.sky.crossmatch import Crossmatch, Crossmatcher, Position, Ranking
from ampelstream.sky.ellipses import tiles_of_ellipses
from ampelstream.sky.fits import read_fits
from ampelstream.sky.packing import pack, unpack
from ampelstream.sky.tiles import Lookup, Tiles, merge
from ampelstream.sky.volume import Moments, marginal_moments, sight_moments

__all__ = ["Crossmatch", "SkyMap"]


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
        Time of the observation [JD, UTC]; None where the header does not say.
    remarks
        What was put right when the file was read, or is odd in it, for people; not kept with it.
    """

    def __init__(
        self,
        tiles: Tiles,
        *,
        name: str,
        digest: str,
        header: Mapping[str, str | float],
        t_obs_jd: float | None,
        remarks: tuple[str, ...] = (),
    ) -> None:
        self._tiles = tiles
        self._ranking = Ranking(tiles)
        self._lookup = Lookup(tiles)
        self._crossmatcher = Crossmatcher(tiles, self._ranking, self._lookup)
        self.name = name
        self.digest = digest
        self.header: Mapping[str, str | float] = MappingProxyType(dict(header))
        self.t_obs_jd = t_obs_jd
        self.remarks = remarks

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
        read = read_fits(data, name or "(unnamed)")
        return cls(
            read.tiles,
            name=name or str(read.header.get("OBJECT", "(unnamed)")),
            digest=digest_bytes(data),
            header=read.header,
            t_obs_jd=read.t_obs_jd if t_obs_jd is None else t_obs_jd,
            remarks=read.remarks,
        )

    @classmethod
    def from_ellipses(
        cls, ellipses: Sequence[Ellipse], *, name: str, digest: str, t_obs_jd: float | None = None
    ) -> "SkyMap":
        """Make a map of error circles or ellipses; see ``ellipses.py`` for the distribution.

        Parameters
        ----------
        ellipses
            At least one; where there are several, each has the same probability.
        name
            For messages and captions.
        digest
            Of the ellipses.
        t_obs_jd
            Time of the observation [JD, UTC].

        Raises
        ------
        SkyMapError
            One of them is no ellipse on the sky.
        """
        tiles = tiles_of_ellipses(ellipses, name)
        return cls(tiles, name=name, digest=digest, header={"OBJECT": name}, t_obs_jd=t_obs_jd)

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
            The map does not say.
        """
        if self.t_obs_jd is None:
            raise SkyMapError(
                f"sky map {self.name} has no DATE-OBS: without a trigger time it cannot be "
                "followed as an event. Give --t0, or a map whose table has the card DATE-OBS "
                "(UTC, ISO 8601)"
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
        """Probability density of each tile [1/sr], shape (n,).

        As the file has it, but for its unit, and for a sum that is far from 1.
        """
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
        if distances is None or not (self.density[distances.norm > 0] > 0).any():
            return None  # where there is a distance, there is no probability
        return marginal_moments(self.density * self._tiles.area() / self._ranking.total, distances)

    @cached_property
    def distmean(self) -> float | None:
        """Mean distance [Mpc]: DISTMEAN of the header, else from the tiles, else None."""
        given = self.header.get("DISTMEAN")
        if isinstance(given, int | float) and 0 < given < np.inf:
            return float(given)
        return self._moments.mean if self._moments else None

    @cached_property
    def diststd(self) -> float | None:
        """Standard deviation of the distance [Mpc]: DISTSTD, else from the tiles, else None."""
        given = self.header.get("DISTSTD")
        if isinstance(given, int | float) and 0 < given < np.inf:
            return float(given)
        return self._moments.std if self._moments else None

    @cached_property
    def _levels(self) -> memoryview:
        return self.level.data

    def credible_level(self, ra: float, dec: float) -> float:
        """Greedy credible level of a position [deg], 0..1.

        Raises
        ------
        SkyMapError
            It is no position.
        """
        tile = self._lookup.tile(ra, dec)
        return float(self._levels[tile]) if tile >= 0 else 1.0

    def credible_levels(self, ra: ArrayLike, dec: ArrayLike) -> NDArray[np.float64]:
        """Greedy credible levels of positions [deg], shapes that broadcast.

        Raises
        ------
        SkyMapError
            One of them is no position.
        """
        tile = self._lookup.tiles(ra, dec)
        return np.where(tile >= 0, self.level[tile], 1.0)

    def distance(self, ra: float, dec: float) -> Moments | None:
        """Mean and standard deviation of the distance [Mpc] at a position [deg], where known.

        Raises
        ------
        SkyMapError
            It is no position.
        """
        tile, distances = self._lookup.tile(ra, dec), self._tiles.distances
        if tile < 0 or distances is None or not distances.norm[tile] > 0:
            return None
        return sight_moments(distances, tile)

    def area(self, level: float) -> float:
        """Area [deg2] of the smallest region of that probability, interpolated within tiles."""
        return self._ranking.area(level)

    def region(self, level: float) -> NDArray[np.int64]:
        """Give the tiles up to a credible level as ranges of order-29 nested pixels.

        Returns
        -------
        NDArray
            Half-open, sorted, merged, shape (n, 2).
        """
        inside = self.level <= level
        return merge(self.start29[inside], self._tiles.stop29()[inside])

    def at(self, ra: float, dec: float, distance_mpc: float | None = None) -> Crossmatch:
        """What the map says of a position [deg], and of a luminosity distance [Mpc] there.

        Raises
        ------
        SkyMapError
            It is no position, or the distance is not positive.
        """
        return self.crossmatch([(ra, dec, distance_mpc)])[0]

    def crossmatch(self, positions: Sequence[Position]) -> list[Crossmatch]:
        """What the map says of positions (ra [deg], dec [deg], distance [Mpc] or None).

        As with ligo.skymap, the grid of distances reaches to the farthest of them when that is
        beyond six times the map's mean, so that the densities of all depend on it slightly; alone
        and together they agree for distances within that.

        Raises
        ------
        SkyMapError
            One of them is no position, or a distance is not positive.
        """
        return self._crossmatcher.match(positions)

    def __reduce__(self) -> tuple[Callable[[bytes], "SkyMap"], tuple[bytes]]:
        # to another process, for a heavy unit: there the last few are kept
        return _unpickled, (self._packed,)

    @cached_property
    def _packed(self) -> bytes:
        return self.to_bytes()

    def to_bytes(self) -> bytes:
        """Compact bytes for the state store."""
        return pack(self._tiles, self.name, self.digest, self.t_obs_jd, dict(self.header))

    @classmethod
    def from_bytes(cls, data: bytes) -> "SkyMap":
        """Undo ``to_bytes``: every answer is the same to the bit.

        Raises
        ------
        SkyMapError
            These are no such bytes.
        """
        stored, tiles = unpack(data)
        return cls(
            tiles,
            name=stored.name,
            digest=stored.digest,
            header=stored.header,
            t_obs_jd=stored.t_obs_jd,
        )


@lru_cache(maxsize=4)
def _unpickled(data: bytes) -> SkyMap:
    return SkyMap.from_bytes(data)

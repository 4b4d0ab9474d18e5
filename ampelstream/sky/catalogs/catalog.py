"""Cone searches in one catalogue."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

from ampelstream.errors import CatalogError
from ampelstream.sky.catalogs.cache import PartitionCache
from ampelstream.sky.catalogs.cover import cone_ranges
from ampelstream.sky.catalogs.info import CatalogInfo
from ampelstream.sky.catalogs.layout import list_cells
from ampelstream.sky.catalogs.partition import Partition

__all__ = ["Catalog", "Match"]

_ARCSEC = 3600.0


@dataclass(frozen=True, slots=True)
class Match:
    """A row of a catalogue near a position.

    Attributes
    ----------
    separation_arcsec
        Angle between the row's position and the one asked for [arcsec].
    row
        The row's columns, in the catalogue's own units.
    """

    separation_arcsec: float
    row: Mapping[str, Any]


class Catalog:
    """A catalogue on disk; its partitions are read when a cone first touches them.

    Parameters
    ----------
    path
        Directory of the catalogue.
    info
        Its description.
    cache
        Where partitions are kept.
    """

    def __init__(self, path: Path, info: CatalogInfo, cache: PartitionCache) -> None:
        self.path = path
        self.info = info
        self.name = info.name
        self.version = info.version
        self._cache = cache
        cells = list_cells(path)
        self._starts = [cell.start29 for cell in cells]
        self._ends = [cell.end29 for cell in cells]
        self._files = [path / cell.path(info.suffix) for cell in cells]
        self._keys = [f"{path}/{info.version}/{cell.order}/{cell.pixel}" for cell in cells]

    def __repr__(self) -> str:
        return f"Catalog({self.name}, version {self.version}, {self.info.rows} rows)"

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of its rows."""
        return self.info.columns

    def require(self, columns: Sequence[str]) -> None:
        """Check that columns exist.

        Raises
        ------
        CatalogError
            One does not.
        """
        absent = [name for name in columns if name not in self.columns]
        if absent:
            raise CatalogError(
                f"catalogue {self.name} has no column {', '.join(absent)}; "
                f"it has {', '.join(self.columns)}"
            )

    def cone(
        self, ra: float, dec: float, radius_arcsec: float, columns: Sequence[str] | None = None
    ) -> list[Match]:
        """Rows within a cone, nearest first.

        Parameters
        ----------
        ra, dec
            Centre [deg].
        radius_arcsec
            Radius [arcsec], inclusive.
        columns
            Columns of the rows; all of them where None.

        Raises
        ------
        CatalogError
            The radius is negative, a column is unknown or a partition unreadable.
        SkyMapError
            The centre is no position.
        """
        if not radius_arcsec >= 0.0:
            raise CatalogError(
                f"a cone of {radius_arcsec} arcsec in catalogue {self.name}: "
                "give a radius that is not negative"
            )
        if columns is not None:
            self.require(columns)
        radius = radius_arcsec / _ARCSEC
        names = self.columns if columns is None else columns
        matches: list[Match] = []
        for number, ranges in self._touched(cone_ranges(ra, dec, radius)).items():
            partition = self._partition(number)
            inside = sorted(partition.within(ranges, ra, dec, radius))
            rows = partition.rows([row for _, row in inside], names) if inside else []
            matches.extend(
                Match(apart * _ARCSEC, row) for (apart, _), row in zip(inside, rows, strict=True)
            )
        matches.sort(key=attrgetter("separation_arcsec"))
        return matches

    def _touched(self, ranges: Sequence[tuple[int, int]]) -> dict[int, list[tuple[int, int]]]:
        """Numbers of the partitions that overlap the ranges, and the ranges of each."""
        touched: dict[int, list[tuple[int, int]]] = {}
        for start, end in ranges:
            number = max(bisect_right(self._starts, start) - 1, 0)
            while number < len(self._starts) and self._starts[number] < end:
                if self._ends[number] > start:
                    touched.setdefault(number, []).append((start, end))
                number += 1
        return touched

    def _partition(self, number: int) -> Partition:
        return self._cache.get(
            self._keys[number],
            lambda: Partition(
                self._files[number],
                self.info.ra,
                self.info.dec,
                self.version if self.info.own else None,
            ),
        )

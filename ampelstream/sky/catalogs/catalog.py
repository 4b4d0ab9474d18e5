"""Cone searches in a catalogue, and the directory that catalogues are opened from."""

import os
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np

from ampelstream.errors import CatalogError
from ampelstream.sky.catalogs.hats import (
    INFO,
    PROPERTIES,
    CatalogInfo,
    describe,
    list_cells,
    read_properties,
)
from ampelstream.sky.catalogs.occupied import Occupied
from ampelstream.sky.catalogs.partition import Partition, PartitionCache
from ampelstream.sky.healpix import cone_ranges

__all__ = ["Catalog", "CatalogStore", "Match", "check_name"]

_ARCSEC = 3600.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_COLLECTION = "collection.properties"
"""What HATS writers put beside a catalogue and its margins; it names the catalogue's directory."""


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

    def occupied(self, radius_arcsec: float) -> Occupied:
        """Which positions may have a row within a radius [arcsec]: reads the whole catalogue once.

        Raises
        ------
        CatalogError
            A partition is unreadable.
        """
        pixels = [self._partition(number).pixels for number in range(len(self._starts))]
        rows = np.concatenate(pixels) if pixels else np.empty(0, np.int64)
        return Occupied(rows, radius_arcsec / _ARCSEC)

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


def check_name(name: str) -> str:
    """Give the name of a catalogue back, if it may be one.

    Raises
    ------
    CatalogError
        It would make no safe name of a directory.
    """
    if not _NAME.fullmatch(name):
        raise CatalogError(
            f"{name!r} cannot name a catalogue: use 1 to 64 letters, digits and . _ + - , "
            "beginning with a letter or digit"
        )
    return name


class CatalogStore:
    """The catalogues in a directory.

    Parameters
    ----------
    root
        Directory with one directory per catalogue; it need not exist as long as none is opened.
    max_rows
        Rows kept in memory at most, over all catalogues (24 bytes each and what is asked for).
    """

    def __init__(self, root: Path, *, max_rows: int = 5_000_000) -> None:
        self.root = Path(root)
        self._cache = PartitionCache(max_rows)
        self._open: dict[str, Catalog] = {}

    @staticmethod
    def default_root() -> Path:
        """Directory of the catalogues where none is named.

        ``$AMPELSTREAM_CATALOGS``, else ``ampelstream/catalogs`` in ``$XDG_DATA_HOME``, else the
        same in ``~/.local/share``.
        """
        named = os.environ.get("AMPELSTREAM_CATALOGS")
        if named:
            return Path(named)
        data = os.environ.get("XDG_DATA_HOME")
        base = Path(data) if data else Path.home() / ".local" / "share"
        return base / "ampelstream" / "catalogs"

    def names(self) -> list[str]:
        """Names of the catalogues, sorted."""
        if not self.root.is_dir():
            return []
        # a name with a dot in front is a catalogue that is just being written
        return sorted(
            path.name
            for path in self.root.iterdir()
            if _NAME.fullmatch(path.name) and _directory(path)
        )

    def __contains__(self, name: str) -> bool:
        return _NAME.fullmatch(name) is not None and _directory(self.root / name) is not None

    def open(self, name: str) -> Catalog:
        """Open a catalogue; the same one each time.

        Raises
        ------
        CatalogError
            It is not there, or damaged.
        """
        if name not in self._open:
            directory = _directory(self.root / check_name(name))
            if directory is None:
                raise CatalogError(self._absent(name))
            self._open[name] = Catalog(directory, describe(directory, name), self._cache)
        return self._open[name]

    def _absent(self, name: str) -> str:
        there = f"it has {', '.join(names)}" if (names := self.names()) else "it has none"
        return (
            f"no catalogue {name} in {self.root} ({there}); make it from a table with: "
            f"ampelstream catalogs add {name} TABLE --root {self.root}"
        )


def _directory(path: Path) -> Path | None:
    """Directory of the catalogue at a path: itself, or the one that a collection names."""
    if any((path / name).is_file() for name in (INFO, *PROPERTIES)):
        return path
    collection = path / _COLLECTION
    if not collection.is_file():
        return None
    primary = path / read_properties(collection).get("hats_primary_table_url", ".")
    return primary if any((primary / name).is_file() for name in PROPERTIES) else None

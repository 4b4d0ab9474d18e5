"""Partitions in memory, within a bound: positions at once, other columns when they are wanted."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ampelstream.errors import CatalogError
from ampelstream.sky.catalogs.hats import PIXEL_COLUMN
from ampelstream.sky.healpix import angular_separation, pixels29

__all__ = ["VERSION_KEY", "Partition", "PartitionCache", "plain"]

VERSION_KEY = b"ampelstream_version"
"""Key in a Parquet file's metadata: version of the catalogue that it belongs to."""


class Partition:
    """Rows of one HEALPix cell, sorted by order-29 pixel.

    Parameters
    ----------
    path
        Its Parquet file (or directory of files).
    ra, dec
        Names of the columns of the position.
    version
        Version of the catalogue that the file must belong to; None where the file does not say.

    Raises
    ------
    CatalogError
        The file is absent, unreadable or of another version.
    """

    def __init__(self, path: Path, ra: str, dec: str, version: str | None = None) -> None:
        self._path = path
        self._version = version
        self._columns: dict[str, NDArray[Any] | pa.Array] = {}
        self._sorting: NDArray[np.int64] | None = None
        # another writer's pixels may be of another order or not be there: make our own
        table = self._read([ra, dec] if version is None else [ra, dec, PIXEL_COLUMN])
        self.ra = _floats(table.column(ra))
        self.dec = _floats(table.column(dec))
        self.pixels: NDArray[np.int64] = (
            pixels29(self.ra, self.dec)
            if version is None
            else table.column(PIXEL_COLUMN).to_numpy()
        )
        if bool((self.pixels[1:] < self.pixels[:-1]).any()):
            self._sorting = np.argsort(self.pixels, kind="stable")
            self.pixels = self.pixels[self._sorting]
            self.ra, self.dec = self.ra[self._sorting], self.dec[self._sorting]

    def __len__(self) -> int:
        return len(self.pixels)

    def _read(self, columns: Sequence[str]) -> pa.Table:
        try:
            # partitioning=None: the directories' names (Norder=...) are no columns of the rows
            table = pq.read_table(self._path, columns=list(columns), partitioning=None)
        except (OSError, pa.ArrowException) as error:
            raise CatalogError(
                f"partition {self._path} of a catalogue is unreadable: {error}; "
                "was the catalogue replaced while in use? start again, or add it again"
            ) from error
        found = (table.schema.metadata or {}).get(VERSION_KEY, b"").decode()
        if self._version is not None and found != self._version:
            raise CatalogError(
                f"partition {self._path} belongs to version {found or '?'} of its catalogue, "
                f"not to {self._version}: it was replaced while in use; start again"
            )
        return table

    def within(
        self, ranges: Sequence[tuple[int, int]], ra: float, dec: float, radius: float
    ) -> list[tuple[float, int]]:
        """Rows inside a cone.

        Parameters
        ----------
        ranges
            Order-29 ranges that hold the cone.
        ra, dec, radius
            The cone [deg].

        Returns
        -------
        list of (float, int)
            Separation [deg] and index of each row with separation <= radius, unsorted.
        """
        cuts = self.pixels.searchsorted([edge for one in ranges for edge in one]).tolist()
        pieces = [np.arange(a, b) for a, b in zip(cuts[::2], cuts[1::2], strict=True) if a < b]
        if not pieces:
            return []
        rows = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        apart = angular_separation(ra, dec, self.ra[rows], self.dec[rows])
        inside = apart <= radius
        return list(zip(apart[inside].tolist(), rows[inside].tolist(), strict=True))

    def rows(self, indices: Sequence[int], columns: Sequence[str]) -> list[Mapping[str, Any]]:
        """Rows as plain Python values; what is not a number (nan, infinite) is None."""
        missing = [name for name in columns if name not in self._columns]
        if missing:
            table = self._read(missing)
            for name in missing:
                self._columns[name] = self._sorted(_column(table.column(name)))
        picked = [(name, self._columns[name]) for name in columns]
        return [{name: plain(column[index]) for name, column in picked} for index in indices]

    def _sorted(self, column: NDArray[Any] | pa.Array) -> NDArray[Any] | pa.Array:
        if self._sorting is None:
            return column
        return (
            column[self._sorting] if isinstance(column, np.ndarray) else column.take(self._sorting)
        )


def _floats(column: pa.ChunkedArray) -> NDArray[np.float64]:
    return np.ascontiguousarray(column.to_numpy(), dtype=np.float64)


def _column(column: pa.ChunkedArray) -> NDArray[Any] | pa.Array:
    """Numbers as numpy (quick to pick from), what has no numpy type or has nulls as Arrow."""
    floating = pa.types.is_floating(column.type)
    if floating or (pa.types.is_integer(column.type) and not column.null_count):
        numbers: NDArray[Any] = column.to_numpy()
        return numbers
    return column.combine_chunks()


def plain(value: Any) -> Any:
    """Plain value of a cell: None, bool, int, float or text."""
    value = value.item() if isinstance(value, np.generic) else value.as_py()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else None
    return str(value)


class PartitionCache:
    """Least recently used partitions go first.

    Parameters
    ----------
    max_rows
        Rows kept at most, over all catalogues; a partition larger than that is kept alone.
    """

    def __init__(self, max_rows: int) -> None:
        self._max_rows = max_rows
        self._kept: OrderedDict[str, Partition] = OrderedDict()
        self._lock = Lock()
        self.rows = 0
        self.loads = 0

    def get(self, key: str, load: Callable[[], Partition]) -> Partition:
        """Give the partition of that key, loading it where it is not in memory."""
        with self._lock:
            if (kept := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return kept
            loaded = self._kept[key] = load()
            self.loads += 1
            self.rows += len(loaded)
            while self.rows > self._max_rows and len(self._kept) > 1:
                self.rows -= len(self._kept.popitem(last=False)[1])
            return loaded

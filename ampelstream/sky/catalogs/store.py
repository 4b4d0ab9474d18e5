"""All catalogues under one root."""

import os
import re
from pathlib import Path

from ampelstream.errors import CatalogError
from ampelstream.sky.catalogs.cache import PartitionCache
from ampelstream.sky.catalogs.catalog import Catalog
from ampelstream.sky.catalogs.info import describe
from ampelstream.sky.catalogs.layout import INFO, PROPERTIES, read_properties

__all__ = ["CatalogStore", "check_name"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_COLLECTION = "collection.properties"
"""What HATS writers put beside a catalogue and its margins; it names the catalogue's directory."""


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

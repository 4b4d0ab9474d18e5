"""What was found out about a topology: all that is wrong with it, and what is only to be known."""

from collections.abc import Sequence
from operator import itemgetter

from ampelstream.errors import ConfigError
from ampelstream.topology.places import Places

__all__ = ["Findings", "Path"]

Path = tuple[str | int, ...]
"""Keys and indices that lead to a place in the file."""


class Findings:
    """Collects what is wrong, so that all of it is said at once.

    Parameters
    ----------
    places
        Where in the file what it says stands; None for a topology that is from no file.
    """

    def __init__(self, places: Places | None = None) -> None:
        self._places = places
        self._wrong: list[tuple[int, str]] = []
        self._faults: set[type[ConfigError]] = set()
        self.notes: list[str] = []

    def wrong(
        self, path: Sequence[str | int], text: str, fault: type[ConfigError] = ConfigError
    ) -> None:
        """Note what has to be mended before the topology can run.

        Parameters
        ----------
        path
            Where.
        text
            What is wrong, and what to do.
        fault
            What kind of error it is.
        """
        self._faults.add(fault)
        line = 0 if self._places is None else self._places.line(path)
        self._wrong.append((line, f"{self._at(path)}: {text}"))

    def note(self, path: Sequence[str | int], text: str) -> None:
        """Note what may be meant as it is."""
        self.notes.append(f"{self._at(path)}: {text}")

    def _at(self, path: Sequence[str | int]) -> str:
        return ".".join(map(str, path)) if self._places is None else self._places.at(path)

    def raise_wrong(self) -> None:
        """Say what is wrong, if anything is.

        Raises
        ------
        ConfigError
            Something is; `CatalogError` where nothing but catalogues is missing.
        """
        if self._wrong:
            fault = self._faults.pop() if len(self._faults) == 1 else ConfigError
            in_order = sorted(self._wrong, key=itemgetter(0))
            raise fault("\n".join(text for _, text in in_order))

"""What a source is: records in a fixed order, each with coordinates that never change."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from ampelstream.model.record import SourceRecord

__all__ = ["After", "Source"]

After = Mapping[tuple[str, int], int]
"""(source, partition) -> last offset that has been handled."""


class Source(Protocol):
    """An input.

    Attributes
    ----------
    name
        How the user called it.
    """

    @property
    def name(self) -> str: ...  # noqa: D102  (see the class)

    def read(self, after: After) -> Iterator[SourceRecord]:
        """Give the records in a fixed order, without those up to the offsets in ``after``."""
        ...

    def estimate(self) -> int | None:
        """Number of records, where that is cheaply known."""
        ...

"""Alerts of one survey, as columns: what a filter sees that judges many at once."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ampelstream.errors import AmpelstreamError
from ampelstream.model.alert import Alert
from ampelstream.model.alertfacts import Fact
from ampelstream.model.lightcurve import Datapoint

__all__ = ["AlertBatch", "Asked", "Bools", "Floats"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of every alert, so that it becomes columns.

    Attributes
    ----------
    fields
        Names of fields of an alert's own detection.
    epochs
        Whether the times of the earlier detections are asked for.
    """

    fields: frozenset[str] = frozenset()
    epochs: bool = False

    def __or__(self, other: "Asked") -> "Asked":
        return Asked(self.fields | other.fields, self.epochs or other.epochs)


class AlertBatch(Protocol):
    """Columns of some alerts; a column has one value for each.

    Attributes
    ----------
    survey
        Whose they are.
    jd, ra, dec
        Of their own detections [d, UTC; deg, ICRS].
    faults
        What is wrong with those that are none, by row; the other values of such a row mean nothing.
    """

    @property
    def survey(self) -> str: ...  # noqa: D102  (see the class)
    @property
    def jd(self) -> Floats: ...  # noqa: D102  (see the class)
    @property
    def ra(self) -> Floats: ...  # noqa: D102  (see the class)
    @property
    def dec(self) -> Floats: ...  # noqa: D102  (see the class)
    @property
    def faults(self) -> Mapping[int, AmpelstreamError]: ...  # noqa: D102  (see the class)

    def __len__(self) -> int: ...

    def kind(self, name: str) -> str | None:
        """What a field holds: ``number``, ``bool``, ``text``; ``other`` where there is no column.

        None where the alerts do not have the field.
        """
        ...

    def number(self, name: str) -> tuple[Floats, Bools]:
        """Values of a field of numbers (NaN where there are none), and where there is null."""
        ...

    def integer(self, name: str) -> npt.NDArray[np.int64] | None:
        """The same as whole numbers, 0 where there is null; None where the field is of floats."""
        ...

    def nulls(self, name: str) -> Bools:
        """Where a field of text is null."""
        ...

    def texts(self, name: str) -> list[str | None]:
        """Values of a field of text."""
        ...

    def among(self, name: str, values: Collection[str]) -> Bools:
        """Where a field of text has one of some values."""
        ...

    def flags(self, name: str) -> Floats:
        """What a field says that means yes or no, as `flag_number`; NaN where it has no column."""
        ...

    def epochs(self) -> tuple[npt.NDArray[np.int64], Floats]:
        """Times of the earlier detections [JD, UTC].

        Where those of each alert begin, and where the last ones end, shape (alerts + 1,); and the
        times, one behind the other. An error where they were not asked for.
        """
        ...

    def object_id(self, row: int) -> str:
        """Name of the object."""
        ...

    def candid(self, row: int) -> int:
        """Identifier of the detection."""
        ...

    def alert(self, row: int) -> Alert:
        """The alert by itself, decoded anew: for who looks at one, or wants all its fields."""
        ...

    def facts(
        self, rows: Sequence[int], names: Collection[str]
    ) -> Mapping[int, dict[str, Fact] | AmpelstreamError]:
        """Fields of the own detections of some alerts, or what is wrong with them, by row."""
        ...

    def datapoints(self, rows: Sequence[int]) -> Mapping[int, list[Datapoint] | AmpelstreamError]:
        """Datapoints of some alerts, or what is wrong with their history, by row."""
        ...

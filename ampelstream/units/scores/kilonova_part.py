"""What a part of the kilonova score hands back, and careful reading of other units' results."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Line", "Part", "Reject", "finite", "mapping"]

Reject = str | tuple[str, int]
"""A label, or ``("prob", points)``."""

Column = Literal["z", "lc", "possis", "cat", "dist", ""]
"""Sub-score that the points are also counted in; probability and bursts count in none."""


@dataclass(frozen=True, slots=True)
class Line:
    """One reason for points given or not given.

    Attributes
    ----------
    part
        What was looked at, in a word or two.
    points
        Points given; below 0 taken.
    text
        Why, in plain language with units of measure.
    column
        Sub-score that they count in.
    reject
        Label noted with it, where there is one.
    """

    part: str
    points: int
    text: str
    column: Column = ""
    reject: Reject | None = None


Part = list[Line]


def finite(value: Any) -> float | None:
    """Give a finite number as a float; None for anything else, booleans included."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def mapping(value: Any) -> Mapping[str, Any]:
    """Give a mapping as it is; an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}

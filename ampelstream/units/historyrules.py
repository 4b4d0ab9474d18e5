"""Rules that filters of every survey share: how often and how long seen, how far from the plane."""

import math
from typing import Any, Final, Protocol

from ampelstream.units.galactic import galactic_latitude
from ampelstream.units.rules import Rule

__all__ = ["DETECTIONS", "GALACTIC_PLANE", "TIMESPAN", "asks_for_history"]


class _HistoryCuts(Protocol):
    """Cuts on the detections of a packet: their number, and the time that they span [d]."""

    @property
    def min_ndet(self) -> int: ...
    @property
    def min_tspan(self) -> float: ...
    @property
    def max_tspan(self) -> float: ...


def asks_for_history(cuts: _HistoryCuts, _fields: object = None) -> bool:
    """Whether a history can fail; else it need not be decoded."""
    return not (cuts.min_ndet <= 1 and cuts.min_tspan <= 0 and cuts.max_tspan == math.inf)


DETECTIONS: Final[Rule[Any]] = Rule(
    *("nDet", ("detections",), ("min_ndet",)),
    lambda cuts, fields: fields.detections() < cuts.min_ndet,
    applies=asks_for_history,
)
TIMESPAN: Final[Rule[Any]] = Rule(
    *("tSpan", ("timespan",), ("min_tspan", "max_tspan")),
    lambda cuts, fields: (
        (fields.timespan() < cuts.min_tspan) | (fields.timespan() > cuts.max_tspan)
    ),
    applies=asks_for_history,
)
GALACTIC_PLANE: Final[Rule[Any]] = Rule(
    *("galPlane", ("ra", "dec"), ("min_gal_lat",)),
    lambda cuts, fields: abs(galactic_latitude(fields("ra"), fields("dec"))) < cuts.min_gal_lat,
    applies=lambda cuts, _: cuts.min_gal_lat > 0,
)

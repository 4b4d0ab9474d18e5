"""Science units, and the contract that a unit of your own keeps."""

from ampelstream.units.contract import (
    ACCEPT,
    AlertFilter,
    Dependency,
    Inputs,
    MatchFilter,
    MatchInputs,
    ObjectUnit,
    Resources,
    Unit,
    Verdict,
)

__all__ = [
    "ACCEPT",
    "AlertFilter",
    "Dependency",
    "Inputs",
    "MatchFilter",
    "MatchInputs",
    "ObjectUnit",
    "Resources",
    "Unit",
    "Verdict",
]

"""Science units, and the contract that a unit of your own keeps."""

from ampelstream.model.alertbatch import AlertBatch, Asked
from ampelstream.model.alertfacts import AlertFacts
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
    Verdicts,
)

__all__ = [
    "ACCEPT",
    "AlertBatch",
    "AlertFacts",
    "AlertFilter",
    "Asked",
    "Dependency",
    "Inputs",
    "MatchFilter",
    "MatchInputs",
    "ObjectUnit",
    "Resources",
    "Unit",
    "Verdict",
    "Verdicts",
]

"""A YAML file made into a validated graph of units."""

from ampelstream.topology.build import build
from ampelstream.topology.conditions import Condition
from ampelstream.topology.graph import (
    BoundUnit,
    Channel,
    EventSelection,
    Rank,
    ReactionRule,
    Topology,
)
from ampelstream.topology.load import load
from ampelstream.topology.spec import SinkSpec, TopologySpec

__all__ = [
    "BoundUnit",
    "Channel",
    "Condition",
    "EventSelection",
    "Rank",
    "ReactionRule",
    "SinkSpec",
    "Topology",
    "TopologySpec",
    "build",
    "load",
]

"""A YAML file made into a validated graph of units."""

from ampelstream.topology.conditions import Condition
from ampelstream.topology.graph import (
    BoundUnit,
    Channel,
    Computation,
    EventSelection,
    Rank,
    ReactionRule,
    Topology,
    build,
)
from ampelstream.topology.spec import SinkSpec, TopologySpec
from ampelstream.topology.yamlfile import load

__all__ = [
    "BoundUnit",
    "Channel",
    "Computation",
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

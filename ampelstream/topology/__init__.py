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
from ampelstream.topology.identity import Identity, identity_of, with_units_of
from ampelstream.topology.places import Places
from ampelstream.topology.spec import SinkSpec, TopologySpec
from ampelstream.topology.yamlfile import load, load_placed

__all__ = [
    "BoundUnit",
    "Channel",
    "Computation",
    "Condition",
    "EventSelection",
    "Identity",
    "Places",
    "Rank",
    "ReactionRule",
    "SinkSpec",
    "Topology",
    "TopologySpec",
    "build",
    "identity_of",
    "load",
    "load_placed",
    "with_units_of",
]

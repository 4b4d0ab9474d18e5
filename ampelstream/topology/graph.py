"""A topology ready to run: conditions parsed, units configured and opened."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from ampelstream.model.event import EventRevision
from ampelstream.topology.conditions import Condition
from ampelstream.topology.spec import RetentionSpec, SinkSpec, TopologySpec
from ampelstream.units.base import AlertFilter, MatchFilter, ObjectUnit, Unit
from ampelstream.units.inputs import Inputs

__all__ = [
    "BoundUnit",
    "Channel",
    "EventSelection",
    "Rank",
    "ReactionRule",
    "Topology",
]

U = TypeVar("U", bound=Unit)


@dataclass(frozen=True, slots=True)
class BoundUnit(Generic[U]):
    """A configured unit under its name in the channel.

    Attributes
    ----------
    name, unit
        The name, and what it names.
    config_hash
        Fingerprint of the configuration.
    compute
        How the runtime has the unit compute (timed, in another process); None: by calling it.
    """

    name: str
    unit: U
    config_hash: str
    compute: Callable[[Inputs], Mapping[str, Any] | msgspec.Struct] | None = None


@dataclass(frozen=True, slots=True)
class Rank:
    """What a listing is sorted by: a field of a unit's result."""

    unit: str
    field: str
    ascending: bool


@dataclass(frozen=True, slots=True)
class EventSelection:
    """Which events are followed, and with which of their sky maps (``combined`` or ``own``)."""

    kinds: tuple[str, ...]
    where: Condition
    skymap: str

    def accepts(self, revision: EventRevision) -> bool:
        """Whether the topology follows this revision of an event."""
        return revision.kind in self.kinds and (
            not self.where.text or self.where.holds(revision.facts())
        )


@dataclass(frozen=True, slots=True)
class Channel:
    """One scientist's selection.

    Attributes
    ----------
    survey, where, filters
        Which alerts pass.
    region
        Credible level of the region, 0 to 1.
    window
        First and last time of an alert [d after the trigger].
    match
        Filters of object and event.
    before, after
        Time range of the light curve that units see [d before and after the trigger].
    units
        In the order in which they run.
    rank_by
        What listings are sorted by; None leaves them sorted by name.
    """

    name: str
    survey: str
    where: Condition
    filters: tuple[BoundUnit[AlertFilter], ...]
    region: float
    window: tuple[float, float]
    match: tuple[BoundUnit[MatchFilter], ...]
    before: float
    after: float
    units: tuple[BoundUnit[ObjectUnit], ...]
    rank_by: Rank | None


@dataclass(frozen=True, slots=True)
class ReactionRule:
    """When to react (in one channel, or in all where it is None), and where to."""

    name: str
    channel: str | None
    when: Condition
    sinks: tuple[SinkSpec, ...]


@dataclass(frozen=True, slots=True)
class Topology:
    """The whole workflow; ``hash`` names its content."""

    name: str
    version: str
    hash: str
    spec: TopologySpec
    events: EventSelection
    channels: tuple[Channel, ...]
    reactions: tuple[ReactionRule, ...]
    retention: RetentionSpec

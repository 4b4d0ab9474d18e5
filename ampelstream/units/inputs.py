"""What a unit is given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ampelstream.model.event import EventRevision
from ampelstream.model.lightcurve import LightCurve

if TYPE_CHECKING:
    from ampelstream.sky.catalogs import CatalogStore
    from ampelstream.sky.skymap import SkyMap

__all__ = ["Dependency", "Inputs", "MatchInputs", "Resources"]


@dataclass(frozen=True, slots=True)
class Resources:
    """What is there for units to read; opened once per process.

    Attributes
    ----------
    catalogs
        The catalogues on disk.
    """

    catalogs: "CatalogStore"


@dataclass(frozen=True, slots=True)
class Dependency:
    """Result of an earlier unit of the channel.

    Attributes
    ----------
    provides
        What kind of result it is (``redshift``, ``skymap``, ...).
    name
        Name of the unit's entry in the topology.
    body
        The result, as plain data.
    """

    provides: str
    name: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MatchInputs:
    """An object and an event that may belong together.

    Attributes
    ----------
    lightcurve
        All datapoints of the object.
    event
        Latest revision of the event; its ``t0_jd`` is set.
    """

    lightcurve: LightCurve
    event: EventRevision


@dataclass(frozen=True, slots=True)
class Inputs:
    """What an object unit computes from.

    Attributes
    ----------
    lightcurve
        Datapoints in the channel's time range around the trigger, at least one detection.
    event
        Latest revision of the event; None for a unit that is run without one.
    skymap
        The event's sky map; None without one.
    dependencies
        Results of earlier units, in the order of the topology; failed ones are not in it.
    """

    lightcurve: LightCurve
    event: EventRevision | None = None
    skymap: "SkyMap | None" = None
    dependencies: Sequence[Dependency] = field(default_factory=tuple)

    def first(self, provides: str) -> Mapping[str, Any] | None:
        """Body of the first result of that kind, or None."""
        for one in self.dependencies:
            if one.provides == provides:
                return one.body
        return None

"""The contract of a unit: a configured class with one method, what it is given, what it gives back.

A unit is a frozen pydantic model: its fields are its configuration, an unknown key is an error, and
two units with equal fields give equal results. Science only: no clock, no network, no Kafka. There
are three kinds. An `AlertFilter` sees one alert, or the columns of many, a `MatchFilter` an object
and an event (`MatchInputs`); both give a `Verdict`. An `ObjectUnit` computes a result from
`Inputs`. `Resources` are what a unit may open once, before the first record. All of this is public
in ``ampelstream.units``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, get_type_hints

import msgspec
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from ampelstream.model.alert import Alert
from ampelstream.model.alertbatch import AlertBatch, Asked
from ampelstream.model.alertfacts import AlertFacts
from ampelstream.model.digest import digest
from ampelstream.model.event import EventRevision
from ampelstream.model.fieldtypes import FieldType, type_of
from ampelstream.model.lightcurve import LightCurve

if TYPE_CHECKING:
    from ampelstream.sky.catalogs import CatalogStore
    from ampelstream.sky.skymap import SkyMap

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
    "Verdicts",
]


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
        Latest revision of the event; None without one, and for a unit without ``needs_event``.
    skymap
        The event's sky map; None without one.
    dependencies
        Results of earlier units, in the order of the topology; failed ones are not in it.
    alerts
        The alerts that the channel accepted, in the time range of the light curve and in the order
        of time, with the fields that the unit asks for (`ObjectUnit.alert_fields`); empty where it
        asks for none.
    """

    lightcurve: LightCurve
    event: EventRevision | None = None
    skymap: "SkyMap | None" = None
    dependencies: Sequence[Dependency] = field(default_factory=tuple)
    alerts: Sequence[AlertFacts] = ()

    def first(self, provides: str) -> Mapping[str, Any] | None:
        """Body of the first result of that kind, or None."""
        for one in self.dependencies:
            if one.provides == provides:
                return one.body
        return None


class Verdict(msgspec.Struct, frozen=True):
    """What a filter says.

    Attributes
    ----------
    accept
        Whether the alert passes.
    reason
        The first rule that rejected it; empty when it passes.
    seen
        What that rule looked at, by name.
    allowed
        What it compared that with: keys of the configuration and their values.
    """

    accept: bool
    reason: str = ""
    seen: Mapping[str, Any] = MappingProxyType({})
    allowed: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What a filter says of many alerts.

    Attributes
    ----------
    codes
        For each alert 0 where it passes, or the number of the first rule that rejected it, from 1.
    reasons
        Names of the rules.
    """

    codes: npt.NDArray[np.int16]
    reasons: Sequence[str]


ACCEPT = Verdict(accept=True)


class Unit(BaseModel):
    """What all units have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: ClassVar[str] = "1"
    """Changed whenever the same input and configuration would give another result."""

    def open(self, resources: Resources) -> None:
        """Fetch what the unit reads (catalogues, templates), once, before the first record.

        Raises
        ------
        AmpelstreamError
            Something that the configuration names is not there.
        """

    def reads(self) -> Mapping[str, str | None]:
        """Version of what was opened, by name; None for what may be absent, and is."""
        return {}

    def fingerprint(self) -> str:
        """Digest of the class, its version and its configuration (and of what it reads)."""
        own = digest([type(self).__name__, self.version, self.model_dump(mode="json")])
        read = self.reads()
        return digest([own, read]) if read else own


class AlertFilter(Unit):
    """Accepts or rejects one alert for one channel, before anything is stored."""

    def evaluate(self, alert: Alert) -> Verdict:
        """Accept, or reject with the first rule that failed."""
        raise NotImplementedError

    def asks(self) -> Asked | None:
        """What `judge` looks at; None for a filter that sees one alert at a time."""
        return None

    def judge(self, batch: AlertBatch) -> Verdicts:
        """Do the same as `evaluate` with many alerts; called where `asks` says of what.

        Where it raises, the alerts are asked of `evaluate` one by one.
        """
        raise NotImplementedError


class MatchFilter(Unit):
    """Accepts or rejects an object for an event, after both are known."""

    def evaluate(self, inputs: MatchInputs) -> Verdict:
        """Accept, or reject with the first rule that failed."""
        raise NotImplementedError


class ObjectUnit(Unit):
    """Computes a result for an object, or for an object and an event.

    ``needs`` names the results that must be there, ``uses`` those that are taken where they are,
    ``provides`` what kind of result this unit gives. A topology whose units need what nobody listed
    before them provides is refused by its check.
    """

    provides: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    uses: ClassVar[tuple[str, ...]] = ()
    needs_event: ClassVar[bool] = False
    """Whether the result depends on the event (and its revision)."""
    alert_fields: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Fields of an alert's own detection that the unit asks for, by survey (``ztf``, ``lsst``) and
    the survey's names (``codecs/alertfields.py``): `Inputs.alerts` has them. They are kept with
    each alert that passes, from when a topology first asks for them. A topology is refused whose
    channel reads a survey of which the unit, asking of others, says nothing, or that has no such
    field."""
    heavy: ClassVar[bool] = False
    """Whether it computes for longer than some tens of milliseconds: it then runs in a process of a
    pool, for several objects at the same time, and is given up after 30 s. Such a unit must be
    picklable after ``open``, and so must its results."""

    result: ClassVar[Any] = None
    """What `compute` gives, as a type: a struct that documents its fields and units of measure.
    None: what the annotation of `compute` says. A result of which neither says anything is computed
    like any other, but conditions and rankings that use it are not checked before they run."""

    @classmethod
    def result_class(cls) -> Any:
        """Give the type of the result; None where nothing is said of it."""
        if cls.result is not None:
            return cls.result
        try:
            return get_type_hints(cls.compute).get("return")
        except (AttributeError, NameError, TypeError):  # names that only a type checker imports
            return None

    def result_fields(self) -> FieldType:
        """Give the fields of the result, as far as they are known of this configuration."""
        return type_of(self.result_class())

    def fingerprint(self) -> str:
        """Digest of the class, its version, its configuration, and of what it asks for."""
        own = super().fingerprint()
        return digest([own, dict(self.alert_fields)]) if self.alert_fields else own

    def compute(self, inputs: Inputs) -> Mapping[str, Any] | msgspec.Struct:
        """Give the result; plain data or a struct, documented with units of measure.

        Raises
        ------
        UnitError
            No result for this input; the candidate then carries the reason. It stays for as long
            as the input does; what else a unit raises may have passed when it is asked again.
        """
        raise NotImplementedError

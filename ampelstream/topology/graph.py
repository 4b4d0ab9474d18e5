"""A topology ready to run, and how it is built from a validated file.

`Topology` and its parts (`Channel`, `BoundUnit`, `ReactionRule`, ...) are what the core reads:
conditions parsed, units configured and opened. `build` makes them from a `TopologySpec`: it finds,
configures, opens and orders the units of each channel, and refuses what cannot run, naming key and
remedy.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from ampelstream.errors import AmpelstreamError, ConfigError
from ampelstream.model.digest import digest
from ampelstream.model.event import EventRevision
from ampelstream.topology.conditions import Condition
from ampelstream.topology.spec import (
    ChannelSpec,
    ReactionSpec,
    RetentionSpec,
    SinkSpec,
    TopologySpec,
    UnitSpec,
)
from ampelstream.units import AlertFilter, Inputs, MatchFilter, ObjectUnit, Resources, Unit
from ampelstream.units.discovery import configure

__all__ = [
    "BoundUnit",
    "Channel",
    "Computation",
    "EventSelection",
    "Rank",
    "ReactionRule",
    "Topology",
    "build",
]

U = TypeVar("U", bound=Unit)


class Computation(Protocol):
    """What a unit computes elsewhere; a `concurrent.futures.Future` is one."""

    def result(self) -> Mapping[str, Any] | msgspec.Struct:
        """Wait for it, and give or raise what the unit gave or raised."""
        ...

    def add_done_callback(self, call: Callable[[Any], object], /) -> None:
        """Have something called when it is done, from whatever thread; at once if it is."""
        ...


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
        How the runtime has the unit compute (timed); None: by calling it.
    start
        How the runtime has it compute elsewhere, while others go on; None: nowhere else.
    """

    name: str
    unit: U
    config_hash: str
    compute: Callable[[Inputs], Mapping[str, Any] | msgspec.Struct] | None = None
    start: Callable[[Inputs], Computation] | None = None


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

    def why_not(self, revision: EventRevision) -> str:
        """Why the topology does not follow this revision; empty where it does."""
        if self.accepts(revision):
            return ""
        if revision.kind not in self.kinds:
            return f"kind is {revision.kind!r}, wanted one of {', '.join(self.kinds)}"
        return str(self.where.unmet(revision.facts()) or "not selected")


@dataclass(frozen=True, slots=True)
class Channel:
    """One scientist's selection.

    Attributes
    ----------
    survey, where, filters
        Which alerts pass.
    follows
        Whether its candidates are objects inside the region and window of an event; otherwise every
        object with an alert that passes is one, and region, window and match say nothing.
    region
        Credible level of the region, 0 to 1.
    window
        First and last time of an alert [d after the trigger].
    match
        Filters of object and event.
    before, after
        Time range of the light curve that units see [d before and after the trigger]; without
        events, before the last alert, and all that comes after.
    units
        In the order in which they run.
    rank_by
        What listings are sorted by; None leaves them sorted by name.
    """

    name: str
    survey: str
    where: Condition
    filters: tuple[BoundUnit[AlertFilter], ...]
    follows: bool
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
    """The whole workflow.

    Attributes
    ----------
    name, version
        As the file says.
    hash
        Digest of what a candidate follows from.
    digest
        Digest of that, and of rules and retention.
    filters
        Digest of what decides which alerts are accepted for which channel.
    file
        Digest of everything that who evaluates no candidates needs to know: of the file and of the
        filters, but neither of other units' versions nor of what they read.
    evaluates
        Whether candidates can be evaluated: units and match filters have opened what they read.
    spec
        The validated file.
    events, channels, reactions, retention
        Its parts, ready to run.
    """

    name: str
    version: str
    hash: str
    digest: str
    filters: str
    file: str
    evaluates: bool
    spec: TopologySpec
    events: EventSelection
    channels: tuple[Channel, ...]
    reactions: tuple[ReactionRule, ...]
    retention: RetentionSpec

    @property
    def following(self) -> tuple[Channel, ...]:
        """Channels that follow events."""
        return tuple(one for one in self.channels if one.follows)

    @property
    def alone(self) -> tuple[Channel, ...]:
        """Channels whose candidates are objects, without an event."""
        return tuple(one for one in self.channels if not one.follows)


_NO_SCIENCE = {"description", "kafka", "catalogs", "react", "retention"}
"""Keys that change no candidate, and so not the hash either."""
_CANDIDATE = frozenset(
    {"object_id", "event_id", "channel", "status", "rank", "t0_jd", "ra", "dec", "detections"}
)


def _bind(
    specs: Sequence[UnitSpec], kind: type[U], where: str, resources: Resources | None
) -> Iterator[BoundUnit[U]]:
    """Configure the units of one list; open them, where there are resources."""
    seen: set[str] = set()
    for number, spec in enumerate(specs):
        entry = f"{where}.{number} ({spec.unit})"
        if spec.label in seen:
            raise ConfigError(f"{entry}: the name {spec.label} is taken; give this one a `name`")
        seen.add(spec.label)
        try:
            unit = configure(spec.unit, spec.config)
        except AmpelstreamError as error:
            raise ConfigError(f"{entry}: {error}") from error
        if not isinstance(unit, kind):
            raise ConfigError(f"{entry}: is not a {kind.__name__}; it cannot stand in this list")
        try:
            if resources is not None:
                unit.open(resources)
        except AmpelstreamError as error:
            fault = type(error) if isinstance(error, ConfigError) else ConfigError
            raise fault(f"{entry}: {error}") from error
        yield BoundUnit(spec.label, unit, unit.fingerprint())


def _check_needs(units: Sequence[BoundUnit[ObjectUnit]], where: str) -> None:
    """Refuse a unit whose needs nobody before it provides."""
    for number, bound in enumerate(units):
        for need in bound.unit.needs:
            if any(other.unit.provides == need for other in units[:number]):
                continue
            later = [other.name for other in units[number:] if other.unit.provides == need]
            remedy = (
                f"move {later[0]} above {bound.name}"
                if later and later[0] != bound.name
                else f"list a unit that provides {need} above it"
            )
            raise ConfigError(f"{where}.{number} ({bound.name}): needs {need}; {remedy}")


def _check_alone(units: Sequence[BoundUnit[ObjectUnit]], where: str) -> None:
    """Refuse a unit that asks for an event, where there is none."""
    for number, bound in enumerate(units):
        if bound.unit.needs_event:
            raise ConfigError(
                f"{where}.{number} ({bound.name}): needs an event, and the channel follows none; "
                "take it out, or write `follow: events`"
            )


def _rank(spec: ChannelSpec, units: Iterable[BoundUnit[ObjectUnit]], where: str) -> Rank | None:
    if spec.rank_by is None:
        return None
    unit, _, field = spec.rank_by.field.partition(".")
    names = [bound.name for bound in units]
    if not field or unit not in names:
        raise ConfigError(
            f"{where}.rank_by: {spec.rank_by.field!r} is not UNIT.FIELD of a unit: "
            f"{', '.join(names)}"
        )
    return Rank(unit, field, spec.rank_by.order == "ascending")


def _channel(name: str, spec: ChannelSpec, resources: Resources, *, evaluates: bool) -> Channel:
    where, read = f"channels.{name}", resources if evaluates else None
    units = tuple(_bind(spec.units, ObjectUnit, f"{where}.units", read))
    _check_needs(units, f"{where}.units")
    follows = spec.follow == "events"
    if not follows:
        _check_alone(units, f"{where}.units")
    before, after = spec.lightcurve.before, spec.lightcurve.after
    if not follows and "before" not in spec.lightcurve.model_fields_set:
        before = math.inf
    return Channel(
        name=name,
        survey=spec.alerts.survey,
        where=_condition(spec.alerts.where, f"{where}.alerts.where"),
        filters=tuple(_bind(spec.filters, AlertFilter, f"{where}.filters", resources)),
        follows=follows,
        region=spec.region,
        window=spec.window,
        match=tuple(_bind(spec.match, MatchFilter, f"{where}.match", read)),
        before=before,
        after=max(spec.window[1], 0.0) if after is None else after,
        units=units,
        rank_by=_rank(spec, units, where),
    )


def _condition(text: str, where: str) -> Condition:
    try:
        return Condition(text)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _rule(number: int, spec: ReactionSpec, channels: Sequence[Channel]) -> ReactionRule:
    where = f"react.{number} ({spec.name})"
    chosen = [channel for channel in channels if spec.channel in {None, channel.name}]
    if not chosen:
        raise ConfigError(f"{where}.channel: there is no channel {spec.channel}")
    condition = _condition(spec.when, f"{where}.when")
    known = _CANDIDATE.union(bound.name for channel in chosen for bound in channel.units)
    strange = sorted(condition.names - known)
    if strange:
        raise ConfigError(
            f"{where}.when: nothing is called {', '.join(strange)}; "
            f"known are {', '.join(sorted(known))}"
        )
    return ReactionRule(spec.name, spec.channel, condition, spec.sinks)


def _rules(specs: Sequence[ReactionSpec], channels: Sequence[Channel]) -> Iterator[ReactionRule]:
    """Rules; a name that stands twice would make two rules share their reactions."""
    names: set[str] = set()
    for number, spec in enumerate(specs):
        if spec.name in names:
            raise ConfigError(f"react.{number}: the name {spec.name} is taken; give another")
        names.add(spec.name)
        yield _rule(number, spec, channels)


def _prints(channels: Iterable[Channel]) -> list[list[list[str]]]:
    return [
        [[bound.config_hash for bound in units] for units in (one.filters, one.match, one.units)]
        for one in channels
    ]


def _selection(channel: Channel) -> list[Any]:
    """What decides which alerts the channel accepts."""
    prints = [bound.config_hash for bound in channel.filters]
    return [channel.name, channel.survey, channel.where.text, prints]


def build(spec: TopologySpec, resources: Resources, *, evaluates: bool = True) -> Topology:
    """Build a topology.

    Parameters
    ----------
    spec
        The validated file.
    resources
        What units read; each is opened once.
    evaluates
        Whether candidates will be evaluated. If not, only filters of alerts open what they read.

    Raises
    ------
    ConfigError
        A unit is unknown, wrongly configured, in the wrong list, or before what it needs; or it
        cannot be opened (`CatalogError`: a catalogue that it needs is not there).
    """
    channels = tuple(
        _channel(name, one, resources, evaluates=evaluates) for name, one in spec.channels.items()
    )
    # not in the order of the file: no candidate and no message depends on it, and no line of a
    # comparison would say what has changed
    ordered = sorted(channels, key=attrgetter("name"))
    said = spec.model_dump(mode="json", exclude=_NO_SCIENCE)
    science = digest([said, _prints(ordered)])
    rules = sorted((rule.model_dump(mode="json") for rule in spec.react), key=itemgetter("name"))
    kept = spec.retention.model_dump(mode="json")
    filters = digest([_selection(channel) for channel in ordered])
    return Topology(
        name=spec.name,
        version=spec.version,
        hash=science,
        digest=digest([science, rules, kept]),
        filters=filters,
        file=digest([said, filters, rules, kept]),
        evaluates=evaluates,
        spec=spec,
        events=EventSelection(
            spec.events.kinds, _condition(spec.events.where, "events.where"), spec.events.skymap
        ),
        channels=channels,
        reactions=tuple(_rules(spec.react, channels)),
        retention=spec.retention,
    )

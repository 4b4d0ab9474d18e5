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

from ampelstream.model.digest import digest
from ampelstream.model.event import EventRevision
from ampelstream.model.fieldtypes import FieldType
from ampelstream.topology.binding import (
    bind,
    check_alert_fields,
    check_alone,
    check_fields,
    check_needs,
)
from ampelstream.topology.checking import (
    alert_fields,
    check_rank,
    check_told,
    checked,
    event_names,
    names_of_alerts,
    names_of_candidates,
    results_of,
)
from ampelstream.topology.conditions import Condition
from ampelstream.topology.findings import Findings
from ampelstream.topology.ownmodules import look_beside
from ampelstream.topology.places import Places
from ampelstream.topology.spec import (
    ChannelSpec,
    ReactionSpec,
    RetentionSpec,
    SinkSpec,
    TopologySpec,
)
from ampelstream.units import AlertFilter, Inputs, MatchFilter, ObjectUnit, Resources, Unit
from ampelstream.wording import mend

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
    test_events: bool = False

    def accepts(self, revision: EventRevision) -> bool:
        """Whether the topology follows this revision of an event."""
        return (
            revision.kind in self.kinds
            and (self.test_events or not revision.test)
            and (not self.where.text or self.where.holds(revision.facts()))
        )

    def why_not(self, revision: EventRevision) -> str:
        """Why the topology does not follow this revision; empty where it does."""
        if self.accepts(revision):
            return ""
        if revision.kind not in self.kinds:
            return f"kind is {revision.kind!r}, wanted one of {', '.join(self.kinds)}"
        if revision.test and not self.test_events:
            return "it is a test, an injection or a mock event, and events.test_events is false"
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
    associate
        Light curves of objects of other surveys within this radius are joined [deg]; None: none.
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
    associate: float | None = None

    @property
    def alert_fields(self) -> frozenset[str]:
        """Fields of an accepted alert that its units ask for."""
        fields = (bound.unit.alert_fields.get(self.survey, ()) for bound in self.units)
        return frozenset(name for names in fields for name in names)


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
        Digest of what decides which alerts are accepted for which channel, and of what is kept of
        them.
    file
        Digest of everything that who evaluates no candidates needs to know: of the file and of the
        filters, but neither of other units' versions nor of what they read.
    evaluates
        Whether candidates can be evaluated: units and match filters have opened what they read.
    spec
        The validated file.
    events, channels, reactions, retention
        Its parts, ready to run.
    notes
        What `build` found that may be meant as it is, for who checks the file.
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
    notes: tuple[str, ...] = ()

    @property
    def following(self) -> tuple[Channel, ...]:
        """Channels that follow events."""
        return tuple(one for one in self.channels if one.follows)

    @property
    def alone(self) -> tuple[Channel, ...]:
        """Channels whose candidates are objects, without an event."""
        return tuple(one for one in self.channels if not one.follows)


_ARCSEC = 3600.0
_NO_SCIENCE = {"description", "kafka", "catalogs", "react", "retention"}
"""Keys that change no candidate, and so not the hash either."""


def _bound(
    found: Iterable[tuple[str, U | None]],
) -> tuple[BoundUnit[U], ...]:
    """Those with which nothing is wrong."""
    return tuple(BoundUnit(name, unit, unit.fingerprint()) for name, unit in found if unit)


def _channel(
    name: str, spec: ChannelSpec, resources: Resources, findings: Findings, *, evaluates: bool
) -> tuple[Channel, Mapping[str, FieldType] | None]:
    """The channel, and the fields of its units' results; None where a unit could not be made."""
    where, read = ("channels", name), resources if evaluates else None
    fields = alert_fields(spec.alerts, (*where, "alerts"), findings)
    names = names_of_alerts(spec.alerts.survey, fields) if fields is not None else None
    filters = bind(spec.filters, AlertFilter, (*where, "filters"), resources, findings)
    for number, (label, unit) in enumerate(filters if fields is not None else ()):
        if unit is not None:
            path = (*where, "filters", number)
            check_fields(unit, label, spec.alerts.survey, fields or {}, path, findings)
    units = bind(spec.units, ObjectUnit, (*where, "units"), read, findings)
    good = [(label, unit) for label, unit in units if unit is not None]
    if fields is not None:
        check_alert_fields(good, spec.alerts.survey, fields, (*where, "units"), findings)
    results = results_of(good) if len(good) == len(units) else None
    rank = None
    if results is not None:  # else what is missed may be what a unit that is wrong would give
        check_needs(good, (*where, "units"), findings)
        check_told(results, (*where, "units"), findings)
        if spec.rank_by is not None:
            rank = check_rank(spec.rank_by, results, (*where, "rank_by"), findings)
    follows = spec.follow == "events"
    if not follows:
        check_alone(good, (*where, "units"), findings)
    before, after = spec.lightcurve.before, spec.lightcurve.after
    if not follows and "before" not in spec.lightcurve.model_fields_set:
        before = math.inf
    channel = Channel(
        name=name,
        survey=spec.alerts.survey,
        where=checked(spec.alerts.where, names, (*where, "alerts", "where"), findings),
        filters=_bound(filters),
        follows=follows,
        region=spec.region,
        window=spec.window,
        match=_bound(bind(spec.match, MatchFilter, (*where, "match"), read, findings)),
        before=before,
        after=max(spec.window[1], 0.0) if after is None else after,
        units=_bound(units),
        rank_by=Rank(*rank, spec.rank_by.order == "ascending") if spec.rank_by and rank else None,
        associate=None if spec.associate is None else spec.associate.radius_arcsec / _ARCSEC,
    )
    return channel, results


def _rules(
    specs: Sequence[ReactionSpec],
    results: Mapping[str, Mapping[str, FieldType] | None],
    findings: Findings,
) -> Iterator[ReactionRule]:
    """Rules; a name that stands twice would make two rules share their reactions."""
    seen: set[str] = set()
    for number, spec in enumerate(specs):
        path = ("react", number)
        if spec.name in seen:
            findings.wrong((*path, "name"), f"the name {spec.name} is taken; give another")
        seen.add(spec.name)
        if spec.channel is not None and spec.channel not in results:
            meant = mend(spec.channel, results, known="channels are")
            findings.wrong((*path, "channel"), f"there is no channel {spec.channel}; {meant}")
        chosen = {name: of for name, of in results.items() if spec.channel in {None, name}}
        known = [of for of in chosen.values() if of is not None]
        whole = known and len(known) == len(chosen)
        names = names_of_candidates(known, list(chosen)) if whole else None
        condition = checked(spec.when, names, (*path, "when"), findings)
        yield ReactionRule(spec.name, spec.channel, condition, spec.sinks)


def _prints(channels: Iterable[Channel]) -> list[list[list[str]]]:
    return [
        [[bound.config_hash for bound in units] for units in (one.filters, one.match, one.units)]
        for one in channels
    ]


def _selection(channel: Channel) -> list[Any]:
    """What decides which alerts the channel accepts, and what is kept of them."""
    prints = [bound.config_hash for bound in channel.filters]
    selection = [channel.name, channel.survey, channel.where.text, prints]
    return [*selection, sorted(channel.alert_fields)] if channel.alert_fields else selection


def build(
    spec: TopologySpec,
    resources: Resources,
    places: Places | None = None,
    *,
    evaluates: bool = True,
) -> Topology:
    """Build a topology.

    Parameters
    ----------
    spec
        The validated file.
    resources
        What units read; each is opened once.
    places
        Where in its file what it says stands, for messages; and modules of a user's own are looked
        for beside that file.
    evaluates
        Whether candidates will be evaluated. If not, only filters of alerts open what they read.

    Raises
    ------
    ConfigError
        A unit is unknown, wrongly configured, in the wrong list, or before what it needs; or it
        cannot be opened (`CatalogError`: a catalogue that it needs is not there). A condition or a
        ranking speaks of what is not there, or compares what never compares. All of it is said.
    """
    findings = Findings(places)
    if places is not None:
        look_beside(places.file.parent)
    selected = checked(
        spec.events.where, event_names(spec.events.kinds), ("events", "where"), findings
    )
    made = [
        _channel(name, one, resources, findings, evaluates=evaluates)
        for name, one in spec.channels.items()
    ]
    channels = tuple(channel for channel, _ in made)
    results = {channel.name: fields for channel, fields in made}
    reactions = tuple(_rules(spec.react, results, findings))
    findings.raise_wrong()
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
            spec.events.kinds, selected, spec.events.skymap, spec.events.test_events
        ),
        channels=channels,
        reactions=reactions,
        retention=spec.retention,
        notes=tuple(findings.notes),
    )

"""From a valid file to a topology that runs: units found, configured, ordered and opened."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from ampelstream.errors import AmpelstreamError, ConfigError
from ampelstream.model.digest import digest
from ampelstream.topology.conditions import Condition
from ampelstream.topology.graph import (
    BoundUnit,
    Channel,
    EventSelection,
    Rank,
    ReactionRule,
    Topology,
)
from ampelstream.topology.spec import ChannelSpec, ReactionSpec, TopologySpec, UnitSpec
from ampelstream.units.base import AlertFilter, MatchFilter, ObjectUnit, Unit
from ampelstream.units.inputs import Resources
from ampelstream.units.registry import configure

__all__ = ["build"]

U = TypeVar("U", bound=Unit)
_NO_SCIENCE = {"description", "kafka"}
"""Keys that change no result, and so not the hash either."""
_CANDIDATE = frozenset(
    {"object_id", "event_id", "channel", "status", "rank", "t0_jd", "ra", "dec", "detections"}
)


def _bind(
    specs: Sequence[UnitSpec], kind: type[U], where: str, resources: Resources
) -> Iterator[BoundUnit[U]]:
    """Configure and open the units of one list."""
    seen: set[str] = set()
    for number, spec in enumerate(specs):
        place = f"{where}.{number} ({spec.unit})"
        if spec.label in seen:
            raise ConfigError(f"{place}: the name {spec.label} is taken; give this one a `name`")
        seen.add(spec.label)
        try:
            unit = configure(spec.unit, spec.config)
        except AmpelstreamError as error:
            raise ConfigError(f"{place}: {error}") from error
        if not isinstance(unit, kind):
            raise ConfigError(f"{place}: is not a {kind.__name__}; it cannot stand in this list")
        try:
            unit.open(resources)
        except AmpelstreamError as error:
            raise type(error)(f"{place}: {error}") from error
        yield BoundUnit(spec.label, unit, unit.fingerprint())


def _check_needs(units: Sequence[BoundUnit[ObjectUnit]], where: str) -> None:
    """Refuse a unit whose needs nobody before it provides."""
    for number, bound in enumerate(units):
        for need in bound.unit.needs:
            if any(other.unit.provides == need for other in units[:number]):
                continue
            later = [other.name for other in units[number:] if other.unit.provides == need]
            mend = (
                f"move {later[0]} above {bound.name}"
                if later and later[0] != bound.name
                else f"list a unit that provides {need} above it"
            )
            raise ConfigError(f"{where}.{number} ({bound.name}): needs {need}; {mend}")


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


def _channel(name: str, spec: ChannelSpec, resources: Resources) -> Channel:
    where = f"channels.{name}"
    units = tuple(_bind(spec.units, ObjectUnit, f"{where}.units", resources))
    _check_needs(units, f"{where}.units")
    after = spec.lightcurve.after
    return Channel(
        name=name,
        survey=spec.alerts.survey,
        where=_condition(spec.alerts.where, f"{where}.alerts.where"),
        filters=tuple(_bind(spec.filters, AlertFilter, f"{where}.filters", resources)),
        region=spec.region,
        window=spec.window,
        match=tuple(_bind(spec.match, MatchFilter, f"{where}.match", resources)),
        before=spec.lightcurve.before,
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


def build(spec: TopologySpec, resources: Resources) -> Topology:
    """Build a topology.

    Parameters
    ----------
    spec
        The validated file.
    resources
        What units read; each is opened once.

    Raises
    ------
    ConfigError
        A unit is unknown, wrongly configured, in the wrong list, or before what it needs.
    CatalogError
        A catalogue that a unit needs is not there.
    """
    channels = tuple(_channel(name, one, resources) for name, one in spec.channels.items())
    prints = [
        [
            [bound.config_hash for bound in one.filters],
            [bound.config_hash for bound in one.match],
            [bound.config_hash for bound in one.units],
        ]
        for one in channels
    ]
    return Topology(
        name=spec.name,
        version=spec.version,
        hash=digest([spec.model_dump(mode="json", exclude=_NO_SCIENCE), prints]),
        spec=spec,
        events=EventSelection(
            spec.events.kinds, _condition(spec.events.where, "events.where"), spec.events.skymap
        ),
        channels=channels,
        reactions=tuple(_rules(spec.react, channels)),
        retention=spec.retention,
    )

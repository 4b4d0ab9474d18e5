"""A topology for people: in words, as plain data, as a Mermaid flowchart, as an outline."""

import math
from collections.abc import Iterator
from typing import Any

from ampelstream.topology.graph import BoundUnit, Channel, Topology
from ampelstream.units import ObjectUnit

__all__ = ["as_plain", "describe", "mermaid", "outline"]


def _unit_plain(bound: BoundUnit[Any]) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "name": bound.name,
        "unit": type(bound.unit).__name__,
        "version": bound.unit.version,
        "config_hash": bound.config_hash,
        "config": bound.unit.model_dump(mode="json"),
    }
    if isinstance(bound.unit, ObjectUnit):
        plain["provides"] = bound.unit.provides
        plain["needs"] = list(bound.unit.needs)
        plain["uses"] = list(bound.unit.uses)
    return plain


def as_plain(topology: Topology) -> dict[str, Any]:
    """Everything about a topology as plain data."""
    return {
        "name": topology.name,
        "version": topology.version,
        "hash": topology.hash,
        "description": topology.spec.description.strip(),
        "events": topology.spec.events.model_dump(mode="json"),
        "channels": {
            channel.name: {
                "survey": channel.survey,
                "where": channel.where.text,
                "filters": [_unit_plain(one) for one in channel.filters],
                "follow": "events" if channel.follows else "none",
                "region": channel.region if channel.follows else None,
                "window_days": list(channel.window) if channel.follows else None,
                "match": [_unit_plain(one) for one in channel.match],
                "lightcurve_days": {
                    "before": None if math.isinf(channel.before) else channel.before,
                    "after": channel.after if channel.follows else None,
                },
                "units": [_unit_plain(one) for one in channel.units],
                "rank_by": channel.rank_by
                and {
                    "unit": channel.rank_by.unit,
                    "field": channel.rank_by.field,
                    "ascending": channel.rank_by.ascending,
                },
            }
            for channel in topology.channels
        },
        "react": [one.model_dump(mode="json") for one in topology.spec.react],
        "retention_days": topology.retention.model_dump(mode="json"),
    }


def _unit_lines(bound: BoundUnit[Any], indent: str) -> Iterator[str]:
    kind = type(bound.unit).__name__
    named = bound.name if bound.name == kind else f"{bound.name} ({kind})"
    line = f"{indent}- {named}, version {bound.unit.version}, {bound.config_hash}"
    if isinstance(bound.unit, ObjectUnit):
        line += f": gives {bound.unit.provides}"
        if bound.unit.needs:
            line += f", needs {', '.join(bound.unit.needs)}"
        if bound.unit.uses:
            line += f", uses {', '.join(bound.unit.uses)}"
    yield line
    for key, value in bound.unit.model_dump(mode="json").items():
        yield f"{indent}    {key}: {value}"


def _channel_lines(channel: Channel) -> Iterator[str]:
    yield f"channel {channel.name}"
    yield f"  alerts: {channel.survey}, where {channel.where.text or 'anything'}"
    yield "  filters:" if channel.filters else "  filters: none, every alert passes"
    for bound in channel.filters:
        yield from _unit_lines(bound, "    ")
    if channel.follows:
        level, (first, last) = channel.region, channel.window
        yield f"  matches: credible level up to {level:g}, {first:g} to {last:g} d after t0"
        for match in channel.match:
            yield from _unit_lines(match, "    ")
        yield f"  light curve: {channel.before:g} d before to {channel.after:g} d after t0"
    else:
        whole = math.isinf(channel.before)
        since = "whole" if whole else f"from {channel.before:g} d before the last alert on"
        yield "  follows no events: every object with an alert that passes is a candidate"
        yield f"  light curve: {since}"
    yield "  units:" if channel.units else "  units: none"
    for unit in channel.units:
        yield from _unit_lines(unit, "    ")
    if channel.rank_by is not None:
        order = "low" if channel.rank_by.ascending else "high"
        yield f"  ranked by {channel.rank_by.unit}.{channel.rank_by.field}, {order} values first"


def describe(topology: Topology) -> str:
    """A topology as text for people."""
    lines = [
        f"{topology.name}, version {topology.version}, content {topology.hash}",
        *(f"  {line}" for line in topology.spec.description.strip().splitlines()),
        (
            f"events: {', '.join(topology.events.kinds)}, where "
            f"{topology.events.where.text or 'anything'}; sky map: {topology.events.skymap}; "
            f"tests and mock events: {'too' if topology.events.test_events else 'not'}"
        ),
    ]
    for channel in topology.channels:
        lines.extend(_channel_lines(channel))
    for rule in topology.reactions:
        sinks = ", ".join("console" if sink.file is None else sink.file for sink in rule.sinks)
        lines.append(
            f"reaction {rule.name} ({rule.channel or 'all channels'}): when {rule.when.text}; "
            f"to {sinks}"
        )
    keep = topology.retention
    lines.append(f"kept: objects {keep.objects:g} d, events {keep.events:g} d of event time")
    return "\n".join(lines)


def _label(words: str) -> str:
    """A label that Mermaid takes as it is, whatever it holds."""
    escaped = words.replace("&", "#amp;").replace('"', "#quot;").replace("<", "#lt;")
    return f'"{escaped}"'


def _matching(channel: Channel) -> str:
    """What makes an object with accepted alerts a candidate."""
    if not channel.follows:
        return "every object"
    first, last = channel.window
    return f"region {channel.region:g} and window {first:g}..{last:g} d"


def _channel_nodes(number: int, channel: Channel) -> Iterator[str]:
    """Nodes and arrows of one channel, ids ``c<channel>_<step>``."""
    previous = "alerts"
    for step, bound in enumerate(channel.filters):
        node = f"c{number}_f{step}"
        yield f"  {node}[{_label(bound.name)}]"
        yield f"  {previous} --> {node}"
        previous = node
    match = f"c{number}_match"
    words = f"{channel.name}: {_matching(channel)}"
    yield f"  {match}{{{{{_label(words)}}}}}"
    yield f"  {previous} --> {match}"
    if channel.follows:
        yield f"  events --> {match}"
    previous = match
    for step, match_filter in enumerate(channel.match):
        node = f"c{number}_m{step}"
        yield f"  {node}[{_label(match_filter.name)}]"
        yield f"  {previous} --> {node}"
        previous = node
    candidates = f"c{number}_candidates"
    yield f"  {candidates}([{_label(f'candidates of {channel.name}')}])"
    providers: dict[str, str] = {}
    for step, unit in enumerate(channel.units):
        node = f"c{number}_u{step}"
        yield f"  {node}[{_label(unit.name)}]"
        sources = [
            providers[kind] for kind in (*unit.unit.needs, *unit.unit.uses) if kind in providers
        ]
        for source in sources or [previous]:
            yield f"  {source} --> {node}"
        yield f"  {node} --> {candidates}"
        providers[unit.unit.provides] = node
    if not channel.units:
        yield f"  {previous} --> {candidates}"


def mermaid(topology: Topology) -> str:
    """A Mermaid flowchart."""
    lines = ["flowchart LR", '  alerts(["alerts"])', '  events(["events"])']
    if topology.events.where.text:
        lines.append(f"  chosen[{_label(topology.events.where.text)}]")
        lines.insert(2, '  notices(["notices"])')
        lines.extend(["  notices --> chosen", "  chosen --> events"])
    for number, channel in enumerate(topology.channels):
        lines.extend(_channel_nodes(number, channel))
    for number, rule in enumerate(topology.reactions):
        lines.append(f"  r{number}>{_label(rule.name)}]")
        for at, channel in enumerate(topology.channels):
            if rule.channel in {None, channel.name}:
                lines.append(f"  c{at}_candidates -->|{_label(rule.when.text)}| r{number}")
    return "\n".join(lines)


def outline(topology: Topology) -> str:
    """The flow as indented text."""
    lines = [f"notices --> events ({topology.events.where.text or 'all'})"]
    for channel in topology.channels:
        steps = [
            "alerts",
            *(bound.name for bound in channel.filters),
            _matching(channel),
            *(bound.name for bound in channel.match),
        ]
        lines.append(f"{channel.name}: {' --> '.join(steps)}")
        for unit in channel.units:
            wanted = [*unit.unit.needs, *unit.unit.uses]
            lines.append(f"    --> {unit.name}" + (f"  <- {', '.join(wanted)}" if wanted else ""))
        lines.append(f"    --> candidates of {channel.name}")
    for rule in topology.reactions:
        sinks = ", ".join("console" if sink.file is None else sink.file for sink in rule.sinks)
        lines.append(f"{rule.channel or 'all channels'}: when {rule.when.text} --> {sinks}")
    return "\n".join(lines)

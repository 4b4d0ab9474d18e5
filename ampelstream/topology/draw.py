"""A topology as a picture: Mermaid for documents, indented text for terminals."""

from collections.abc import Iterator

from ampelstream.topology.graph import Channel, Topology

__all__ = ["mermaid", "text"]


def _label(words: str) -> str:
    """A label that Mermaid takes as it is, whatever it holds."""
    escaped = words.replace("&", "#amp;").replace('"', "#quot;").replace("<", "#lt;")
    return f'"{escaped}"'


def _channel_nodes(number: int, channel: Channel) -> Iterator[str]:
    """Nodes and arrows of one channel, ids ``c<channel>_<step>``."""
    previous = "alerts"
    for step, bound in enumerate(channel.filters):
        node = f"c{number}_f{step}"
        yield f"  {node}[{_label(bound.name)}]"
        yield f"  {previous} --> {node}"
        previous = node
    match = f"c{number}_match"
    first, last = channel.window
    words = f"{channel.name}: level up to {channel.region:g}, {first:g} to {last:g} d"
    yield f"  {match}{{{{{_label(words)}}}}}"
    yield f"  {previous} --> {match}"
    yield f"  events --> {match}"
    previous = match
    for step, judge in enumerate(channel.match):
        node = f"c{number}_m{step}"
        yield f"  {node}[{_label(judge.name)}]"
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


def text(topology: Topology) -> str:
    """The flow as indented text."""
    lines = [f"notices --> events ({topology.events.where.text or 'all'})"]
    for channel in topology.channels:
        steps = [
            "alerts",
            *(bound.name for bound in channel.filters),
            f"region {channel.region:g} and window {channel.window[0]:g}..{channel.window[1]:g} d",
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

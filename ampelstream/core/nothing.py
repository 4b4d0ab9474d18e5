"""Why there is nothing: which step took all of it, in words for people."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from ampelstream.core.accounting import Accounting
from ampelstream.core.census import EventCensus
from ampelstream.core.events import Event
from ampelstream.model.display import counted
from ampelstream.topology import Channel, Topology

__all__ = ["why_no_candidate", "why_none_selected", "why_not_selected"]

_SHOWN = 3


def _most(reasons: Mapping[str, int], words: str) -> str:
    """The most frequent reasons with their numbers, and how many others there are."""
    ordered = sorted(reasons.items(), key=lambda one: (-one[1], one[0]))
    texts = [f"{number} {words} {reason}" for reason, number in ordered[:_SHOWN]]
    others = sum(number for _, number in ordered[_SHOWN:])
    return ", ".join([*texts, *([f"{others} for other reasons"] if others else [])])


def _why(event: EventCensus) -> str:
    """Why no revision of an event is selected, by the last one that is no retraction."""
    standing = [one for one in event.revisions if not one.revision.is_retraction]
    return standing[-1].why if standing else "only its retraction is known"


def why_not_selected(events: Sequence[EventCensus]) -> str:
    """How many events are selected, and why the others are not; empty where all are."""
    missed = [one for one in events if not any(part.selected for part in one.revisions)]
    return _selected(len(events), [_why(event) or "unknown" for event in missed])


def why_none_selected(topology: Topology, events: Iterable[Event]) -> str:
    """Say the same of events as the matching knows them: of those that the topology rejects."""
    known = list(events)
    return _selected(
        len(known),
        [
            topology.events.why_not(event.current)
            for event in known
            if event.rejected and event.current is not None
        ],
    )


def _selected(known: int, missed: Sequence[str]) -> str:
    """How many of so many events are selected, and why the others are missed."""
    if not missed:
        return ""
    text = f"{known - len(missed)} of {known} events selected"
    whys = Counter(missed).most_common()
    if len(whys) == 1:
        return f"{text}: {whys[0][0]}"
    texts = [f"{why} ({number})" for why, number in whys[:_SHOWN]]
    return f"{text}: {'; '.join([*texts, *(['...'] if len(whys) > _SHOWN else [])])}"


def why_no_candidate(
    channel: Channel, accounting: Accounting, events: Sequence[EventCensus]
) -> str:
    """Which step took all that might have become a candidate of the channel.

    Parameters
    ----------
    channel
        One that has no candidate.
    accounting, events
        Of the whole life of its state.
    """
    total = accounting.total
    alerts = total("received", "alerts")
    if not alerts:
        return "no alert was read"
    accepted = total("channel_accepted", channel.name)
    if not accepted:
        return _why_none_passed(channel, accounting, alerts)
    if not channel.follows:
        return f"{accepted} alerts accepted, and none became a candidate: see the dead letters"
    if not events:
        none = "no notice was read" if not total("received", "notices") else "no notice gave one"
        return f"{accepted} alerts accepted, but no event is known: {none}"
    selected = [one for one in events if any(part.selected for part in one.revisions)]
    if not selected:
        return why_not_selected(events)
    return _why_none_fits(channel, accepted, selected)


def _why_none_passed(channel: Channel, accounting: Accounting, alerts: int) -> str:
    parts = []
    rejected = dict(accounting.by("rejected", channel.name))
    if rejected:
        parts.append(_most(rejected, "rejected by"))
    failed = accounting.total("channel_failed", channel.name)
    if failed:
        parts.append(f"a filter failed on {failed}")
    unread = alerts - sum(rejected.values()) - failed
    if unread > 0:
        parts.append(f"{unread} could not be handled, or wait")
    return f"none of {alerts} alerts passed: {', '.join(parts)}"


def _why_none_fits(channel: Channel, accepted: int, selected: Iterable[EventCensus]) -> str:
    counts = [
        part.channels[channel.name]
        for event in selected
        for part in event.revisions
        if part.selected and channel.name in part.channels
    ]
    inside = sum(one.objects for one in counts)
    if not inside:
        first, last = channel.window
        return (
            f"none of {accepted} accepted alerts lies inside the region ({channel.region:.0%}) and "
            f"the window ({first:g} to {last:g} d) of an event"
        )
    rejected: Counter[str] = Counter()
    for one in counts:
        rejected.update(one.rejected)
    if rejected:
        return f"{counted(inside, 'object')} inside, {_most(rejected, 'rejected by')}"
    return f"{counted(inside, 'object')} inside, and none became a candidate: see the dead letters"

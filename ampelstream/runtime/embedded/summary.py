"""What a run did, in numbers that add up, and what the report needs."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from ampelstream.core.accounting import Accounting
from ampelstream.core.census import EventCensus, RevisionCensus
from ampelstream.core.nothing import why_no_candidate, why_not_selected
from ampelstream.core.unitcounts import unit_counts
from ampelstream.model.candidate import Candidate
from ampelstream.model.times import iso_from_jd
from ampelstream.report.content import EventReport, ReplayReport, RevisionReport
from ampelstream.runtime.embedded.engine import Engine
from ampelstream.sources import Skipped, Source
from ampelstream.topology import BoundUnit, Topology

__all__ = ["collect", "ranked", "reaction_rows", "silent_inputs", "skipped_rows"]

_NAMED_SKIPPED = 20


def ranked(topology: Topology, candidates: list[Candidate]) -> list[Candidate]:
    """Candidates, best first: active ones before others, then by the channel's rank."""
    ascending = {
        channel.name: channel.rank_by is not None and channel.rank_by.ascending
        for channel in topology.channels
    }

    def order(candidate: Candidate) -> tuple[bool, bool, float, tuple[str, str, str]]:
        rank = candidate.rank
        value = 0.0 if rank is None else rank if ascending.get(candidate.channel) else -rank
        return (candidate.status != "active", rank is None, value, candidate.key)

    return sorted(candidates, key=order)


def _row(event: EventCensus, one: RevisionCensus) -> dict[str, Any]:
    """One line of the summary for a revision of an event."""
    revision = one.revision
    return {
        "event": event.event_id,
        "kind": revision.kind,
        "test": revision.test,
        "revision": revision.revision_id,
        "notice": one.member.rsplit("/", 1)[-1] or str(one.where),
        "alert_type": revision.alert_type,
        "time_created": revision.time_created,
        "t0": None if revision.t0_jd is None else iso_from_jd(revision.t0_jd),
        "t0_jd": revision.t0_jd,
        "selected": one.selected,
        "why_not": one.why,
        "area50_deg2": one.area50_deg2,
        "area90_deg2": one.area90_deg2,
        "alerts_inside": one.alerts,
        "objects_inside": one.objects,
        "channels": {
            name: {
                "alerts_inside": counts.alerts,
                "objects_inside": counts.objects,
                "rejected_at_match": dict(sorted(counts.rejected.items())),
            }
            for name, counts in one.channels.items()
        },
    }


def _alerts(accounting: Accounting) -> dict[str, Any]:
    """Alerts; in = decoded + dead letters, decoded = accepted + duplicates + rejected.

    ``rejected`` says of those that every channel rejected what the first one had against them;
    ``watermark_refused`` are those of any kind that say that they are from the future, and
    ``odd_magnitudes`` accepted ones without a magnitude, or with an impossible one.
    """
    accepted, known = accounting.total("accepted"), accounting.total("known", "alerts")
    rejected = dict(accounting.by("rejected_by_all"))
    failed = accounting.total("failed", "alerts") + accounting.total("failed", "detections")
    return {
        "records_in": accounting.total("received", "alerts"),
        "decoded": accepted + known + sum(rejected.values()),
        "duplicates": known,
        "accepted": accepted,
        "rejected": rejected,
        "rejected_by_all": sum(rejected.values()),
        "dead_letters": failed,
        "watermark_refused": accounting.total("watermark_refused"),
        "odd_magnitudes": dict(accounting.by("odd_magnitudes")),
    }


def _notices(accounting: Accounting) -> dict[str, Any]:
    """Notices; in = decoded + dead letters, decoded = accepted + duplicates.

    ``remarks``: what was put right in them or left out, and how often.
    """
    accepted, known = accounting.total("revised"), accounting.total("known", "notices")
    failed = accounting.total("failed", "notices") + accounting.total("failed", "events")
    return {
        "records_in": accounting.total("received", "notices"),
        "decoded": accepted + known,
        "duplicates": known,
        "accepted": accepted,
        "dead_letters": failed,
        "remarks": dict(accounting.by("remarks")),
    }


def _channel(accounting: Accounting, name: str) -> dict[str, Any]:
    """One channel's view of the alerts that were decoded."""
    return {
        "accepted": accounting.total("channel_accepted", name),
        "duplicates": accounting.total("channel_known", name),
        "rejected": dict(accounting.by("rejected", name)),
        "failed": accounting.total("channel_failed", name),
    }


def _statuses(topology: Topology, candidates: list[Candidate]) -> dict[str, dict[str, int]]:
    counts = {
        channel.name: {"active": 0, "outside": 0, "retracted": 0} for channel in topology.channels
    }
    for candidate in candidates:
        counts[candidate.channel][candidate.status.value] += 1
    return counts


def _absent(topology: Topology) -> list[str]:
    """Names of what units may read, and did not find."""
    bound: list[BoundUnit[Any]] = []
    for channel in topology.channels:
        bound += [*channel.filters, *channel.units]
    return sorted({name for one in bound for name, found in one.unit.reads().items() if not found})


def collect(engine: Engine, *, description: str, simulated: bool) -> ReplayReport:
    """Everything that the outputs say, from the state alone."""
    topology = engine.topology
    candidates = engine.objects.candidates()
    censuses = engine.objects.censuses()
    entries = engine.react.entries()
    statuses = _statuses(topology, candidates)
    accounting = engine.accounting
    counts = {"alerts": _alerts(accounting), "notices": _notices(accounting)}
    summary: dict[str, Any] = {
        "topology": {"name": topology.name, "version": topology.version, "hash": topology.hash},
        "records_in": accounting.total("received"),
        "dead_letters": accounting.total("dead_letters"),
        **counts,
        "events_not_selected": why_not_selected(censuses),
        "channels": {
            channel.name: _channel(accounting, channel.name)
            | {
                "candidates": statuses[channel.name],
                "why_none": ""
                if any(statuses[channel.name].values())
                else why_no_candidate(channel, accounting, censuses),
            }
            for channel in topology.channels
        },
        "absent_catalogs": _absent(topology),
        "units": [
            msgspec.to_builtins(one) | {"always_fails": one.always_fails}
            for one in unit_counts(topology, accounting)
        ],
        "reactions": {"decided": len(entries), "sent": sum(bool(one.sent) for one in entries)},
        "events": [_row(event, one) for event in censuses for one in event.revisions],
    }
    return ReplayReport(
        topology_name=topology.name,
        topology_version=topology.version,
        topology_hash=topology.hash,
        description=description,
        summary=summary,
        events=[_event_report(engine, event) for event in censuses],
        candidates=ranked(topology, candidates),
        simulated=simulated,
        ranking={
            channel.name: (
                f"{channel.rank_by.unit}.{channel.rank_by.field}",
                channel.rank_by.ascending,
            )
            for channel in topology.channels
            if channel.rank_by is not None
        },
    )


def _event_report(engine: Engine, event: EventCensus) -> EventReport:
    return EventReport(
        event_id=event.event_id,
        revisions=[
            RevisionReport(
                revision=one.revision,
                area50_deg2=one.area50_deg2,
                area90_deg2=one.area90_deg2,
                channels={name: (c.alerts, c.objects) for name, c in one.channels.items()},
                selected=one.selected,
                why_not=one.why,
                rejected={name: c.rejected for name, c in one.channels.items() if c.rejected},
            )
            for one in event.revisions
        ],
        skymap=engine.objects.skymap(event.event_id),
        retracted=event.retracted,
    )


def skipped_rows(skipped: Sequence[Skipped]) -> dict[str, Any]:
    """How many files were not read, and the first of them with the reasons."""
    first = [one._asdict() for one in skipped[:_NAMED_SKIPPED]]
    return {"count": len(skipped), "first": first}


def silent_inputs(sources: Iterable[Source], offsets: Mapping[tuple[str, int], int]) -> list[str]:
    """Names of inputs that have given no record.

    Parameters
    ----------
    sources
        The inputs.
    offsets
        Last offset handled, for each (source, partition).
    """
    read = {source for source, _ in offsets}
    return [one.name for one in sources if not any(one.holds(source) for source in read)]


def reaction_rows(engine: Engine) -> list[dict[str, Any]]:
    """Messages that were decided, sorted by event, object, channel, rule and turn."""
    rows = [msgspec.to_builtins(entry.reaction) for entry in engine.react.entries()]
    order = ("event_id", "object_id", "channel", "rule", "turn")
    return sorted(rows, key=lambda row: [row[name] for name in order])

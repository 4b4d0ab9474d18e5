"""How a topology on Kafka is doing, from what its topics and consumer groups say."""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from ampelstream.codecs import own
from ampelstream.errors import ConfigError, DecodeError
from ampelstream.model.display import counted, printable
from ampelstream.model.times import iso_from_jd, iso_from_unix, reached, span, unix_from_jd
from ampelstream.runtime.kafka.clients import topic_names
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.export import count_waiting
from ampelstream.runtime.kafka.groups import ClusterView, Reader, StepStatus, steps, viewed
from ampelstream.runtime.kafka.names import (
    OBJECTS,
    PARKED_STEP,
    REACT,
    TopicNames,
    backfill_group,
)
from ampelstream.runtime.kafka.plan import all_names
from ampelstream.runtime.kafka.sources import InputSpec, SourcesSpec, default_sources
from ampelstream.runtime.kafka.topologylog import TopologyLog

__all__ = [
    "TopicStatus",
    "TopologyStatus",
    "broker_faults",
    "found_topologies",
    "look_at",
    "topology_line",
    "topology_row",
]

_TOLERANCE_SECONDS = 86400.0
"""An event time that lies farther in the future [s] is a mistake of whoever wrote it."""
_PARKED = "ingest parked"


class TopicStatus(msgspec.Struct, frozen=True):
    """One topic: records that it holds (end less beginning), and the time of the last [Unix, s]."""

    topic: str
    partitions: int
    records: int
    last: float | None


class TopologyStatus(msgspec.Struct, frozen=True):
    """A topology on a cluster at one moment.

    Attributes
    ----------
    topology
        Its name.
    cluster
        Our own cluster, for people.
    time
        When this was so [Unix, s].
    steps, topics
        Its consumer groups, and its topics by what they hold.
    missing
        Topics that do not exist.
    event_time_jd
        The latest that the last records of detections speak of [JD, UTC].
    parked
        Alerts that wait for their schema.
    in_force
        Version and content (its digest) of the topology that works, and since when [Unix, s]; None
        where none ever did.
    """

    topology: str
    cluster: str
    time: float
    steps: tuple[StepStatus, ...]
    topics: Mapping[str, TopicStatus]
    missing: tuple[str, ...]
    event_time_jd: float | None
    parked: int = 0
    in_force: tuple[str, str, float] | None = None


def broker_faults(status: TopologyStatus, max_age: float) -> Iterator[str]:
    """What is wrong, each in a sentence; nothing where all is well.

    That a step has no worker is wrong also while nothing waits for it, once the topology has come
    into force. One whose workers are there is judged by its commits, where records wait.

    Parameters
    ----------
    status
        What was found.
    max_age
        Longest time without a commit [s]; as `look_at` was given it.
    """
    if status.missing:
        yield f"topics do not exist: {', '.join(status.missing)}"
    alone = [one.step for one in status.steps if one.needed and not one.members and not one.lag]
    if alone and status.in_force is not None:
        yield f"no worker runs {', '.join(alone)}"
    for one in status.steps:
        if one.lag and not one.members:
            waiting = counted(one.lag, "record waits", "records wait")
            yield f"{one.step}: {waiting}, and no worker reads them"
        elif one.overdue and one.last_commit is not None:
            quiet = status.time - one.last_commit
            if quiet > max_age:
                waiting = counted(one.overdue, "record waits", "records wait")
                yield (
                    f"{one.step}: {waiting} for longer than {span(max_age)}, and its "
                    f"{counted(one.members, 'worker')} committed last {span(quiet)} ago; see "
                    "their logs"
                )


def topology_line(status: TopologyStatus) -> str:
    """All of it in one line."""

    def held(part: str) -> str:
        topic = status.topics.get(part)
        return f"{topic.records if topic else 'no topic of'} {part.replace('_', ' ')}"

    waiting = [f"{one.lag} of {one.step}" for one in status.steps if one.lag]
    workers = [f"{one.step} {one.members}" for one in status.steps if one.members]
    version = "no version" if status.in_force is None else f"version {status.in_force[0]}"
    parts = (
        f"{version} in force",
        f"{held('alerts')} and {held('notices')} on their topics",
        f"{held('detections')} (alerts that passed)",
        f"{held('candidates')} (revisions)",
        held("reactions"),
        held("dead_letters"),
        _event_time_text(status),
        f"waiting: {', '.join(waiting) or 'nothing'}",
        *([f"{status.parked} parked"] if status.parked else []),
        f"workers: {', '.join(workers) or 'none'}",
    )
    return f"{iso_from_unix(status.time)} {printable(status.topology)}: {'; '.join(parts)}"


def _event_time_text(status: TopologyStatus) -> str:
    if status.event_time_jd is None:
        return "event time not known: no detection yet"
    return reached(status.event_time_jd, status.time)


def topology_row(status: TopologyStatus) -> dict[str, Any]:
    """Everything as plain data; times in ISO 8601 (UTC), time spans in seconds."""
    jd = status.event_time_jd
    return {
        "topology": status.topology,
        "engine": "faust",
        "cluster": status.cluster,
        "time": iso_from_unix(status.time),
        "version": None if status.in_force is None else status.in_force[0],
        "content": None if status.in_force is None else status.in_force[1],
        "in_force_since": None if status.in_force is None else iso_from_unix(status.in_force[2]),
        "event_time": None if jd is None else iso_from_jd(jd),
        "event_time_behind_seconds": (
            None if jd is None else round(status.time - unix_from_jd(jd), 3)
        ),
        "steps": [_step_row(one) for one in status.steps],
        "parked": status.parked + sum(one.lag for one in status.steps if one.step == _PARKED),
        "missing": list(status.missing),
        "topics": {
            part: msgspec.to_builtins(one)
            | {"last": None if one.last is None else iso_from_unix(one.last)}
            for part, one in status.topics.items()
        },
    }


def _step_row(one: StepStatus) -> dict[str, Any]:
    row: dict[str, Any] = msgspec.to_builtins(one)
    last = one.last_commit
    return row | {"last_commit": None if last is None else iso_from_unix(last)}


# --- what is looked at ----------------------------------------------------------------------------


def _readers(
    names: TopicNames, ours: Connection, given: SourcesSpec | None, backfill: str
) -> list[Reader]:
    """Groups of the topology: what its workers read is known for certain where it is given.

    Where it is not, a step that nobody ever ran may be one that is not meant to run.
    """
    sources = given or default_sources(names)
    found: list[Reader] = []
    for stream, inputs in (("alerts", sources.alerts), ("notices", sources.notices)):
        for cluster in dict.fromkeys(one.cluster for one in inputs):
            where = ours if cluster is None else sources.clusters[cluster]
            group = f"{where.group_prefix}{names.ingest_group_of(stream, cluster)}"
            of = tuple(one for one in inputs if one.cluster == cluster)
            name = stream if cluster is None else f"{stream} of {cluster}"
            needed = None if given is None else True
            reads = Reader(f"ingest {name}", group, of, cluster, given is None, needed)
            found.append(reads)
            if backfill and stream == "alerts":
                again = backfill_group(group, backfill)
                step = f"backfill {name}"
                found.append(replace(reads, step=step, group=again, needed=False, behind=group))
    parks = given is not None and given.registry is not None
    derived = (
        (_PARKED, PARKED_STEP, (names.parked,), parks),
        (OBJECTS, OBJECTS, (names.detections, names.events), True),
        (REACT, REACT, (names.candidates,), True),
    )
    return found + [
        Reader(name, names.app(step), (InputSpec(topics=topics),), needed=needed)
        for name, step, topics, needed in derived
    ]


async def _in_force(
    connection: Connection, names: TopicNames
) -> tuple[tuple[str, str, float] | None, str]:
    """Version, content and age of what is in force; and the id of a backfill under way, if any."""
    log = TopologyLog(connection, names.topology_log)
    current = await log.read()
    if current is None:
        return None, ""
    plan = current.backfill
    under_way = "" if plan is None or plan.done else plan.id
    return (current.content.version, current.content.digest, log.since or current.at), under_way


_HELD = ("alerts", "notices", "detections", "events", "candidates", "reactions", "dead_letters")
_SMALL = ("alerts", "detections", "candidates", "reactions", "dead_letters")
"""Topics whose last record is looked at: those of others may hold sky maps."""


async def look_at(
    connection: Connection,
    names: TopicNames,
    sources: SourcesSpec | None = None,
    *,
    max_age: float = 120.0,
    now: Callable[[], float] = time.time,
    clock: Callable[[], float] = time.monotonic,
) -> TopologyStatus:
    """Look at a topology.

    Parameters
    ----------
    connection
        Our own cluster.
    names
        Of the topology.
    sources
        What its workers read, as `ampelstream run` is given it: groups on other clusters are looked
        at too.
    max_age
        Records that wait for longer [s] are overdue.
    now
        Unix time [s].
    clock
        Seconds that never go back.

    Raises
    ------
    ConfigError
        The cluster has no topic of the topology.
    SourceError
        A cluster cannot be reached.
    """
    derived = set(all_names(names)) - {names.alerts, names.notices}
    async with viewed(connection) as cluster:
        if not derived & cluster.topics.keys():
            raise ConfigError(
                f"{connection.describe()} has no topics of topology {names.topology}; look at the "
                "name, or make them with `ampelstream topics create`"
            )
        logged = names.topology_log in cluster.topics
        in_force, backfill = await _in_force(connection, names) if logged else (None, "")
        readers = _readers(names, connection, sources, backfill)
        since = now() - max_age
        of_all = await steps(cluster, [one for one in readers if one.cluster is None], since)
        topics, event_time = await _topics(cluster, names, now(), clock)
        missing = sorted((derived | _named(readers, None)) - cluster.topics.keys())
    waits = names.changelog(PARKED_STEP) not in missing
    parked = await count_waiting(connection, names, create="") if waits else 0
    for name, other in (sources.clusters if sources is not None else {}).items():
        of = [one for one in readers if one.cluster == name]
        async with viewed(other) as cluster:
            of_all = [*await steps(cluster, of, since), *of_all]
            away = sorted(_named(readers, name) - cluster.topics.keys())
            missing += [f"{topic} of {name}" for topic in away]
    return TopologyStatus(
        *(names.topology, connection.describe(), now()),
        steps=tuple(of_all),
        topics=topics,
        missing=tuple(missing),
        event_time_jd=event_time,
        parked=parked,
        in_force=in_force,
    )


def _named(readers: Iterable[Reader], cluster: str | None) -> set[str]:
    """Topics of a cluster that are known for certain to be read."""
    of = [one for one in readers if one.cluster == cluster and not one.others]
    return {topic for one in of for spec in one.inputs for topic in spec.topics}


async def _topics(
    cluster: ClusterView, names: TopicNames, now: float, clock: Callable[[], float]
) -> tuple[dict[str, TopicStatus], float | None]:
    """The topics of the topology, and how far event time has come."""
    held = {part: getattr(names, part) for part in _HELD}
    ends = await cluster.ends(cluster.partitions(held.values()))
    small = {held[part] for part in _SMALL}
    records = await cluster.last_records({tp: ends[tp] for tp in ends if tp.topic in small}, clock)
    found = {}
    for part, topic in held.items():
        if topic not in cluster.topics:
            continue
        times = [one.timestamp / 1000 for one in records if one.topic == topic]
        count = sum(last - first for tp, (first, last) in ends.items() if tp.topic == topic)
        found[part] = TopicStatus(
            topic, cluster.topics[topic], count, max(times) if times else None
        )
    spoken = (_event_time(one.value) for one in records if one.topic == names.detections)
    known = [jd for jd in spoken if jd and unix_from_jd(jd) < now + _TOLERANCE_SECONDS]
    return found, max(known, default=None)


def _event_time(value: bytes | None) -> float | None:
    """What a record of detections says of event time [JD]."""
    try:
        if own.is_tick(value or b""):
            return own.decode_tick(value or b"").jd
        return own.decode_detection(value or b"").jd
    except DecodeError:
        return None  # whoever handles it will say so


async def found_topologies(connection: Connection) -> list[str]:
    """Names of the topologies that have topics on a cluster; SourceError where it is away."""
    topics = await topic_names(connection)
    found = (re.fullmatch(r"ampel\.(.+)\.candidates", topic) for topic in topics)
    names = sorted(match[1] for match in found if match)
    return [name for name in names if TopicNames(name).detections in topics]

"""Consumer groups and topics of a cluster, looked at from outside.

No group is joined and nothing is committed, so that workers do not notice.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiokafka.errors import for_code
from aiokafka.structs import ConsumerRecord, TopicPartition

from ampelstream.runtime.kafka.clients import open_admin, open_consumer
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.sources import InputSpec
from ampelstream.runtime.safefaust.commitnotes import time_of

__all__ = ["ClusterView", "Reader", "StepStatus", "steps", "viewed"]

_LAST_SECONDS = 5.0
"""For how long the last records of the topics are waited for [s]."""
_POLL_MS = 250
_ABSENT = "absent"


class StepStatus(msgspec.Struct, frozen=True):
    """One consumer group of the topology.

    Attributes
    ----------
    step
        What it does: ``ingest alerts``, ``objects``, ...
    group, cluster
        Its name, and that of its cluster among the sources; None for our own.
    state
        As Kafka calls it, such as ``Stable`` or ``Empty``; ``absent`` where there never was one.
    members
        Workers that have joined it.
    partitions
        Of the topics that it reads.
    lag
        Records that it has not committed.
    overdue
        Those of them that have waited for longer than was asked about.
    last_commit
        When it last committed [s, Unix time]; None where it did not say.
    needed
        Whether a topology that works has a worker for it.
    """

    step: str
    group: str
    cluster: str | None
    state: str
    members: int
    partitions: int
    lag: int
    overdue: int = 0
    last_commit: float | None = None
    needed: bool = False


@dataclass(frozen=True, slots=True)
class Reader:
    """A consumer group that should be there, and what it reads.

    Attributes
    ----------
    step
        For people.
    group
        Its name.
    inputs
        Topics.
    cluster
        Name of their cluster among the sources; None for our own.
    others
        Whether it may read other topics too: those of which it has committed offsets.
    needed
        Whether it should have a worker; None: if it ever had one.
    behind
        Group that it follows: it reads again what that one has committed, and no more.
    """

    step: str
    group: str
    inputs: tuple[InputSpec, ...]
    cluster: str | None = None
    others: bool = False
    needed: bool | None = None
    behind: str = ""


@dataclass(slots=True)
class _Group:
    state: str = _ABSENT
    members: int = 0
    committed: dict[TopicPartition, int] = field(default_factory=dict)
    last_commit: float | None = None


class ClusterView:
    """A cluster that is looked at.

    Parameters
    ----------
    admin, consumer
        Its clients.
    topics
        Number of partitions of all its topics.
    """

    def __init__(self, admin: Any, consumer: Any, topics: Mapping[str, int]) -> None:
        self._admin = admin
        self._consumer = consumer
        self.topics = topics

    def partitions(self, topics: Iterable[str]) -> list[TopicPartition]:
        """Partitions of those of the topics that exist."""
        return [
            TopicPartition(name, part)
            for name in sorted(set(topics) & self.topics.keys())
            for part in range(self.topics[name])
        ]

    async def groups(self, names: Iterable[str]) -> dict[str, _Group]:
        """These groups; one that is not there is not asked for, which could create a topic."""
        listed = {name for name, *_ in await self._admin.list_consumer_groups()}
        found = {name: _Group() for name in names}
        for name in sorted(listed & found.keys()):
            # one at a time: aiokafka 0.14.0 reads an answer of version 3 as one of version 2, which
            # lacks a field at the end of each group
            for answer in await self._admin.describe_consumer_groups([name]):
                for code, _, state, _, _, members, *_ in answer.groups:
                    if code:
                        raise for_code(code)(f"group {name} cannot be looked at")
                    found[name].state, found[name].members = state, len(members)
            offsets = await self._admin.list_consumer_group_offsets(name)
            found[name].committed = {tp: one.offset for tp, one in offsets.items()}
            times = (time_of(one.metadata or "") for one in offsets.values())
            found[name].last_commit = max((at for at in times if at is not None), default=None)
        return found

    async def ends(
        self, partitions: Sequence[TopicPartition]
    ) -> dict[TopicPartition, tuple[int, int]]:
        """First offset and end of each partition."""
        if not partitions:
            return {}
        first = await self._consumer.beginning_offsets(partitions)
        last = await self._consumer.end_offsets(partitions)
        return {tp: (first[tp], last[tp]) for tp in partitions}

    async def since(
        self, ends: Mapping[TopicPartition, int], time: float
    ) -> dict[TopicPartition, int]:
        """First offset of each partition whose record is not older [s, Unix time]; or its end."""
        if not ends:
            return {}
        at = max(0, int(time * 1000))
        found = await self._consumer.offsets_for_times(dict.fromkeys(ends, at))
        return {tp: end if found[tp] is None else found[tp].offset for tp, end in ends.items()}

    async def last_records(
        self, ends: Mapping[TopicPartition, tuple[int, int]], clock: Callable[[], float]
    ) -> list[ConsumerRecord]:
        """Last record of each partition, of those that come in time."""
        open_ = {tp for tp, (first, last) in ends.items() if first < last}
        if not open_:
            return []
        self._consumer.assign(sorted(open_))
        for tp in open_:
            self._consumer.seek(tp, ends[tp][1] - 1)
        found: list[ConsumerRecord] = []
        until = clock() + _LAST_SECONDS
        while open_ and clock() < until:
            for tp, records in (await self._consumer.getmany(*open_, timeout_ms=_POLL_MS)).items():
                found.append(records[-1])
                open_.discard(tp)
                self._consumer.pause(tp)
        return found


@asynccontextmanager
async def viewed(connection: Connection) -> AsyncIterator[ClusterView]:
    """Connect to a cluster; SourceError where it fails."""
    async with (
        open_admin(connection) as admin,
        open_consumer(connection, enable_auto_commit=False) as consumer,
    ):
        # all topics, not these: to ask for one that is missing could create it
        listed = await admin.describe_topics()
        yield ClusterView(admin, consumer, {one["topic"]: len(one["partitions"]) for one in listed})


async def steps(
    cluster: ClusterView, readers: Sequence[Reader], overdue_since: float
) -> list[StepStatus]:
    """How these groups of one cluster are doing.

    Parameters
    ----------
    cluster, readers
        Where, and which.
    overdue_since
        Records that are older [s, Unix time] should have been read.
    """
    wanted = {name for one in readers for name in (one.group, one.behind) if name}
    groups = await cluster.groups(wanted)
    return [await _step(cluster, one, groups, overdue_since) for one in readers]


async def _step(
    cluster: ClusterView, one: Reader, groups: Mapping[str, _Group], overdue_since: float
) -> StepStatus:
    group, goal = groups[one.group], groups[one.behind or one.group].committed
    topics = {name for name in cluster.topics if any(i.matches(name) for i in one.inputs)}
    if one.others:
        topics |= {tp.topic for tp in goal}
    ends = await cluster.ends(cluster.partitions(topics))
    done = {tp: max(first, group.committed.get(tp, first)) for tp, (first, _) in ends.items()}
    until = {tp: goal.get(tp, 0) if one.behind else last for tp, (_, last) in ends.items()}
    late = {tp: last for tp, last in until.items() if last > done[tp]}
    overdue: Mapping[TopicPartition, int] = {}
    if group.members and not one.behind:  # what is read again is old
        overdue = await cluster.since(late, overdue_since)
    return StepStatus(
        *(one.step, one.group, one.cluster, group.state, group.members, len(ends)),
        lag=sum(last - done[tp] for tp, last in late.items()),
        overdue=sum(max(0, offset - done[tp]) for tp, offset in overdue.items()),
        last_commit=group.last_commit,
        needed=group.state != _ABSENT if one.needed is None else one.needed,
    )

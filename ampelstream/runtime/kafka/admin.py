"""Topics of a cluster: looking at them, making them, checking them at a start."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import stamina
from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, for_code
from aiokafka.structs import TopicPartition

from ampelstream.errors import SourceError
from ampelstream.runtime.kafka.clients import open_admin, open_consumer
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.runtime.kafka.plan import (
    Action,
    FoundTopic,
    PlannedTopic,
    WantedTopic,
    partition_count,
    wanted_topics,
)
from ampelstream.runtime.kafka.sources import SourcesSpec
from ampelstream.topology.spec import KafkaSpec

__all__ = ["Cluster", "apply", "inspect", "needed_topics", "record_counts", "verify"]

_OWN_SETTING = 1
"""Source of a setting that was made on the topic itself (DYNAMIC_TOPIC_CONFIG)."""
_APPEAR_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster as it was found: number of brokers, and the topics that were asked for."""

    brokers: int
    topics: Mapping[str, FoundTopic]


async def inspect(connection: Connection, names: Collection[str]) -> Cluster:
    """Look at topics.

    Raises
    ------
    SourceError
        The cluster cannot be reached, or does not say.
    """
    async with open_admin(connection) as client:
        return await _inspect(client, names)


async def _inspect(client: Any, names: Collection[str]) -> Cluster:
    cluster = await client.describe_cluster()
    # all topics, not these: to ask for one that is missing could create it
    listed = {
        one["topic"]: one["partitions"]
        for one in await client.describe_topics()
        if one["topic"] in names
    }
    settings = await _settings(client, listed)
    topics = {
        name: FoundTopic(
            name,
            len(partitions),
            min((len(one["replicas"]) for one in partitions), default=0),
            *settings[name],
        )
        for name, partitions in listed.items()
    }
    return Cluster(len(cluster["brokers"]), topics)


async def _settings(
    client: Any, names: Iterable[str]
) -> dict[str, tuple[dict[str, str], dict[str, str]]]:
    """Settings of topics: those in force, and those made on the topic itself."""
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    found: dict[str, tuple[dict[str, str], dict[str, str]]] = {}
    for answer in await client.describe_configs(asked) if asked else ():
        for code, message, _, name, entries in answer.resources:
            _check(code, f"settings of {name}", message)
            force = {entry[0]: entry[1] for entry in entries}
            own = {entry[0]: entry[1] for entry in entries if entry[3] == _OWN_SETTING}
            found[name] = (force, own)
    return found


def _check(code: int, what: str, message: str | None) -> None:
    if code:
        kind = for_code(code)
        raise SourceError(f"{what}: {kind.__name__}: {message or kind.description}")


async def apply(connection: Connection, plan: Iterable[PlannedTopic]) -> None:
    """Create and alter what the plan says; conflicts are left alone.

    Raises
    ------
    SourceError
        The cluster cannot be reached, or refuses.
    """
    planned = list(plan)
    new = [one.wanted for one in planned if one.action is Action.CREATE]
    async with open_admin(connection) as client:
        if new:
            await _create(client, new)
        for one in planned:
            if one.action is Action.ALTER and one.found is not None:
                await _alter(client, one.wanted, one.found)


async def _create(client: Any, topics: Collection[WantedTopic]) -> None:
    answer = await client.create_topics(
        [
            NewTopic(one.name, one.partitions, one.replication, topic_configs=dict(one.config))
            for one in topics
        ]
    )
    for name, code, message in answer.topic_errors:
        if code != TopicAlreadyExistsError.errno:  # somebody else was quicker
            _check(code, f"topic {name} was not created", message)
    await _appeared(client, topics)


class _NoLeaderError(SourceError):
    """Topics that no broker serves yet."""


async def _appeared(client: Any, topics: Collection[WantedTopic]) -> None:
    """Wait until the brokers know the topics: a controller answers before they do."""
    names = {one.name for one in topics}
    async for attempt in stamina.retry_context(
        on=_NoLeaderError,
        attempts=None,
        timeout=_APPEAR_SECONDS,
        wait_initial=0.1,
        wait_jitter=0.1,
        wait_max=1.0,
    ):
        with attempt:
            known = {
                one["topic"]
                for one in await client.describe_topics()
                if one["partitions"] and all(part["leader"] >= 0 for part in one["partitions"])
            }
            if not names <= known:
                late = ", ".join(sorted(names - known))
                raise _NoLeaderError(
                    f"topics have no leader yet: {late}; look at the brokers' logs"
                )


async def _alter(client: Any, wanted: WantedTopic, found: FoundTopic) -> None:
    # this request replaces all settings of a topic: those that are not ours go with it
    config = {**found.own, **wanted.config}
    resource = ConfigResource(ConfigResourceType.TOPIC, wanted.name, config)
    for answer in await client.alter_configs([resource]):
        for code, message, *_ in answer.resources:
            _check(code, f"settings of {wanted.name} were not changed", message)


def needed_topics(names: TopicNames, sources: SourcesSpec) -> list[WantedTopic]:
    """Topics of our own cluster without which workers cannot work: derived ones, and those read.

    Of the latter those that are named; what a pattern finds may come and go.
    """
    inputs = {names.alerts, names.notices}
    derived = [one for one in wanted_topics(names, KafkaSpec(), 1) if one.name not in inputs]
    read = [
        WantedTopic(topic, 1, 1)
        for one in (*sources.alerts, *sources.notices)
        if one.cluster is None
        for topic in one.topics
    ]
    return [*read, *derived]


async def verify(
    connection: Connection,
    names: TopicNames,
    sources: SourcesSpec,
    *,
    create: str,
    partitions: int | None = None,
) -> int:
    """Check at a start that the topics are there; give the number of partitions.

    Parameters
    ----------
    connection
        Our own cluster.
    names
        Of the topology.
    sources
        What is read; topics of our own cluster must exist, those of others are not looked at.
    create
        The command that creates the topics.
    partitions
        How many the topology's file says; None where it says nothing.

    Raises
    ------
    ConfigError
        Topics are missing or have wrong partition counts; all are named, with the command.
    SourceError
        The cluster cannot be reached (`UnreachableError`), or refuses.
    """
    needed = needed_topics(names, sources)
    cluster = await inspect(connection, {one.name for one in needed})
    return partition_count(needed, cluster.topics, create, partitions)


async def record_counts(connection: Connection, topics: Iterable[FoundTopic]) -> dict[str, int]:
    """Records that each topic holds: end less beginning, which compaction makes too high.

    Raises
    ------
    SourceError
        The cluster cannot be reached.
    """
    partitions = [
        TopicPartition(one.name, part) for one in topics for part in range(one.partitions)
    ]
    counts: dict[str, int] = {}
    if partitions:
        async with open_consumer(connection) as client:
            first = await client.beginning_offsets(partitions)
            last = await client.end_offsets(partitions)
        for tp in partitions:
            held = last[tp] - first[tp]
            counts[tp.topic] = counts.get(tp.topic, 0) + held
    return counts

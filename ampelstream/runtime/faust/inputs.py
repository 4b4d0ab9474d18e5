"""From a file of sources to what reads them: one application for each cluster and stream."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ampelstream.errors import ConfigError
from ampelstream.model.record import Stream
from ampelstream.runtime.context import WorkerContext
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.names import PARKED_STEP, TopicNames, backfill_group
from ampelstream.runtime.kafka.plan import all_names
from ampelstream.runtime.kafka.schemas import PatientRegistry, open_registry
from ampelstream.runtime.kafka.sources import InputSpec, SourcesSpec, expression
from ampelstream.sources.schemaregistry import SchemaRegistry

__all__ = ["PARKED", "Input", "backfill_of", "inputs_of"]

PARKED = "ingest-parked"
"""Name of what reads the alerts that wait for a schema."""


@dataclass(frozen=True, slots=True)
class Input:
    """What one application of the ingest step reads.

    Attributes
    ----------
    name
        For metrics, health and messages.
    group
        Consumer group on the cluster that is read.
    stream
        What it holds.
    connection
        The cluster.
    topics, pattern
        Names; or a regular expression that also finds topics that appear later.
    ours
        Whether it is our own cluster.
    registry
        Where schemas are looked up; None without one.
    parked
        Whether these are the alerts that wait for a schema.
    """

    name: str
    group: str
    stream: Stream
    connection: Connection
    topics: tuple[str, ...]
    ours: bool
    registry: SchemaRegistry | PatientRegistry | None
    pattern: str | None = None
    parked: bool = False

    @property
    def expression(self) -> str:
        """A regular expression for the names of its topics."""
        return expression(self.topics, self.pattern)

    def reads(self, topic: str) -> bool:
        """Whether it reads that topic."""
        return topic in self.topics or bool(self.pattern and re.fullmatch(self.pattern, topic))


def _registry(context: WorkerContext) -> SchemaRegistry | None:
    """The registry of the sources; its cache is shared by the workers of this machine."""
    spec = context.sources.registry
    if spec is None:
        return None
    return open_registry(spec, context.settings.state, context.settings.park)


def _by_cluster(inputs: Iterable[InputSpec]) -> dict[str | None, list[InputSpec]]:
    found: dict[str | None, list[InputSpec]] = {}
    for one in inputs:
        found.setdefault(one.cluster, []).append(one)
    return found


def _pattern(inputs: Iterable[InputSpec]) -> str | None:
    """One expression for all topics; None where each is named."""
    inputs = list(inputs)
    if all(one.pattern is None for one in inputs):
        return None
    patterned = [f"(?:{one.pattern})" for one in inputs if one.pattern is not None]
    return "|".join([*patterned, *(one.expression for one in inputs if one.pattern is None)])


def _check_own(sources: SourcesSpec, names: TopicNames) -> None:
    """Refuse to read what we write: a record that fails would go round for ever.

    Raises
    ------
    ConfigError
        An input on our own cluster is, or matches, a derived topic.
    """
    derived = set(all_names(names)) - {names.alerts, names.notices}
    for one in (*sources.alerts, *sources.notices):
        caught = sorted(topic for topic in derived if one.cluster is None and one.matches(topic))
        if caught:
            raise ConfigError(
                f"{one.describe()} would read {', '.join(caught)}, which this topology writes; "
                "name the inputs more narrowly"
            )


def backfill_of(source: Input, backfill: str) -> Input:
    """What reads the alerts of an input again, for the backfill of that name."""
    registry = source.registry
    if isinstance(registry, SchemaRegistry):
        registry = PatientRegistry(registry)
    return replace(
        source,
        registry=registry,
        name=f"{source.name}-backfill",
        group=backfill_group(source.group, backfill),
    )


def inputs_of(names: TopicNames, context: WorkerContext) -> list[Input]:
    """Give what the ingest step of a worker reads.

    Raises
    ------
    ConfigError
        A secret is not there, or the sources name nothing to read, or what we write.
    """
    sources, registry = context.sources, _registry(context)
    _check_own(sources, names)
    streams: tuple[tuple[Stream, tuple[InputSpec, ...]], ...] = (
        ("alerts", sources.alerts),
        ("notices", sources.notices),
    )
    found: list[Input] = []
    for stream, specs in streams:
        for cluster, inputs in _by_cluster(specs).items():
            where = context.connection if cluster is None else sources.clusters[cluster]
            part = stream if cluster is None else f"{stream}-{cluster}"
            pattern = _pattern(inputs)
            found.append(
                Input(
                    name=f"ingest-{part}",
                    group=f"{where.group_prefix}{names.ingest_group_of(stream, cluster)}",
                    stream=stream,
                    connection=where,
                    topics=() if pattern else tuple(one for spec in inputs for one in spec.topics),
                    pattern=pattern,
                    ours=cluster is None,
                    registry=registry,
                )
            )
    if not found:
        raise ConfigError("the sources name nothing to read")
    if registry is not None:
        parked = Input(
            name=PARKED,
            group=names.app(PARKED_STEP),
            stream="alerts",
            connection=context.connection,
            topics=(names.parked,),
            ours=True,
            registry=registry,
            parked=True,
        )
        found.append(parked)
    return found

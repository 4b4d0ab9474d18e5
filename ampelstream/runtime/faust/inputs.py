"""From a file of sources to what reads them: one consumer for each cluster and stream."""

import re
from collections.abc import Iterable

from ampelstream.errors import ConfigError
from ampelstream.model.record import Stream
from ampelstream.runtime.context import WorkerContext
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.ingest import Ingest
from ampelstream.runtime.kafka.intake import Intake
from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.runtime.kafka.outbox import Outbox
from ampelstream.runtime.kafka.plan import all_names
from ampelstream.runtime.kafka.schemas import WireSchemas
from ampelstream.runtime.kafka.sources import InputSpec, SourcesSpec
from ampelstream.runtime.service.health import Health
from ampelstream.runtime.service.metrics import Metrics
from ampelstream.sources.schemaregistry import SchemaRegistry
from ampelstream.topology import Topology

__all__ = ["intakes"]


def _registry(context: WorkerContext) -> SchemaRegistry | None:
    """The registry of the sources; its cache is shared by the workers of this machine."""
    spec = context.sources.registry
    if spec is None:
        return None
    user = None if spec.username is None else spec.username.read(f"username for {spec.url}")
    password = None if spec.password is None else spec.password.read(f"password for {spec.url}")
    return SchemaRegistry(
        spec.url,
        context.settings.state / "schemas",
        user=user,
        password=password,
        retry_seconds=context.settings.park / 2,  # asked anew each time a record is due
    )


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
    parts = [f"(?:{one.pattern})" for one in inputs if one.pattern is not None]
    parts += [re.escape(topic) for one in inputs for topic in one.topics]
    return "|".join(parts)


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


async def intakes(
    topology: Topology,
    names: TopicNames,
    context: WorkerContext,
    outbox: Outbox,
    metrics: Metrics,
    health: Health,
) -> list[Intake]:
    """Make what reads the sources of a worker.

    Raises
    ------
    ConfigError
        A secret is not there.
    """
    sources = context.sources
    registry = _registry(context)

    def intake(
        name: str,
        stream: Stream,
        where: Connection,
        inputs: list[InputSpec],
        *,
        again: bool = False,
    ) -> Intake:
        ours = where is context.connection
        told = metrics if again else None  # who reads what is parked knows how much waits
        schemas = WireSchemas(registry, told, retry_seconds=context.settings.park)
        return Intake(
            name,
            where.client_options,
            f"{where.group_prefix}{names.ingest_group}.{name.removeprefix('ingest-')}",
            topics=[topic for one in inputs for topic in one.topics],
            pattern=_pattern(inputs),
            worker=Ingest(
                topology,
                names,
                stream,
                context.partitions,
                schemas,
                metrics,
                ours=ours,
                again=again,
            ),
            outbox=outbox,
            metrics=metrics,
            health=health,
            instance=context.instance and f"{context.instance}-{name}",
            session_seconds=context.settings.times.session,
            refresh_seconds=context.settings.refresh,
        )

    streams: tuple[tuple[Stream, tuple[InputSpec, ...]], ...] = (
        ("alerts", sources.alerts),
        ("notices", sources.notices),
    )
    made: list[Intake] = []
    _check_own(sources, names)
    for stream, specs in streams:
        for cluster, inputs in _by_cluster(specs).items():
            where = context.connection if cluster is None else sources.clusters[cluster]
            name = f"ingest-{stream}" if cluster is None else f"ingest-{stream}-{cluster}"
            made.append(intake(name, stream, where, inputs))
    if registry is not None:
        parked = [InputSpec(topics=(names.parked,))]
        made.append(intake("ingest-parked", "alerts", context.connection, parked, again=True))
    if not made:
        raise ConfigError("the sources name nothing to read")
    return made

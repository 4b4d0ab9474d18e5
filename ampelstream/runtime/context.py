"""What a worker knows when it begins to work: its settings, and what follows from them."""

import logging
import socket
from dataclasses import dataclass
from pathlib import Path

from ampelstream.runtime.kafka.admin import verify
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.names import OBJECTS, REACT, TopicNames
from ampelstream.runtime.kafka.sources import (
    SourcesSpec,
    default_sources,
    load_connection,
    load_sources,
)
from ampelstream.runtime.service.log import incident
from ampelstream.runtime.settings import WorkerSettings
from ampelstream.runtime.statedirectory import old_directories, worker_directory

__all__ = ["WorkerContext", "open_context", "port_of"]


def port_of(settings: WorkerSettings, index: int) -> int:
    """Port at which the worker of that index listens; 0 for any free one."""
    return settings.port + index if settings.port else 0


_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """Settings of a worker, and what was made of them.

    Attributes
    ----------
    settings
        What the command line said.
    index
        Number of this worker among those of its supervisor, from 0.
    connection
        Our own cluster.
    sources
        What ingest reads.
    partitions
        Number of partitions of the topology's topics, and so of the objects.
    topology
        Name of the topology.
    """

    settings: WorkerSettings
    index: int
    connection: Connection
    sources: SourcesSpec
    partitions: int
    topology: str

    @property
    def directory(self) -> Path:
        """Of this worker: its databases. What workers share lies in ``settings.state``."""
        return worker_directory(self.settings.state, self.topology, self.index)

    @property
    def port(self) -> int:
        """Where it listens; 0 for any free port."""
        return port_of(self.settings, self.index)

    @property
    def instance(self) -> str | None:
        """Static member id in the consumer groups; None for a new one each time."""
        named = self.settings.instance_id
        return f"{named}-{self.index}" if named else None

    def url(self, port: int) -> str:
        """Where other workers reach this one, which listens on that port."""
        host = self.settings.advertise or self.settings.host
        if host in {"0.0.0.0", "::"}:  # noqa: S104  (compared, not listened on)
            host = socket.getfqdn()
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def open_context(
    settings: WorkerSettings,
    index: int,
    names: TopicNames,
    *,
    create: str,
    partitions: int | None = None,
) -> WorkerContext:
    """Read the connection and the sources, and look at the topics.

    Parameters
    ----------
    settings
        Of the worker, as the command line gave them.
    index
        Its number.
    names
        Topics of the topology.
    create
        The command that creates the topics, for the message.
    partitions
        How many partitions the topology's file says; None where it says nothing.

    Raises
    ------
    ConfigError
        A file is not valid, or topics are missing or other than the file says; all are named, with
        the command.
    SourceError
        The cluster cannot be reached (`UnreachableError`), or refuses.
    """
    connection = load_connection(settings.broker or "")
    # by default the topics ampel.NAME.alerts and ampel.NAME.notices of our own cluster
    sources = load_sources(settings.sources) if settings.sources else default_sources(names)
    found = await verify(connection, names, sources, create=create, partitions=partitions)
    context = WorkerContext(settings, index, connection, sources, found, names.topology)
    _say_old(context)
    return context


def _say_old(context: WorkerContext) -> None:
    """Say, before there is any state, that one of an earlier version is not used."""
    old = [str(one) for one in old_directories(context.settings.state)]
    if old and not any((context.directory / step).exists() for step in (OBJECTS, REACT)):
        text = (
            "state of an earlier version is not used any longer, and may be removed: it is "
            f"restored from the changelogs to {context.directory}"
        )
        incident(_LOG, logging.WARNING, "old_state", text, directories=old)

"""What a worker is told."""

from dataclasses import dataclass, field
from pathlib import Path

from ampelstream.runtime.faust.settings import GroupTimes
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.names import OBJECTS, REACT
from ampelstream.runtime.kafka.sources import SourcesSpec

__all__ = ["INGEST", "STEPS", "WorkerSettings"]

INGEST = "ingest"
STEPS = (INGEST, OBJECTS, REACT)


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What a worker is told.

    Attributes
    ----------
    connection
        Our own cluster.
    sources
        What ingest reads.
    steps
        Which of ``STEPS`` it runs.
    state
        Directory of all workers; what they share (files of reactions) lies there.
    directory
        Of this worker: its databases.
    partitions
        Of the objects.
    host, port
        Where it answers over HTTP.
    advertise
        Name under which other workers reach this one; by default that of ``host``.
    instance
        Static member id in the consumer groups; None for a new one each time.
    times
        Of the consumer groups.
    stuck_seconds, no_commit_seconds
        After how long a handler, or a lag without commits, ends the worker [s].
    grace_seconds
        Time for an orderly stop [s].
    produce_seconds
        After how long a record that no broker took is given up [s].
    pool_processes
        Processes for heavy units.
    park_seconds
        How long a record waits whose schema the registry does not know, before it is tried again
        [s].
    refresh_seconds
        How often clusters are asked for new topics of a pattern [s].
    """

    connection: Connection
    sources: SourcesSpec
    steps: frozenset[str]
    state: Path
    directory: Path
    partitions: int
    host: str = "127.0.0.1"
    port: int = 0
    advertise: str | None = None
    instance: str | None = None
    times: GroupTimes = field(default_factory=GroupTimes)
    stuck_seconds: float = 60.0
    no_commit_seconds: float = 120.0
    grace_seconds: float = 25.0
    produce_seconds: float = 30.0
    pool_processes: int = 1
    park_seconds: float = 60.0
    refresh_seconds: float = 30.0

"""What the topics and consumer groups of a topology are called."""

from dataclasses import dataclass

__all__ = ["OBJECTS", "PARKED_STEP", "REACT", "STATE_TABLE", "TopicNames", "backfill_group"]

OBJECTS = "objects"
REACT = "react"
PARKED_STEP = "ingest.parked"
"""The part of ingest that has a state: what waits for a schema."""
STATE_TABLE = "state"
"""Name of the one table that each stateful step has."""


def backfill_group(group: str, backfill: str) -> str:
    """Group of what reads again what another one has read, for the backfill of that name."""
    return f"{group}.backfill-{backfill}"


@dataclass(frozen=True, slots=True)
class TopicNames:
    """Names that follow from that of the topology.

    Parameters
    ----------
    topology
        Its name; topic names may hold all characters that it may hold.
    """

    topology: str

    def _of(self, part: str) -> str:
        return f"ampel.{self.topology}.{part}"

    @property
    def alerts(self) -> str:
        """Alerts on our own cluster, where no other source is named."""
        return self._of("alerts")

    @property
    def notices(self) -> str:
        """Notices on our own cluster, where no other source is named."""
        return self._of("notices")

    @property
    def detections(self) -> str:
        """Alerts that a channel accepted; key: object id."""
        return self._of("detections")

    @property
    def events(self) -> str:
        """Revisions of events and ticks of event time, a copy for every partition."""
        return self._of("events")

    @property
    def candidates(self) -> str:
        """Revisions of candidates; key: event, object, channel."""
        return self._of("candidates")

    @property
    def reactions(self) -> str:
        """Reactions that were decided; key: reaction id."""
        return self._of("reactions")

    @property
    def dead_letters(self) -> str:
        """Records that could not be handled."""
        return self._of("dead-letters")

    @property
    def parked(self) -> str:
        """Records that wait for a schema."""
        return self._of("parked")

    @property
    def topology_log(self) -> str:
        """Topologies that are or were in force; see ``topologylog.py``."""
        return self._of("topology")

    @property
    def ingest_group(self) -> str:
        """Consumer group of the ingest step."""
        return self._of("ingest")

    def ingest_group_of(self, stream: str, cluster: str | None = None) -> str:
        """Group of what reads a stream, without the prefix that the cluster may ask for.

        Parameters
        ----------
        stream
            ``alerts``, ``notices`` or ``parked``.
        cluster
            Name of the cluster among the sources; None for our own.
        """
        part = stream if cluster is None else f"{stream}-{cluster}"
        return f"{self.ingest_group}.{part}"

    def app(self, step: str) -> str:
        """Id of a step's Faust application, which is its consumer group too."""
        return self._of(step)

    def changelog(self, step: str) -> str:
        """Changelog of a step's table, named as Faust names it."""
        return f"{self.app(step)}-{STATE_TABLE}-changelog"

"""A small topology on a broker: a few objects, one event, and what became of them."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.names import TopicNames

from .looking import alerts_in_state, produce
from .soak.packets import Stream, notices
from .workers import Running, ampelstream

__all__ = ["EVENT", "IN_REGION", "Small"]

EVENT = "SIM230225a"
IN_REGION = 6
"""So many of the ten objects lie in its region; the others are no candidates."""
_TOPOLOGY = """
name: {name}
version: 1
channels:
  sky:
    filters: {filters}
    region: 0.9
    window: [0, 30]
    units: {units}
react: [{{name: near, when: SkyMapProbability.cumprob < 0.9, sinks: [{{file: near.ndjson}}]}}]
"""


class Small:
    """Topology, topics, alerts and the command line of its workers.

    Attributes
    ----------
    options
        Of every worker; tests add to them.
    """

    def __init__(
        self,
        address: str,
        name: str,
        directory: Path,
        *,
        units: Sequence[object] = (),
        filters: Sequence[object] = (),
        partitions: int = 2,
        packets: int = 200,
        poison_every: int | None = None,
    ) -> None:
        self.address, self.directory, self.partitions = address, directory, partitions
        self.names = TopicNames(name)
        self.connection = Connection(bootstrap=(address,))
        self.stream = Stream(packets, objects=10, poison_every=poison_every or packets + 1)
        self.topology = directory / "topology.yml"
        every = [{"unit": "SkyMapProbability"}, *units]
        self.topology.write_text(
            _TOPOLOGY.format(name=name, units=json.dumps(every), filters=json.dumps(list(filters)))
        )
        self.broker: list[str | Path] = [self.topology, "--broker", address]
        ampelstream("topics", "create", *self.broker, "--partitions", str(partitions), "--yes")
        self.state = directory / "state"
        self.options: list[str | Path] = [*self.broker, "--engine", "faust", "--state", self.state]
        self.options += ["--log", "json"]

    def worker(self, *options: str | Path, index: int | None = 0, log: str = "0") -> Running:
        """Start a worker, or without an index a supervisor."""
        path = self.directory / f"worker-{log}.log"
        return Running([*self.options, *options], path, index)

    def announce(self) -> None:
        """Bring in the notice of the event, which has most objects in its region."""
        produce(self.connection, self.names.notices, [notices()[0].value])

    def feed(self, numbers: Iterable[int]) -> None:
        """Bring in alerts by their numbers, which are their candids."""
        values = [self.stream.value(number) for number in numbers]
        produce(self.connection, self.names.alerts, values)

    def alerts(self) -> Counter[int]:
        """How often each alert is in the state."""
        return alerts_in_state(self.address, self.names, self.partitions)

    def export(self, file: str) -> bytes:
        """Candidates as the command gives them."""
        ampelstream("candidates", "export", *self.broker, "--out", self.directory / file)
        return (self.directory / file).read_bytes()

"""Which topology is in force on a cluster: a topic that holds every one that ever was.

A worker with a changed file adds a record before it works, and every worker looks here, before it
begins and while it runs, whether its own file is the one in force. A record counts only if it says
which record it replaces, and that one was in force: of two that are added at the same moment the
first counts, for everybody who reads the topic. So nobody has to be asked.
"""

from collections.abc import Iterable

import msgspec
from aiokafka import TopicPartition

from ampelstream.core.ownership import Word
from ampelstream.errors import ConfigError
from ampelstream.runtime.kafka.clients import open_consumer, open_producer
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.topology import Identity

__all__ = ["Accepted", "BackfillPlan", "TopologyLog", "fold"]

_POLL_MS = 500


class BackfillPlan(msgspec.Struct, frozen=True):
    """Earlier alerts are, or were, filtered anew for the topology in force.

    Attributes
    ----------
    id
        Tells it from others, also from one with the same filters.
    filters
        Digest of the filters.
    groups
        Consumer groups of the alerts that are to be read again: its end says who reads them all.
    done
        Whether all have been read.
    """

    id: str
    filters: str
    groups: tuple[str, ...] = ()
    done: bool = False


class Accepted(msgspec.Struct, frozen=True):
    """A topology came into force.

    Attributes
    ----------
    content
        The topology.
    after
        Offset of the record that this one replaces; -1 for the first.
    at
        When [s, Unix time].
    by
        Address of the worker that wrote this.
    word
        What was chosen about earlier alerts; None where nothing was to be chosen.
    backfill
        The last backfill for these filters; None without one.
    whole
        Whether who wrote this evaluates candidates. If not, what the content says of units and
        catalogues is that of the topology before it.
    """

    content: Identity
    after: int
    at: float
    by: str = ""
    word: Word | None = None
    backfill: BackfillPlan | None = None
    whole: bool = True


_DECODER = msgspec.json.Decoder(Accepted)


class TopologyLog:
    """The topologies of one name on a cluster.

    Parameters
    ----------
    connection
        The cluster.
    topic
        Its topic.

    Attributes
    ----------
    history
        (offset, record) of all that count, as of the last `read`.
    """

    def __init__(self, connection: Connection, topic: str) -> None:
        self._connection = connection
        self._topic = topic
        self.history: list[tuple[int, Accepted]] = []

    @property
    def current(self) -> Accepted | None:
        """What is in force; None where nothing ever was."""
        return self.history[-1][1] if self.history else None

    @property
    def offset(self) -> int:
        """Offset of what is in force; -1 without it."""
        return self.history[-1][0] if self.history else -1

    @property
    def since(self) -> float | None:
        """When its content came into force [s, Unix time]: later records may only add to it."""
        since: float | None = None
        for _, one in reversed(self.history):
            if one.content.digest != self.history[-1][1].content.digest:
                break
            since = one.at
        return since

    async def read(self) -> Accepted | None:
        """Read all of it; gives what is in force.

        Raises
        ------
        SourceError
            The cluster cannot be reached.
        ConfigError
            A record is none of ours.
        """
        place = TopicPartition(self._topic, 0)
        found: list[tuple[int, bytes]] = []
        async with open_consumer(self._connection, enable_auto_commit=False) as client:
            client.assign([place])
            end = (await client.end_offsets([place]))[place]
            # not `seek_to_beginning`: the position at the end, which a new consumer asks for, may
            # be answered after that
            client.seek(place, (await client.beginning_offsets([place]))[place])
            while await client.position(place) < end:
                fetched = await client.getmany(place, timeout_ms=_POLL_MS)
                found += [(one.offset, one.value or b"") for one in fetched.get(place, ())]
        self.history = fold((offset, self._decoded(offset, value)) for offset, value in found)
        return self.current

    async def add(self, record: Accepted) -> bool:
        """Add a record; whether it counts, or had been added by somebody else meanwhile.

        Raises
        ------
        SourceError
            The cluster cannot be reached.
        """
        async with open_producer(self._connection, acks="all") as client:
            await client.send_and_wait(
                self._topic,
                msgspec.json.encode(record),
                key=record.content.digest.encode(),
                partition=0,
            )
        return await self.read() == record

    def _decoded(self, offset: int, value: bytes) -> Accepted:
        try:
            return _DECODER.decode(value)
        except msgspec.DecodeError as error:
            raise ConfigError(  # it stays there, so no new start mends it
                f"record {offset} of topic {self._topic} names no topology ({error}): it was "
                "written by something else, or by a later version of ampelstream; use that one"
            ) from error


def fold(records: Iterable[tuple[int, Accepted]]) -> list[tuple[int, Accepted]]:
    """Records that count: each replaces the one before it."""
    valid: list[tuple[int, Accepted]] = []
    for offset, record in records:
        if record.after == (valid[-1][0] if valid else -1):
            valid.append((offset, record))
    return valid

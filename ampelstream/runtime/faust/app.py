"""The Faust application of one step: its topics, its table, its agent."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import faust
from aiokafka import TopicPartition
from faust.types import Message

from ampelstream.core.boundary import Failure
from ampelstream.runtime.faust.driver import Consumer
from ampelstream.runtime.faust.step import Step
from ampelstream.runtime.faust.table import StateTable
from ampelstream.runtime.faust.tasks import PartitionTask
from ampelstream.runtime.kafka.intake import still_coordinates
from ampelstream.runtime.kafka.letters import dead_letter, letter_of
from ampelstream.runtime.kafka.names import STATE_TABLE, TopicNames
from ampelstream.runtime.kafka.outbox import Outbox
from ampelstream.runtime.service.health import Health
from ampelstream.runtime.service.metrics import Metrics
from ampelstream.state.store import Backend

__all__ = ["StepApp"]


class StepApp:
    """A step as a Faust application of its own: a consumer group, an agent, a table.

    Steps do not share an application, so that a slow sink does not hold up the matching, and so
    that workers may run some of them.

    Parameters
    ----------
    name
        Of the step.
    names
        Topics of the topology.
    settings
        Keyword arguments of ``faust.App``.
    options
        Gives the connection, as keyword arguments of aiokafka.
    sources
        Topics that the agent reads; all have the partitions of the table.
    make_task
        Makes the work on a partition.
    state
        Directory of the databases.
    contiguous
        Whether the sources have no holes in their offsets.
    exclusive
        A topic of which only the owner of a partition writes to the one of the same number.
    term_seconds
        How long a rebalance may wait for a batch [s].
    """

    def __init__(
        self,
        name: str,
        names: TopicNames,
        settings: dict[str, Any],
        options: Callable[[], dict[str, Any]],
        *,
        sources: Sequence[str],
        make_task: Callable[[int, Backend], PartitionTask],
        state: Path,
        outbox: Outbox,
        metrics: Metrics,
        health: Health,
        contiguous: bool,
        exclusive: str | None = None,
        term_seconds: float = 25.0,
    ) -> None:
        self.name = name
        self.sources = tuple(sources)
        self._names = names
        self._outbox = outbox
        self._metrics = metrics
        self._health = health
        Path(settings["datadir"]).mkdir(parents=True, exist_ok=True)
        app: Any = faust.App(**settings)
        self.app = app
        self.app.in_worker = True
        self.app.bury = self._bury
        table: Any = self.app.Table(STATE_TABLE, key_type=bytes, value_type=bytes)
        table.state_directory = state
        table.client_options = options
        self.table: StateTable = table
        self.step = Step(
            name,
            self.table,
            make_task,
            outbox,
            metrics,
            health,
            contiguous=contiguous,
            exclusive=exclusive,
            term_seconds=term_seconds,
        )
        topic = self.app.topic(
            *self.sources,
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
        )
        self.app.agent(topic, name=name)(self.step.receive)
        self.app.on_partitions_revoked.connect(self._revoked)
        self.table.on_recover(self.step.on_recovered)
        health.expect(name)

    async def start(self) -> None:
        """Join the group, restore the state, begin to work."""
        self._consumer.on_committed = self._committed
        await self.app.start()

    async def crashed(self) -> None:
        """Wait until Faust gives up, and raise its reason."""
        await self.app._crashed.wait()  # noqa: SLF001  (mode has no public way to wait for it)
        reason = self.app.crash_reason
        raise reason if reason is not None else RuntimeError("Faust crashed without a reason")

    def coordinates(self) -> bool:
        """Whether the consumer still takes part in its group.

        An unforeseen error ends aiokafka's coordinator task with a log line, and the consumer would
        never get a partition again.
        """
        thread = self._consumer._thread  # noqa: SLF001  (there is no public way to the client)
        return still_coordinates(getattr(thread, "_consumer", None))

    @property
    def group(self) -> str:
        """Consumer group."""
        return str(self.app.conf.id)

    @property
    def rebalancing(self) -> bool:
        """Whether partitions are being moved, or their state is being restored."""
        return bool(self.app.rebalancing)

    @property
    def restored(self) -> int:
        """Changelog records that were applied so far."""
        return self.table.partitions_store.restored

    def assigned(self) -> set[TopicPartition]:
        """Source partitions that this worker has."""
        return {
            TopicPartition(topic, partition)
            for topic in self.sources
            for partition in self.step.partitions
        }

    async def stop(self) -> None:
        """Finish what is in hand, commit, leave the group."""
        await self.step.wind_down()
        await self.app.stop()
        self.table.partitions_store.close()

    @property
    def _consumer(self) -> Consumer:
        consumer: Consumer = self.app.consumer
        return consumer

    async def _revoked(self, _app: Any, revoked: set[Any], **_kwargs: Any) -> None:
        await self.step.on_revoked(revoked)

    def _committed(self, _offsets: object) -> None:
        self._metrics.committed(self.name)
        self._health.commit(self.name)

    async def _bury(self, message: Message, error: BaseException) -> None:
        self._metrics.dead_letter(self.name)
        failure = Failure(type(error).__name__, str(error))
        letter = letter_of(message, self.name, self.name, failure)
        await self._outbox.send([dead_letter(self._names, letter)])

"""An application of Faust while it runs in a worker: its start, what is seen of it, its end.

`run` starts Faust, which joins the consumer group, restores the tables and calls the agent of the
application (``app.py``) once, with a stream that never ends.
"""

import asyncio
import logging
from typing import Any, cast

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from faust.types import TP

from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.safefaust.driver import Consumer
from ampelstream.runtime.safefaust.observing import Observer
from ampelstream.runtime.safefaust.table import StateTable

__all__ = ["RunningApp"]

_LOG = logging.getLogger(__name__)
_RETRY_SECONDS = 15
_START_SECONDS = 5.0
"""How long a stop waits for a start [s]."""


class RunningApp:
    """One application, with its cluster.

    Parameters
    ----------
    name
        Of the step, or of the input.
    app
        A ``faust.App``.
    connection
        The cluster that it reads.
    observer
        Is notified while it waits on purpose, so that it does not count as stuck.
    """

    def __init__(self, name: str, app: Any, connection: Connection, observer: Observer) -> None:
        self.name = name
        self.app = app
        self.connection = connection
        self._observer = observer
        self._started = False
        self._stopping = False
        self._running: asyncio.Task[None] | None = None
        self._starting: asyncio.Future[None] | None = None

    @property
    def table(self) -> StateTable | None:
        """State of the step; None for one without."""
        tables: list[StateTable] = list(self.app.tables.values())
        return tables[0] if tables else None

    @property
    def group(self) -> str:
        """Consumer group."""
        return str(self.app.conf.id)

    @property
    def rebalancing(self) -> bool:
        """Whether partitions are being moved, or their state is being restored."""
        return bool(self.app.rebalancing)

    @property
    def coordinates(self) -> bool:
        """Whether the consumer still takes part in its group."""
        return not self._started or self._consumer.coordinates

    @property
    def pending(self) -> int:
        """How much there is to do that no record asks for, on all partitions."""
        return sum(one.pending for one in self.processors)

    @property
    def processors(self) -> list[Any]:
        """What works on the partitions that this worker has now."""
        table = self.table
        return [] if table is None else list(table.processors.values())

    @property
    def fetched(self) -> int:
        """Records that were fetched, and are not in hand yet."""
        return self._consumer.inbox.waiting if self._started else 0

    @property
    def waiting(self) -> int:
        """How many records of its partitions were put aside."""
        table = self.table
        return 0 if table is None else sum(one.count for one in table.processors.values())

    def assigned(self) -> set[TP]:
        """Source partitions that this worker has."""
        return self._consumer.sources() if self._started else set()

    async def run(self) -> None:
        """Join the group, restore the state, work; ends with what ends the application.

        A cluster that cannot be reached is tried again: the others, and the other steps, go on.
        """
        if self._stopping:
            return
        self._running = asyncio.current_task()
        while not await self._reached():
            for _ in range(_RETRY_SECONDS):
                self._observer.progress(self.name)  # it waits on purpose
                await asyncio.sleep(1.0)
        self._started = True
        self._starting = starting = asyncio.ensure_future(self.app.start())
        crashed = asyncio.ensure_future(self.app._crashed.wait())  # noqa: SLF001  (mode has no public way to wait for it)
        await asyncio.wait({starting, crashed}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done() and not starting.cancelled():  # Faust cancels it where a part crashes
            starting.result()
        await crashed
        reason = self.app.crash_reason
        raise reason if reason is not None else RuntimeError("Faust crashed without a reason")

    async def _reached(self) -> bool:
        """Whether the cluster answers and lets us in: Faust would crash where it does not."""
        client = AIOKafkaAdminClient(**self.connection.client_options())
        try:
            await client.start()
        except (KafkaError, OSError, TimeoutError) as error:
            # `Clusters` says so, once for all steps on this cluster
            _LOG.debug("%s: cannot connect: %r", self.name, error)
            return False
        finally:
            await client.close()
        return True

    async def stop(self) -> None:
        """Finish what is in hand, commit, leave the group.

        One that is about to start does not. One that is starting has started first: what Faust
        starts behind its own stop nobody would stop.
        """
        self._stopping = True
        if self._started and self._starting is not None:
            await asyncio.wait({self._starting}, timeout=_START_SECONDS)
            await self.app.stop()
        elif self._running is not None:
            self._running.cancel()

    @property
    def _consumer(self) -> Consumer:
        return cast("Consumer", self.app.consumer)

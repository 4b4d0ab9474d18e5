"""Restoring state from changelogs, and only then reading on.

Remedies, each against a way in which faust-streaming 0.15.3 loses records or state:

- ``tables/recovery.py:649-660`` lets source partitions flow before it rewinds them: records fetched
  in between are dropped with the agents' queues and committed. Here: rewind, clear, flow.
- A step of the recovery that takes longer than the request timeout is taken for a stop of the
  service (``_wait``: ``wait_first`` says the same of both): the recovery ends without a word, and
  the worker waits for ever. Here it ends the worker, unless it makes progress. A step that a
  library cancels inside ends it without a word too; here it ends the worker.
- A recovery that ends while the next rebalance has begun lets the flow go on partitions that are
  being handed over. Here it gives up, and the next assignment starts it again.
- Errors while applying a changelog are swallowed (``tables/recovery.py:915-916``). ``restore.py``
  applies ours before Faust looks, and their errors end the worker; Faust finds nothing left to do.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery, ServiceStopped
from faust.types import TP

from ampelstream.runtime.safefaust.failures import RecoveryError
from ampelstream.runtime.safefaust.restore import restore
from ampelstream.runtime.safefaust.table import StateTable

__all__ = ["SafeRecovery", "SafeTableManager"]

_LOG = logging.getLogger(__name__)


class SafeRecovery(Recovery):
    """Faust's recovery in a safe order."""

    _rebalance = 0
    _progress = 0

    async def on_rebalance(
        self,
        assigned: set[TP],
        revoked: set[TP],
        newly_assigned: set[TP],
        generation_id: int = 0,
    ) -> None:
        """Remember which rebalance this recovery belongs to."""
        self._rebalance = self.app.rebalancing_count
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)

    async def _wait(self, coro: Any, timeout: Any = None) -> None:  # noqa: ASYNC109  (Faust's signature)
        if timeout is None or not isinstance(coro, Coroutine):
            await super()._wait(coro, timeout=timeout)
            return
        work = asyncio.ensure_future(coro)
        try:
            while not work.done():
                before = self._progress
                try:
                    await super()._wait(_done(work), timeout=timeout)
                except ServiceStopped:  # so Faust takes it that the time is over
                    if self.should_stop:
                        raise
                if not work.done() and self._progress == before:
                    raise RecoveryError(
                        f"the brokers did not answer within {timeout} s while state was restored; "
                        "see that they are up. Nothing is lost: the worker starts again."
                    )
            if work.cancelled():
                raise RecoveryError(
                    "a step of the recovery was cancelled, and nobody asked for that. Nothing is "
                    "lost: the worker starts again."
                )
            work.result()
        finally:
            work.cancel()

    async def _build_highwaters(
        self, consumer: Any, tps: set[TP], destination: Any, title: str
    ) -> None:
        """Restore our partitions, before Faust looks what is left to restore."""
        if title == "active":
            for table in self.tables.values():
                if isinstance(table, StateTable):
                    await self._restore(table, {tp for tp in tps if self.tp_to_table[tp] is table})
        await super()._build_highwaters(consumer, tps, destination, title)
        if title == "active":
            # what was written meanwhile is not of the partition's owner: see `fencing.py`
            for tp, last in destination.items():  # a Counter's `update` would add
                self.active_offsets[tp] = last

    async def _restore(self, table: StateTable, tps: set[TP]) -> None:
        """Bring the databases to the end of the changelog, if they are its."""
        if not tps:
            return  # a member without partitions
        await table.identify()
        store = table.partitions_store

        def progress(count: int, left: int) -> None:
            table.on_restored(count, left)
            self._progress += count

        await restore(
            table.client_options(),
            table.changelog_topic_name,
            {tp.partition: store.persisted_offset(tp) for tp in tps},
            store.write,
            progress,
        )
        for number in sorted(tp.partition for tp in tps):
            for topic in table.remade(number):
                _LOG.warning(
                    "%s was made anew since the state of partition %d was written; it is read from "
                    "its oldest record. What the old one held and was not read is gone",
                    *(topic, number),
                )

    def _overtaken(self, generation_id: int) -> bool:
        """Whether another rebalance has begun since this recovery did."""
        app = self.app
        return bool(
            app.consumer_generation_id != generation_id or app.rebalancing_count != self._rebalance
        )

    async def _resume_streams(self, generation_id: int = 0) -> None:
        """Begin an application without tables."""
        await self.on_recovery_completed(generation_id)

    async def on_recovery_completed(self, generation_id: int = 0) -> None:
        """Rewind, then let the records flow."""
        app: Any = self.app
        consumer = app.consumer
        if self._overtaken(generation_id):
            return
        await app.on_rebalance_complete.send()
        self._set_recovery_ended()
        assignment = consumer.assignment()
        if assignment and not self._overtaken(generation_id):
            # while the source partitions are still paused
            await self._wait(consumer.perform_seek(), timeout=app.conf.broker_request_timeout)
        if self._overtaken(generation_id):
            return
        app.flow_control.resume()
        consumer.resume_partitions({tp for tp in assignment if not self._is_changelog_tp(tp)})
        self.completed.set()
        consumer.resume_flow()
        consumer.inbox.open()
        await app._fetcher.maybe_start()  # noqa: SLF001  (as Faust's own recovery does)
        self.tables.on_actives_ready()
        if not app.assignor.assigned_standbys():
            self.tables.on_standbys_ready()
        app.on_rebalance_end()


async def _done(work: "asyncio.Future[Any]") -> None:
    await asyncio.wait([work])


class SafeTableManager(TableManager):
    """Faust's table manager with our recovery."""

    @property
    def recovery(self) -> Recovery:
        """The recovery of this application's tables."""
        if self._recovery is None:
            self._recovery = SafeRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery

    async def on_start(self) -> None:
        """Start without the second that Faust waits here (``tables/manager.py:139``)."""
        if not self.should_stop:
            await self._update_channels()
            await self.recovery.start()

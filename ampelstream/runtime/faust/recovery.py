"""Restoring state from changelogs, and only then reading on.

Mends, each against a way in which faust-streaming 0.15.3 loses records or state:

- ``tables/recovery.py:649-660`` lets source partitions flow before it rewinds them: records fetched
  in between are dropped with the agents' queues and committed. Here: rewind, clear, flow.
- A step of the recovery that takes longer than the request timeout is taken for done
  (``_wait``, which ignores that ``wait_first`` timed out): a worker with an empty picture of the
  changelog would start on an empty state. Here it ends the worker.
- A recovery that ends while the next rebalance has begun lets the flow go on partitions that are
  being handed over. Here it gives up, and the next assignment starts it again.
- Errors while applying a changelog are swallowed (``tables/recovery.py:915-916``). Our table keeps
  the first one (``table.py``), and here it is looked for before anything flows.
"""

from collections.abc import Coroutine
from typing import Any

from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.types import TP

from ampelstream.errors import RecoveryError

__all__ = ["SafeRecovery", "SafeTableManager"]


class SafeRecovery(Recovery):
    """Faust's recovery in a safe order."""

    _rebalance = 0

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
        finished = False

        async def watched() -> None:
            nonlocal finished
            await coro
            finished = True

        await super()._wait(watched(), timeout=timeout)
        if not finished:
            raise RecoveryError(
                f"the brokers did not answer within {timeout} s while state was restored; "
                "see that they are up. Nothing is lost: the worker starts again."
            )

    def _overtaken(self, generation_id: int) -> bool:
        """Whether another rebalance has begun since this recovery did."""
        app = self.app
        return bool(
            app.consumer_generation_id != generation_id or app.rebalancing_count != self._rebalance
        )

    async def on_recovery_completed(self, generation_id: int = 0) -> None:
        """Rewind, then let the records flow."""
        app: Any = self.app
        consumer = app.consumer
        if self._overtaken(generation_id):
            return
        await app.on_rebalance_complete.send()
        self._set_recovery_ended()
        for table in self.tables.values():
            await table.on_recovery_completed(
                self.actives_for_table[table], self.standbys_for_table[table]
            )
        assignment = consumer.assignment()
        if assignment and not self._overtaken(generation_id):
            # while the source partitions are still paused
            await self._wait(consumer.perform_seek(), timeout=app.conf.broker_request_timeout)
        if self._overtaken(generation_id):
            return
        app.flow_control.resume()  # clears the agents' queues: before anything can come in
        consumer.resume_partitions({tp for tp in assignment if not self._is_changelog_tp(tp)})
        self.completed.set()
        consumer.resume_flow()
        await app._fetcher.maybe_start()  # noqa: SLF001  (as Faust's own recovery does)
        self.tables.on_actives_ready()
        if not app.assignor.assigned_standbys():
            self.tables.on_standbys_ready()
        app.on_rebalance_end()


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

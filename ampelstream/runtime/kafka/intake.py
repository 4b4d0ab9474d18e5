"""The ingest step: consume alerts and notices on any cluster, produce what they say on ours.

Stateless, so it needs no table, and a full stream does not pass through Faust's machinery, which
costs more per record than to reject an alert. The offsets of a batch are committed when all that
came of it is acknowledged; what a kill repeats is recognised by its ids downstream.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord

from ampelstream.errors import SourceError
from ampelstream.runtime.kafka.outbox import Outbox, Outgoing
from ampelstream.runtime.service.health import Health
from ampelstream.runtime.service.log import incident
from ampelstream.runtime.service.metrics import Metrics

__all__ = ["Intake", "Worker", "still_coordinates"]

_LOG = logging.getLogger(__name__)
_POLL_MS = 250
_BATCH = 500
_SIGN_SECONDS = 1.0
_RETRY_SECONDS = 15


class Worker(Protocol):
    """Makes of records what is to be produced."""

    async def prepare(self, records: Sequence[ConsumerRecord]) -> None:
        """Wait for what the work on these records needs (a schema that is not at hand)."""
        ...

    def work(self, records: Sequence[ConsumerRecord]) -> list[Outgoing]:
        """Work on the records, in a thread."""
        ...


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # (aiokafka's class is untyped)
    """Lets no partition go while its records are in work."""

    def __init__(self, in_work: asyncio.Lock) -> None:
        self._in_work = in_work

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        del revoked
        async with self._in_work:
            return

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        del assigned


def still_coordinates(consumer: AIOKafkaConsumer | None) -> bool:
    """Whether a client's coordinator task runs; one that has not been started will."""
    coordinator = getattr(consumer, "_coordinator", None)
    task = getattr(coordinator, "_coordination_task", None)
    return task is None or not task.done()


class Intake:
    """Reads topics of one cluster, hands batches to a worker, produces, commits.

    Parameters
    ----------
    name
        For metrics, health and messages.
    options
        Gives the connection to the cluster that is read, as keyword arguments of aiokafka.
    group
        Consumer group there.
    topics, pattern
        What is read: names, or a regular expression that also finds topics that appear later.
    worker
        Does the work.
    outbox
        Produces on our own cluster.
    instance
        Static member id; None for a new member each time.
    """

    def __init__(
        self,
        name: str,
        options: Callable[[], dict[str, Any]],
        group: str,
        *,
        topics: Sequence[str],
        pattern: str | None,
        worker: Worker,
        outbox: Outbox,
        metrics: Metrics,
        health: Health,
        instance: str | None = None,
        session_seconds: float = 12.0,
        refresh_seconds: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.options = options
        self.group = group
        self._topics, self._pattern = list(topics), pattern
        self._worker = worker
        self._outbox = outbox
        self._metrics = metrics
        self._health = health
        self._clock = clock
        self._in_work = asyncio.Lock()
        self._stopping = self._connected = False
        self._done: dict[TopicPartition, int] = {}
        self._group_options = {
            "group_id": group,
            "group_instance_id": instance,
            "session_timeout_ms": int(session_seconds * 1000),
            "heartbeat_interval_ms": int(session_seconds * 250),
            "metadata_max_age_ms": int(refresh_seconds * 1000),
        }
        self._consumer = self._new_consumer()
        health.expect(name)

    def _new_consumer(self) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            **self.options(),
            **self._group_options,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            max_poll_interval_ms=3_600_000,
            max_partition_fetch_bytes=16 << 20,
        )

    async def start(self) -> None:
        """Connect and subscribe.

        Raises
        ------
        SourceError
            The cluster cannot be reached, or does not let us in.
        """
        try:
            await self._consumer.start()
        except KafkaError as error:
            raise SourceError(
                f"{self.name}: cannot connect: {error}; check the address, security and "
                "credentials, and whether it is up"
            ) from error
        listener = _Listener(self._in_work)
        if self._pattern is not None:
            self._consumer.subscribe(pattern=f"^(?:{self._pattern})$", listener=listener)
        else:
            self._consumer.subscribe(self._topics, listener=listener)
        self._connected = True
        self._health.set_ready(self.name, ready=True)

    def coordinates(self) -> bool:
        """Whether the consumer still takes part in its group."""
        return still_coordinates(self._consumer)

    def assigned(self) -> set[TopicPartition]:
        """Partitions that this worker has."""
        return set(self._consumer.assignment())

    async def stop(self) -> None:
        """Finish the batch in hand and leave the group."""
        self._stopping = True
        async with self._in_work:
            pass
        await self._consumer.stop()

    async def run(self) -> None:
        """Read until stopped.

        A cluster that cannot be reached is tried again: the others, and the other steps, go on.
        """
        while not (self._stopping or self._connected or await self._started()):
            await self._wait_to_retry()
        while not self._stopping:
            fetched = await self._fetched()
            if not fetched:
                await self._commit_markers()
                continue
            await self._prepare([one for part in fetched.values() for one in part])
            async with self._in_work:
                await self._batch(fetched)

    async def _fetched(self) -> Mapping[TopicPartition, Sequence[ConsumerRecord]]:
        try:
            fetched: Mapping[TopicPartition, Sequence[ConsumerRecord]]
            fetched = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=_BATCH)
        except KafkaError as error:
            # among others what ended the client's coordination, such as a cluster that has just
            # come back and names no brokers yet: only a new client can go on
            raise SourceError(
                f"{self.name}: cannot go on reading: {error}. Nothing is lost; the next start "
                "reads on from the last commit."
            ) from error
        return fetched

    async def _started(self) -> bool:
        try:
            await self.start()
        except SourceError as error:
            incident(_LOG, logging.WARNING, "unreachable", str(error), input=self.name)
            return False
        return True

    async def _wait_to_retry(self) -> None:
        for _ in range(_RETRY_SECONDS):
            if not self._stopping:
                self._health.progress(self.name)  # it waits on purpose
                await asyncio.sleep(1.0)
        await self._consumer.stop()
        self._consumer = self._new_consumer()

    async def _prepare(self, records: Sequence[ConsumerRecord]) -> None:
        """Let the worker wait, and tell that it does so on purpose."""
        work = asyncio.ensure_future(self._worker.prepare(records))
        try:
            while not (await asyncio.wait({work}, timeout=_SIGN_SECONDS))[0]:
                self._health.progress(self.name)
            work.result()
        finally:
            work.cancel()

    async def _batch(self, fetched: Mapping[TopicPartition, Sequence[ConsumerRecord]]) -> None:
        ours = self._consumer.assignment()
        batch = {tp: records for tp, records in fetched.items() if tp in ours}
        records = [record for part in batch.values() for record in part]
        if not records:
            return
        began = self._clock()
        with self._health.busy(self.name):
            outputs = await asyncio.to_thread(self._worker.work, records)
            await self._outbox.send(outputs)
        done = {tp: part[-1].offset + 1 for tp, part in batch.items()}
        await self._commit(done)
        self._done.update(done)
        self._metrics.batch_seconds(self.name, self._clock() - began)

    async def _commit_markers(self) -> None:
        """Commit past what is no record: the end of a transaction would count as lag for ever."""
        async with self._in_work:
            behind: dict[TopicPartition, int] = {}
            for tp, done in self._done.items():
                if tp in self._consumer.assignment():
                    position = await self._consumer.position(tp)
                    if position > done:
                        behind[tp] = position
            if behind:
                await self._commit(behind)
                self._done.update(behind)

    async def _commit(self, offsets: dict[TopicPartition, int]) -> None:
        try:
            await self._consumer.commit(offsets)
        except KafkaError as error:
            # the group was rebalanced, or its coordinator is away. The next commit covers this one;
            # without one, whoever has the partition next reads these records again.
            _LOG.warning("%s: offsets were not committed: %r", self.name, error)
            return
        self._metrics.committed(self.name)
        self._health.commit(self.name)

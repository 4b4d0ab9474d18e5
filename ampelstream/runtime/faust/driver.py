"""Our transport: Faust's aiokafka driver with an account of every record.

Mends, each against a way in which faust-streaming 0.15.3 loses records:

- It commits past a record that is still in work when a later one is done first
  (``transport/consumer.py:1111-1128``), and takes records that it dropped during a rebalance for
  gaps of compaction, which it commits too (``:1208-1215``). Here the committed offset is the
  smallest one that was delivered and is not done.
- A stream acknowledges what it skips while a rebalance holds the flow back
  (``streams.py``, the branch of ``flow_control.is_active``). Here such an acknowledgement does not
  count.
- A failed produce request is logged and forgotten (``topics.py:463-484``), and a flush before a
  commit gives up after 0.1 s (``transport/producer.py:78-94``). Here the flush waits, and a failure
  ends the worker without a commit.
- ``seek_to_committed`` leaves partitions without a committed offset where they are
  (``aiokafka/consumer/consumer.py:896-903``): what was fetched and dropped before is not read
  again. Here they go to their beginning.
- A fetch waits up to a second while the set of partitions that it may read changes under it, and
  aiokafka takes an empty set for "all" (``aiokafka/consumer/fetcher.py``, ``fetched_records``). So
  at the end of a recovery it reads records of partitions that are still paused, after they were
  rewound, and ``getmany`` skips these (``transport/consumer.py:756-760``). Here they are put back.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from faust.exceptions import ProducerSendError
from faust.transport.drivers import TRANSPORTS
from faust.transport.drivers import aiokafka as stock
from faust.transport.producer import ProducerBuffer
from faust.types import TP, ConsumerMessage, FutureMessage, Message
from faust.types.transports import ConsumerCallback

from ampelstream.errors import ProduceError

__all__ = ["SCHEME", "Consumer", "Producer", "Transport"]

SCHEME = "ampelstream"
"""Scheme of the broker URL that chooses this transport."""


class _Buffer(ProducerBuffer):
    """A buffer whose flush returns when everything has gone out."""

    in_flight = 0

    async def _send_pending(self, fut: FutureMessage) -> None:
        self.in_flight += 1
        try:
            await super()._send_pending(fut)
        finally:
            self.in_flight -= 1

    async def flush(self) -> None:
        """Wait until nothing is left to send."""
        while (self.size or self.in_flight) and not self.should_stop:  # noqa: ASYNC110  (the queue has no event for it)
            await asyncio.sleep(0.002)


class Producer(stock.Producer):
    """A producer that remembers a failure."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.buffer = _Buffer(loop=self.loop, beacon=self.beacon)
        self.buffer.app = self.app
        self.failure: BaseException | None = None
        self._sending: set[asyncio.Future[Any]] = set()

    def _sent(self, future: "asyncio.Future[Any]") -> None:
        self._sending.discard(future)
        error = None if future.cancelled() else future.exception()
        self.failure = self.failure or error

    async def send(self, *args: Any, **kwargs: Any) -> Awaitable[Any]:
        """Send, and watch what becomes of it."""
        try:
            future: Any = await super().send(*args, **kwargs)
        except ProducerSendError as error:
            self.failure = self.failure or error
            raise
        self._sending.add(future)
        future.add_done_callback(self._sent)
        return cast("Awaitable[Any]", future)

    async def flush(self) -> None:
        """Wait until everything that was sent is acknowledged or has failed."""
        await super().flush()
        while self._sending:
            await asyncio.wait(list(self._sending))


class _Thread(stock.AIOKafkaConsumerThread):
    """The thread of the client; a fetch gives records only of partitions that are being read."""

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: set[TP],
        timeout: float | None = None,  # noqa: ASYNC109  (Faust's signature)
        max_records: int | None = None,
    ) -> Mapping[TP, list[Any]]:
        fetched = await super()._fetch_records(consumer, active_partitions, timeout, max_records)
        wanted = active_partitions | self.consumer._buffered_partitions  # noqa: SLF001  (what getmany passes on)
        kept = {tp: records for tp, records in fetched.items() if tp in wanted}
        for tp in fetched.keys() - kept.keys():
            # whoever rewound the partition did so in this thread, and before: go back to there
            consumer.seek(tp, fetched[tp][0].offset)
        return kept


class Consumer(stock.Consumer):
    """A consumer that commits only what is done."""

    def __init__(
        self, transport: Any, callback: ConsumerCallback, *args: Any, **kwargs: Any
    ) -> None:
        self._delivered: defaultdict[TP, set[int]] = defaultdict(set)
        self._highest: dict[TP, int] = {}
        self.on_committed: Callable[[Mapping[TP, int]], None] = lambda _offsets: None

        self._delivering: defaultdict[TP, set[int]] = defaultdict(set)

        async def tracked(message: Message) -> Any:
            tp, offset = message.tp, message.offset
            if not self.app.topics.acks_enabled_for(message.topic):
                return await callback(message)
            self._delivered[tp].add(offset)
            self._highest[tp] = offset
            # Faust acknowledges what it cannot decode before anybody has taken it
            self._delivering[tp].add(offset)
            delivered = await callback(message)
            # not where that failed or was cancelled: nobody has the record then, until a seek
            self._delivering[tp].discard(offset)
            return delivered

        super().__init__(transport, tracked, *args, **kwargs)

    def _new_consumer_thread(self) -> _Thread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    def ack(self, message: Message) -> bool:
        """Acknowledge, unless it is a stream that skips a record during a rebalance."""
        if isinstance(message, ConsumerMessage) and self._is_stale(message):
            self._unacked_messages.discard(message)
            return False
        counted = bool(super().ack(message))
        if self.app.flow_control.is_active():
            self._delivered[message.tp].discard(message.offset)
        return counted

    def settle(self, message: Message) -> None:
        """Acknowledge a record whose outputs and state are durable, whatever the flow does."""
        if self._is_stale(message):
            self._unacked_messages.discard(message)
            return
        self._delivered[message.tp].discard(message.offset)
        super().ack(message)

    def _is_stale(self, message: Message) -> bool:
        generation = getattr(message, "generation_id", None)
        return generation not in {None, self.app.consumer_generation_id}

    async def perform_seek(self) -> None:
        """Go back to the committed offsets: what was delivered after them comes again."""
        await super().perform_seek()
        self._delivered.clear()
        self._delivering.clear()
        self._highest.clear()

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Go back to the committed offset of every partition, or to its beginning without one."""
        thread = self._thread
        committed: Any = await thread.call_thread(_rewind, thread)  # None without one, as in stock
        return cast("Mapping[TP, int]", committed)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Forget the account of partitions that are no longer ours."""
        await super().on_partitions_revoked(revoked)
        for tp in revoked:
            self._delivered.pop(tp, None)
            self._delivering.pop(tp, None)
            self._highest.pop(tp, None)

    def _new_offset(self, tp: TP) -> int | None:
        acked = self._acked[tp]
        if not acked or tp not in self._highest:
            return None
        delivered = self._delivered[tp] | self._delivering[tp]
        offset = min(delivered) if delivered else self._highest[tp] + 1
        self._acked[tp] = kept = [one for one in acked if one >= offset]
        self._acked_index[tp] = set(kept)
        self._gap.pop(tp, None)
        return offset

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        failure = getattr(self.app.producer, "failure", None)
        if failure is not None:
            await self.crash(ProduceError(f"not committing: a record was lost: {failure!r}"))
            return False
        done = bool(await super()._commit(offsets))
        if done:
            self.on_committed(offsets)
        return done


async def _rewind(thread: Any) -> dict[TP, int | None]:
    """Seek all assigned partitions; runs in the consumer's thread."""
    consumer = thread._ensure_consumer()  # noqa: SLF001  (there is no public way to its client)
    committed: dict[TP, int | None] = {}
    fresh: list[Any] = []
    for tp in consumer.assignment():
        offset = await consumer.committed(tp)
        committed[tp] = offset
        if offset is None:
            fresh.append(tp)
        else:
            consumer.seek(tp, offset)
    if fresh:
        for tp, first in (await consumer.beginning_offsets(fresh)).items():
            consumer.seek(tp, first)
    return committed


class Transport(stock.Transport):
    """The transport of all our Faust applications."""

    Consumer = Consumer
    Producer = Producer


TRANSPORTS.aliases[SCHEME] = f"{__name__}:Transport"

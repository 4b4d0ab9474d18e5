"""Our transport: Faust's aiokafka driver, which takes whole fetches and commits what is settled.

Against these ways in which faust-streaming 0.15.3 loses records, or time:

- It makes a message, an event, a queue item and an acknowledgement of each record, which costs more
  than the work on most records (``transport/consumer.py:1168-1230``, ``streams.py:1180-1350``,
  ``transport/conductor.py:105-190``). Here what one fetch brings for a partition goes on as the
  list that it is. Changelogs are not read here at all (see ``restore.py``).
- It commits past a record that is still in work when a later one is done first
  (``transport/consumer.py:1111-1128``), and takes records that it dropped during a rebalance for
  holes of compaction, which it commits too (``:1208-1215``). Here exactly that offset is committed
  which the agent settled, batch by batch, in order.
- A commit that failed counts as done until there is more to commit (``:1080``), and one that failed
  for a passing reason ends the application (``transport/drivers/aiokafka.py:807-824``). Here the
  next round tries it again.
- ``seek_to_committed`` leaves partitions without a committed offset where they are
  (``aiokafka/consumer/consumer.py:896-903``): what was fetched and dropped before is not read
  again. Here they go to their beginning.
- A fetch waits up to a second while the set of partitions that it may read changes under it, and
  aiokafka takes an empty set for "all" (``aiokafka/consumer/fetcher.py:1221``). So at the end of a
  recovery it reads records of partitions that are paused, after they were rewound, and ``getmany``
  skips these (``transport/consumer.py:756-760``). Here a fetch has a set of its own, and what comes
  when it is not wanted any more is put back.
- A batch of records that inflates to gigabytes ends the process, each time it is read
  (``aiokafka/codec.py:70-240``). Here it is one record with a fault (``unreadable.py``).
- An offset says nothing without its topic. One that is committed while the topic is deleted and
  made again stands for the new one, too, whose first records are then passed over. Here the id of
  the topic is committed with it, and an offset of another topic of that name does not count.
- A subscription by pattern does not work (``transport/drivers/aiokafka.py:775``). Here it does.
- The producer logs a failed request and forgets it (``topics.py:463-484``), and its flush before a
  commit gives up after 0.1 s (``transport/producer.py:78-94``). Here it sends nothing at all:
  ``outbox.py`` does.
"""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol, cast

from aiokafka.errors import (
    CommitFailedError,
    ConsumerStoppedError,
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    IllegalGenerationError,
    KafkaConnectionError,
    KafkaError,
    NodeNotReadyError,
    NotCoordinatorForGroupError,
    RebalanceInProgressError,
    RequestTimedOutError,
    UnknownMemberIdError,
)
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport import producer as base_producer
from faust.transport.drivers import TRANSPORTS
from faust.transport.drivers import aiokafka as stock
from faust.types import TP
from faust.types.transports import ConsumerCallback

from ampelstream.runtime.safefaust.commitnotes import note, topic_of
from ampelstream.runtime.safefaust.committed import committed_offsets
from ampelstream.runtime.safefaust.failures import LostRecords, ProduceError, ReadError
from ampelstream.runtime.safefaust.inbox import Chunk, Inbox
from ampelstream.runtime.safefaust.receiving import receive_directly
from ampelstream.runtime.safefaust.topicids import ask
from ampelstream.runtime.safefaust.unreadable import set_aside

__all__ = ["FETCH_BYTES", "SCHEME", "Consumer", "Fetched", "Producer", "Transport", "Work"]

SCHEME = "safefaust"
"""Scheme of the broker URL that chooses this transport."""
FETCH_BYTES = 8 << 20
"""How much one answer of a broker holds [byte]; a batch that is larger comes alone. Sixty records
of 140 KB make the way to the broker cheap, and as little as that is received, unpacked and dropped
in the same memory again and again; the default of 50 MiB took four times the memory. A broker that
is 150 ms away still gives 50 MB/s."""
TERM_SHARE = 0.8
"""Which part of the time that a rebalance gives its members a batch in hand may take of it."""
_FETCH_SECONDS = 1.0
_SHORT_SECONDS = 0.05
"""For a fetch that leaves out partitions without room: they may soon have some [s]."""
_PAUSED_SECONDS = 0.1
_LOOK_SECONDS = 0.005
_TRIES, _TRY_SECONDS = 5, 1.0
"""How often, and how long apart [s], the brokers are asked what their topics are."""
_PASSING = (
    CommitFailedError,
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    IllegalGenerationError,
    KafkaConnectionError,
    NodeNotReadyError,
    NotCoordinatorForGroupError,
    RebalanceInProgressError,
    RequestTimedOutError,
    UnknownMemberIdError,
)
"""Why a commit fails in a group that is rebalanced, or whose coordinator is restarted."""
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a fetch brought.

    Attributes
    ----------
    epoch
        Number of the last rewind before it.
    records
        By partition, in order.
    positions
        Where reading goes on, of a fetch that brought nothing.
    """

    epoch: int
    records: Mapping[TP, list[Any]]
    positions: Mapping[TP, int] = field(default_factory=dict)


class Work(Protocol):
    """Who takes the records, and is notified of what happens to them."""

    def pause(self) -> None:
        """Partitions are about to be moved, or we stop: nothing new is to be begun."""
        ...

    def forget(self) -> None:
        """The batch in hand is finished: what was made of the partitions' state is void."""
        ...

    def committed(self) -> None:
        """Offsets were committed."""
        ...

    def assigned(self, partitions: set[TP]) -> None:
        """The group has given us these partitions; their state is not restored yet."""
        ...

    def revoked(self, partitions: set[TP]) -> None:
        """The group takes partitions, some of which may come back."""
        ...


class Producer(base_producer.Producer):
    """A producer that has no connection, and refuses to send."""

    async def on_start(self) -> None:
        """Start nothing."""

    async def send(self, topic: str, *_args: Any, **_kwargs: Any) -> Awaitable[Any]:
        """Refuse.

        Raises
        ------
        ProduceError
            Always.
        """
        raise ProduceError(f"Faust was asked to send to {topic}; produce with an Outbox instead")

    def send_soon(self, fut: Any) -> None:
        """Refuse.

        Raises
        ------
        ProduceError
            Always.
        """
        topic = fut.message.channel.get_topic_name()
        raise ProduceError(f"Faust was asked to send to {topic}; produce with an Outbox instead")


class _Listener(stock.ConsumerRebalanceListener):
    """Notes when a rebalance began."""

    def on_partitions_revoked(self, revoked: Iterable[Any]) -> Awaitable[Any]:
        consumer = cast("Consumer", self._thread.consumer)
        consumer.rebalance_began = time.monotonic()
        return super().on_partitions_revoked(revoked)


class _Thread(stock.AIOKafkaConsumerThread):
    """The thread of the client. All of this but `fetch`, `rewind`, `put_back` runs in it."""

    epoch = 0
    _ids: Mapping[str, str] = MappingProxyType({})
    """Of the topics, when reading began: what was read since is theirs."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        receive_directly()
        consumer = super()._create_worker_consumer(transport)
        # Faust reads aborted transactions, too; used by its start (aiokafka consumer.py:397)
        consumer._isolation_level = "read_committed"  # noqa: SLF001  (no public way, once it is made)
        consumer._fetch_max_bytes = FETCH_BYTES  # noqa: SLF001  (as above; Faust has no setting)
        return consumer

    async def on_start(self) -> None:
        """Connect."""
        await super().on_start()
        set_aside(self._ensure_consumer())

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Subscribe to what the application's topics name, or to their patterns."""
        known: Iterable[Any] = self.app.topics
        patterns = [one.pattern.pattern for one in known if getattr(one, "pattern", None)]
        if not patterns:
            await super().subscribe(topics)
            return
        parts = [f"(?:{one})" for one in patterns] + [re.escape(one) for one in topics]
        await self.call_thread(
            self._ensure_consumer().subscribe,
            pattern=f"^(?:{'|'.join(parts)})$",
            listener=self._rebalance_listener,
        )

    async def fetch(self, active: set[TP], seconds: float) -> Fetched:
        """Give what there is to read, or nothing after this time [s]."""
        return cast("Fetched", await self.call_thread(self._fetch, active, seconds))

    async def rewind(self) -> tuple[int, dict[TP, int | None]]:
        """Go back to the committed offsets; gives the new epoch, and these offsets."""
        return cast("tuple[int, dict[TP, int | None]]", await self.call_thread(self._rewind))

    async def put_back(self, epoch: int, offsets: Mapping[TP, int]) -> None:
        """Go back to these offsets, unless a rewind has gone back further meanwhile."""
        await self.call_thread(self._put_back, epoch, offsets)

    async def _fetch(self, active: set[TP], seconds: float) -> Fetched:
        consumer = self._ensure_consumer()
        found = await self._fetch_records(
            consumer,
            active,
            timeout=seconds,
            max_records=consumer._max_poll_records,  # noqa: SLF001  (as in stock)
        )
        # from here on nothing waits: epoch, records and positions belong together
        kept = {TP(place.topic, place.partition): records for place, records in found.items()}
        return Fetched(self.epoch, kept, {} if kept else _positions(consumer, active))

    async def _rewind(self) -> tuple[int, dict[TP, int | None]]:
        consumer = self._ensure_consumer()
        committed = await self._committed(consumer)
        fresh = [TopicPartition(*tp) for tp, offset in committed.items() if offset is None]
        first = await consumer.beginning_offsets(fresh) if fresh else {}
        # all at once: a fetch sees either none of it or all of it
        self.epoch += 1
        for place in consumer.assignment():
            if place in committed:  # one that came meanwhile begins at its committed offset anyway
                offset = committed[place]
                consumer.seek(place, first[place] if offset is None else offset)
        return self.epoch, committed

    async def _committed(self, consumer: Any) -> dict[TP, int | None]:
        """Committed offset of each partition; None where there is none, or one of another topic."""
        places = sorted(consumer.assignment())
        found: Any = await committed_offsets(consumer, places)
        self._ids = await self._ask_ids(consumer._client, {one.topic for one in places})  # noqa: SLF001  (no public way)
        committed: dict[TP, int | None] = {}
        for place in places:
            tp, one = TP(place.topic, place.partition), found.get(place)
            counts = one is not None and one.offset >= 0 and not self._of_another(tp, one.metadata)
            committed[tp] = one.offset if counts else None
        return committed

    async def _ask_ids(self, client: Any, topics: set[str]) -> Mapping[str, str]:
        """Ids of topics; a cluster that has just lost a broker may need a moment to answer."""
        if not topics:
            return {}
        for _ in range(_TRIES - 1):
            try:
                return (await ask(client, topics)).ids
            except ReadError:
                await asyncio.sleep(_TRY_SECONDS)
        return (await ask(client, topics)).ids

    def _of_another(self, tp: TP, metadata: str) -> bool:
        """Whether an offset is one of a topic that had this name before."""
        known, now = topic_of(metadata), self._ids.get(tp.topic)
        if not (known and now) or known == now:
            return False
        _LOG.warning(
            "%s was made anew since partition %d of it was read last; it is read from its oldest "
            "record. What the old one held and was not read is gone",
            *(tp.topic, tp.partition),
        )
        return True

    async def _put_back(self, epoch: int, offsets: Mapping[TP, int]) -> None:
        consumer = self._ensure_consumer()
        if epoch == self.epoch:
            for place in consumer.assignment():
                if place in offsets:
                    consumer.seek(place, offsets[place])

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """Commit; False where it failed."""
        consumer, now = self._ensure_consumer(), time.time()
        try:
            await consumer.commit(
                {
                    TopicPartition(tp.topic, tp.partition): OffsetAndMetadata(
                        offset, note(self._ids.get(tp.topic, ""), now)
                    )
                    for tp, offset in offsets.items()
                }
            )
        except KafkaError as error:
            # the group was rebalanced, or its coordinator is away. A later commit covers this one;
            # without one, whoever has the partition next reads these records again.
            level = logging.DEBUG if isinstance(error, _PASSING) else logging.WARNING
            _LOG.log(level, "%s: offsets were not committed: %r", self.app.conf.id, error)
            return False
        return True

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Nothing: it would miss the events of Faust's streams, and there are none."""


def _positions(consumer: Any, wanted: Iterable[TP]) -> dict[TP, int]:
    """Where reading goes on, of partitions for which that is known."""
    subscription = consumer._subscription.subscription  # noqa: SLF001  (its `position` may wait)
    assignment = None if subscription is None else subscription.assignment
    if assignment is None or not assignment.active:
        return {}
    states = {tp: assignment.state_value(tp) for tp in wanted if tp in assignment.tps}
    return {tp: state.position for tp, state in states.items() if state.has_valid_position}


class Consumer(stock.Consumer):
    """A consumer that fills an inbox, and commits what the agent settled.

    Attributes
    ----------
    inbox
        Where records wait for the agent.
    work
        Who takes them; None until it began.
    rebalance_began
        When the last rebalance was noticed, by the monotonic clock [s].
    """

    RebalanceListener = _Listener
    _thread: _Thread

    def __init__(
        self, transport: Any, callback: ConsumerCallback, *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(transport, callback, *args, **kwargs)
        self.inbox = Inbox()
        self.work: Work | None = None
        self.rebalance_began = 0.0
        self.term_seconds = TERM_SHARE * self.app.conf.broker_rebalance_timeout
        self._committing = asyncio.Lock()

    def _new_consumer_thread(self) -> _Thread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    @property
    def coordinates(self) -> bool:
        """Whether the client still takes part in its group; one that has not started will.

        An unforeseen error ends aiokafka's coordinator task with a log line, and the consumer would
        never get a partition again.
        """
        coordinator = getattr(self._thread._consumer, "_coordinator", None)  # noqa: SLF001  (no public way)
        task = getattr(coordinator, "_coordination_task", None)
        return task is None or not task.done()

    @property
    def late(self) -> bool:
        """Whether a rebalance has waited for us almost as long as it gives its members."""
        waited = time.monotonic() - self.rebalance_began
        return bool(self.app.rebalancing) and waited > self.term_seconds

    def sources(self) -> set[TP]:
        """Partitions that this worker has, without those of changelogs."""
        if self._thread._consumer is None:  # noqa: SLF001  (no public way)
            return set()  # not started yet: `assignment` raises
        return self._inputs(self.assignment())

    def stop_flow(self) -> None:
        """Let nothing more in."""
        super().stop_flow()
        self._close()

    def _close(self) -> None:
        self.inbox.close()
        if self.work is not None:
            self.work.pause()

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Close the inbox, whether or not Faust stops the flow (it does not without partitions)."""
        self._close()
        if self.work is not None:
            self.work.revoked(self._inputs(revoked))
        await super().on_partitions_revoked(revoked)
        self.inbox.settled.clear()

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Note what is ours now."""
        if self.work is not None:
            self.work.assigned(self._inputs(assigned))
        await super().on_partitions_assigned(assigned, generation_id)

    def _inputs(self, partitions: set[TP]) -> set[TP]:
        return {tp for tp in partitions if not self._is_changelog_tp(tp)}

    async def perform_seek(self) -> None:
        """Go back to the committed offsets: what was fetched after them comes again."""
        epoch, committed = await self._thread.rewind()
        self.inbox.rewound(epoch)
        self._committed_offset.clear()
        self._committed_offset.update(committed)

    async def wait_empty(self) -> None:
        """Wait until the batch in hand is finished, and commit."""
        began = time.monotonic()
        while self.inbox.in_hand.locked():
            if self.app.crashed:
                return  # what is in hand will not be finished
            if time.monotonic() - began > self.term_seconds:
                await self.crash(
                    LostRecords(
                        "a batch takes so long that others may have its partition by now; it is "
                        "left to them. Nothing of it is committed."
                    )
                )
                return
            await asyncio.sleep(_LOOK_SECONDS)
        if self.work is not None:
            self.work.forget()
        await self.commit()

    async def on_task_error(self, exc: BaseException) -> None:
        """Do nothing: the application ends, as by a kill.

        Faust would commit first (``transport/consumer.py:1153-1155``). While brokers are away that
        waits for them, and an agent that failed for that very reason would be dead unnoticed.
        """

    async def commit(self, *_args: Any, **_kwargs: Any) -> bool:
        """Commit what is settled, after a commit that is under way."""
        async with self._committing:
            return await self._commit_settled()

    async def _commit_settled(self) -> bool:
        known = self._committed_offset
        due = {tp: one for tp, one in self.inbox.settled.items() if one != known[tp]}
        if due:  # else there may be no client yet
            ours = self.assignment()
            due = {tp: offset for tp, offset in due.items() if tp in ours}
        if not due or not await self._commit(due):
            return False
        known.update(due)
        if self.work is not None:
            self.work.committed()
        return True

    async def _drain_messages(self, fetcher: Any) -> None:
        stopped: Callable[[], bool] = fetcher._stopped.is_set  # noqa: SLF001  (as in stock)
        try:
            while not (self._stopped.is_set() or stopped()):
                await self._drain()
        except (asyncio.CancelledError, ConsumerStoppedError):
            if not self.app.should_stop:
                raise
        except KafkaError as error:
            # among others what ended the client's coordination, such as a cluster that has just
            # come back and names no brokers yet: only a new client can go on
            raise ReadError(
                f"{self.app.conf.id}: cannot go on reading: {error!r}. Nothing is lost; the next "
                "start reads on from the last commit."
            ) from error

    async def _drain(self) -> None:
        """Fetch once, when there is something to read and room for it."""
        active = self.sources() & self._get_active_partitions()
        self.inbox.room.clear()
        numbers = {tp.partition for tp in active}
        full = {number for number in numbers if not self.inbox.has_room(number, len(numbers))}
        wanted = {tp for tp in active if tp.partition not in full}
        if not self.flow_active:
            await self.wait(self.can_resume_flow.wait())
        elif not active:
            await self.sleep(_PAUSED_SECONDS)
        elif not wanted:
            await self.wait_first(self.inbox.room.wait(), self.suspend_flow.wait())
        else:
            seconds = _SHORT_SECONDS if full else _FETCH_SECONDS
            await self._deliver(await self._thread.fetch(wanted, seconds))

    async def _deliver(self, fetched: Fetched) -> None:
        """Put what a fetch brought into the inbox, from where `batches` takes it.

        Records that were fetched before the last rewind, or while the inbox is closed, are put
        back: they come again.
        """
        inbox, back = self.inbox, {}
        for tp, records in fetched.records.items():
            if inbox.is_open and fetched.epoch == inbox.epoch:
                inbox.put(Chunk(tp, records))
            else:
                back[tp] = records[0].offset
        if not fetched.records:
            self._settle_markers(fetched)
        if back:
            await self._thread.put_back(fetched.epoch, back)

    def _settle_markers(self, fetched: Fetched) -> None:
        """Settle what is no record: the end of a transaction would count as lag for ever."""
        inbox = self.inbox
        if not (inbox.is_open and inbox.idle and fetched.epoch == inbox.epoch):
            return
        for tp, position in fetched.positions.items():
            known = inbox.settled.get(tp, self._committed_offset[tp] or 0)
            if position > known:
                inbox.settle(tp, position)


class Transport(stock.Transport):
    """The transport of our Faust applications."""

    Consumer = Consumer
    Producer = Producer


TRANSPORTS.aliases[SCHEME] = f"{__name__}:Transport"

"""How far a group is behind, asked of the brokers over a connection of its own.

A consumer that has died inside does not notice new records, and Faust only writes a line to its log
("Aiokafka has not sent fetch request", ``transport/drivers/aiokafka.py:883-947``): its own idea of
the lag stays at zero. So whoever watches over the process must not rely on it.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from faust.types import TP

from ampelstream.runtime.safefaust.failures import TopicError
from ampelstream.runtime.safefaust.observing import Observer

__all__ = ["LagWatch"]

_LOG = logging.getLogger(__name__)
_ANSWER_SECONDS = 10.0
"""Brokers that take longer to say where a group is count as away [s]; aiokafka waits for 40 s."""
_SURE = 3
"""So often in a row brokers have to say that a topic is shorter than it was."""


class LagWatch:
    """Reports the lag of the partitions that this worker has.

    Parameters
    ----------
    name
        Of the step.
    options
        Connection, as keyword arguments of aiokafka.
    group
        Consumer group.
    assigned
        Gives the source partitions of this worker now.
    observer
        Is notified of the lag.
    ours
        Whether the topics are ours, so that one whose end lies before what the group has committed
        is a fault; others may make theirs anew, which is then read from its beginning.
    """

    def __init__(
        self,
        name: str,
        options: Callable[[], dict[str, Any]],
        group: str,
        assigned: Callable[[], set[TP]],
        observer: Observer,
        *,
        ours: bool = True,
        every_seconds: float = 5.0,
    ) -> None:
        self._name = name
        self._options = options
        self._group = group
        self._assigned = assigned
        self._observer = observer
        self._ours = ours
        self._every_seconds = every_seconds
        self._beyond: Counter[TP] = Counter()

    async def run(self) -> None:
        """Ask again and again, until cancelled.

        Raises
        ------
        TopicError
            A topic of ours was made anew, or brokers lost records of it.
        """
        while True:
            try:
                await self._watch()
            except (KafkaError, OSError, TimeoutError) as error:
                # brokers that are away are no fault of ours: nothing waits that could be read, and
                # a rebalance that cannot end without them is no hang
                _LOG.debug("%s: the lag is not known: %r", self._name, error)
                self._observer.unanswered(self._name)
                self._observer.progress(self._name)
            await asyncio.sleep(self._every_seconds)

    async def _watch(self) -> None:
        ends = AIOKafkaConsumer(**self._options())
        admin = AIOKafkaAdminClient(**self._options())
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await ends.start()
                await admin.start()
            while True:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    await self._look(ends, admin)
                await asyncio.sleep(self._every_seconds)
        finally:
            await ends.stop()
            await admin.close()

    async def _look(self, ends: AIOKafkaConsumer, admin: AIOKafkaAdminClient) -> None:
        # first, and also without partitions: whether the brokers are there at all
        committed = await admin.list_consumer_group_offsets(self._group)
        ours = [TopicPartition(tp.topic, tp.partition) for tp in self._assigned()]
        if not ours:
            self._observer.lag(self._name, {})
            return
        last = await ends.end_offsets(ours)
        first = await ends.beginning_offsets(ours)
        behind: dict[TP, int] = {}
        for tp in ours:
            done = committed.get(tp)
            at = done.offset if done is not None and done.offset >= 0 else first[tp]
            behind[TP(tp.topic, tp.partition)] = max(0, last[tp] - max(at, first[tp]))
        self._observer.lag(self._name, behind)
        beyond = {
            tp: one.offset for tp, one in committed.items() if one.offset > last.get(tp, one.offset)
        }
        self._check(beyond, last)

    def _check(
        self, beyond: Mapping[TopicPartition, int], last: Mapping[TopicPartition, int]
    ) -> None:
        """End the work where brokers say again and again that a topic is shorter than it was.

        Once is not enough: a replica that has just become the leader may not know its end yet.
        """
        seen = self._beyond
        self._beyond = Counter({TP(*tp): seen[TP(*tp)] + 1 for tp in beyond})
        for tp, offset in beyond.items():
            if self._ours and self._beyond[TP(*tp)] >= _SURE:
                raise TopicError(
                    f"{tp.topic}[{tp.partition}] ends at {last[tp]}, and {self._group} has read up "
                    f"to {offset}: the topic was deleted and made anew, or brokers lost records. "
                    "Stop the workers, set the group back (kafka-consumer-groups.sh --group "
                    f"{self._group} --topic {tp.topic} --reset-offsets --to-earliest --execute), "
                    "and start them: it is read from its oldest record, and the state stays"
                )

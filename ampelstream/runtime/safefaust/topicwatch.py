"""Topics that change underneath: deleted, made anew, or given more partitions while we work.

Faust and its client notice none of it: a consumer of a topic that was made anew begins at its
beginning, one of a deleted topic waits for ever, and records go to new partitions whose state is
nowhere. Whoever works with such topics must be told which one it is, and a new start does not help.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from enum import Enum, auto
from typing import Any, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from ampelstream.runtime.safefaust.failures import ReadError, TopicError

__all__ = ["Change", "Remedy", "TopicWatch"]

_LOG = logging.getLogger(__name__)
_ANSWER_SECONDS = 15.0
_SURE = 3
"""Brokers that have just started may not know everything yet: so often they have to say it."""
Ids = Callable[[], Awaitable[Mapping[str, str]]]


class Change(Enum):
    """What may happen to a topic."""

    DELETED = auto()
    MADE_ANEW = auto()
    GROWN = auto()


Remedy = Callable[[str, Change], str]
"""Says what to do about a topic and what happened to it, as a sentence without its full stop."""


class _Fault(NamedTuple):
    topic: str
    change: Change
    text: str


class TopicWatch:
    """Looks now and then whether topics are as they were when the work began.

    Parameters
    ----------
    options
        Gives the connection, as keyword arguments of aiokafka.
    expected
        For each topic how many partitions it must have; None where that may change.
    remedy
        For the message.
    ids
        Asks the brokers for the ids of these topics, by which one that was made anew is told from
        the old one; None where only its absence and its partitions can be seen.
    every_seconds, again_seconds
        Between two looks, and between those that make sure of what a look has shown [s].
    """

    def __init__(
        self,
        options: Callable[[], dict[str, Any]],
        expected: Mapping[str, int | None],
        remedy: Remedy,
        *,
        ids: Ids | None = None,
        every_seconds: float = 30.0,
        again_seconds: float = 3.0,
    ) -> None:
        self._options = options
        self._expected = expected
        self._remedy = remedy
        self._ids = ids
        self._first: dict[str, str] = {}
        self._every_seconds = every_seconds
        self._again_seconds = again_seconds
        self._seen: Counter[_Fault] = Counter()

    async def run(self) -> None:
        """Look again and again, until cancelled.

        Raises
        ------
        TopicError
            A topic has changed.
        """
        while True:
            faults: list[_Fault] = []
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    faults = await self._faults()
            except (KafkaError, OSError, TimeoutError, ReadError) as error:
                _LOG.debug("the topics are not known: %r", error)
            else:
                self._check(faults)
            await asyncio.sleep(self._again_seconds if faults else self._every_seconds)

    def _check(self, faults: list[_Fault]) -> None:
        self._seen = Counter({fault: self._seen[fault] + 1 for fault in faults})
        sure = [fault for fault, times in self._seen.items() if times >= _SURE]
        if sure:
            raise TopicError(self._in_words(sure))

    def _in_words(self, faults: list[_Fault]) -> str:
        """What happened and what to do; topics for which that is the same are named together."""
        texts: dict[str, list[str]] = {}
        for fault in faults:
            texts.setdefault(self._remedy(fault.topic, fault.change), []).append(fault.text)
        return ". ".join(f"{'; '.join(told)}: {remedy}" for remedy, told in texts.items())

    async def _faults(self) -> list[_Fault]:
        """What is not as it was."""
        client = AIOKafkaAdminClient(**self._options())
        try:
            await client.start()
            # all topics, not these: to ask for one that is missing could create it
            listed = await client.describe_topics()
        finally:
            await client.close()
        found = {
            one["topic"]: len(one["partitions"])
            for one in listed
            if not one["error_code"] and one["partitions"]
        }
        silent = {one["topic"] for one in listed} - found.keys()  # no answer about these now
        ids = {} if self._ids is None else await self._ids()
        return [*self._changed(found, silent), *self._made_anew(ids)]

    def _changed(self, found: Mapping[str, int], silent: set[str]) -> Iterator[_Fault]:
        for topic, partitions in sorted(self._expected.items()):
            if topic in silent:
                continue
            if topic not in found:
                yield _Fault(topic, Change.DELETED, f"topic {topic} does not exist any longer")
            elif partitions is not None and found[topic] != partitions:
                text = f"topic {topic} has {found[topic]} partitions, and had {partitions}"
                yield _Fault(topic, Change.GROWN, text)

    def _made_anew(self, ids: Mapping[str, str]) -> Iterator[_Fault]:
        for topic, now in sorted(ids.items()):
            if now and self._first.setdefault(topic, now) != now:
                yield _Fault(topic, Change.MADE_ANEW, f"topic {topic} was deleted and made anew")

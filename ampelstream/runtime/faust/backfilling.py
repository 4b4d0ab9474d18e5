"""The pace and the end of a backfill.

The alerts are read again by applications of their own (``app.ingest_app`` with ``until``), which
share them among the workers as those of new alerts do. What is accepted lies on one topic with what
comes of new alerts; so that these do not wait behind a whole night, there is never more of it than
the objects step takes in within a second or so (`Pace`). When all have been read, every partition
of the objects is given the news, behind the detections that came of it: every worker sees the end,
and whoever sees it first notes it.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from faust.types import TP

from ampelstream.errors import SourceError
from ampelstream.model.announcement import Backfilled
from ampelstream.model.streams import Output
from ampelstream.runtime.faust.admission import LOOK_SECONDS
from ampelstream.runtime.faust.app import Shared
from ampelstream.runtime.faust.inputs import Input, backfill_of
from ampelstream.runtime.kafka.clients import open_admin, open_consumer, reaching
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.names import OBJECTS, TopicNames
from ampelstream.runtime.kafka.retained import extent, what_is_left
from ampelstream.runtime.kafka.topologylog import BackfillPlan
from ampelstream.runtime.service.log import incident

__all__ = ["Pace", "Reread", "all_read", "rereads"]

_ROOM = 300
"""Detections that may wait for the objects step when more alerts are read again."""
_LOOK_AGAIN_SECONDS = 0.1

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reread:
    """Alerts that are to be read again.

    Attributes
    ----------
    source
        What reads them.
    until
        Offsets behind the last of them.
    """

    source: Input
    until: Mapping[TP, int]


async def rereads(alerts: Iterable[Input], plan: BackfillPlan) -> list[Reread]:
    """What is to be read again: all that was committed when workers with other filters had stopped.

    A cluster that is away is waited for; what was committed there meanwhile is read again in vain.
    An input that is not in the plan is read by nobody again: its alerts are new to the topology.
    """
    return [
        Reread(backfill_of(one, plan.id), await _handled(one))
        for one in alerts
        if one.group in plan.groups
    ]


async def _handled(source: Input) -> dict[TP, int]:
    while True:
        try:
            done = await _committed(source, source.group)
            there = await extent(source.connection, source.reads)
        except SourceError as error:  # who reads says that it is away
            _LOG.debug("what is to be read again is not known: %s", error)
            await asyncio.sleep(LOOK_SECONDS)
        else:
            # where nothing is committed (any longer) the alerts are read as new ones, too
            return {TP(*tp): done.get(TP(*tp), end) for tp, (_, end) in there.items()}


async def all_read(
    shared: Shared, parts: Sequence[Reread], plan: BackfillPlan, goes_on: Callable[[], bool]
) -> None:
    """Wait until all has been read again, by whichever worker, and say so to the objects.

    Who does not read all that the plan names waits until another has said so.

    Parameters
    ----------
    shared
        Where it is said.
    parts
        What this worker reads.
    plan
        The backfill.
    goes_on
        Whether nobody has said so yet.
    """
    whole = len(parts) == len(plan.groups)
    if not whole:
        text = "this worker does not read all alerts of the backfill: another has to see its end"
        incident(_LOG, logging.WARNING, "backfill_in_part", text, groups=plan.groups)
    while goes_on():
        if whole and await _are_read(parts):
            mark = await _end_of(plan, parts)
            await shared.outbox.send(shared.encode([Output("detections", "backfilled", mark)]))
            return
        await asyncio.sleep(LOOK_SECONDS)


async def _end_of(plan: BackfillPlan, parts: Iterable[Reread]) -> Backfilled:
    """The news that all has been read again, and of what there was no longer.

    As of the end: what retention removed while the rest was read may not have been read again.
    """
    while True:
        begins: list[float] = []
        held: dict[str, tuple[str, ...]] = {}
        try:
            for one in (part.source for part in parts):
                found = await what_is_left(one.connection, one.reads)
                begins += [] if found.since_jd is None else [found.since_jd]
                known = held.get(one.expression, ())  # two clusters may have the same
                held[one.expression] = tuple(sorted({*known, *found.topics}))
        except SourceError as error:
            _LOG.debug("how old what is left is cannot be known now: %s", error)
            await asyncio.sleep(LOOK_SECONDS)
        else:
            return Backfilled(plan.id, max(begins, default=None), held)


class Pace:
    """Lets alerts be read again only where little waits for the objects step.

    Parameters
    ----------
    connection
        Our cluster.
    names
        Topics of the topology.
    """

    def __init__(self, connection: Connection, names: TopicNames) -> None:
        self._connection = connection
        self._names = names
        self._open = AsyncExitStack()
        self._clients: tuple[Any, Any] | None = None
        self._lock = asyncio.Lock()

    async def wait(self, _records: Sequence[Any]) -> None:
        """Wait until there is room; also while brokers are away."""
        while True:
            try:
                async with self._lock:
                    if await self._behind() < _ROOM:
                        return
            except SourceError as error:
                _LOG.debug("how much waits for the objects step is not known: %s", error)
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    async def close(self) -> None:
        """Disconnect."""
        await self._open.aclose()

    async def _behind(self) -> int:
        """Records that the objects step has not committed yet."""
        if self._clients is None:
            consumer = await self._open.enter_async_context(open_consumer(self._connection))
            admin = await self._open.enter_async_context(open_admin(self._connection))
            self._clients = consumer, admin
        consumer, admin = self._clients
        with reaching(self._connection):
            done = await admin.list_consumer_group_offsets(self._names.app(OBJECTS))
            places = [tp for tp in done if tp.topic == self._names.detections]
            ends = await consumer.end_offsets(places) if places else {}
        return sum(max(0, end - done[tp].offset) for tp, end in ends.items())


async def _are_read(parts: Sequence[Reread]) -> bool:
    try:
        return all([await _is_read(one) for one in parts])
    except SourceError as error:  # brokers that are away come back; who reads says that they are
        _LOG.debug("how far the backfill is is not known: %s", error)
        return False


async def _is_read(part: Reread) -> bool:
    source = part.source
    done = await _committed(source, source.group)
    left = {tp for tp, until in part.until.items() if done.get(tp, 0) < until}
    if not left:
        return True
    # retention may remove what is left, and a topic of a pattern be deleted or made anew
    there = await extent(source.connection, source.reads)
    ranges = {TP(*tp): offsets for tp, offsets in there.items()}
    return not any(
        max(ranges[tp][0], done.get(tp, 0)) < min(ranges[tp][1], part.until[tp])
        for tp in left & ranges.keys()
    )


async def _committed(source: Input, group: str) -> dict[TP, int]:
    async with open_admin(source.connection) as client:
        found = await client.list_consumer_group_offsets(group)
    return {TP(tp.topic, tp.partition): one.offset for tp, one in found.items() if one.offset >= 0}

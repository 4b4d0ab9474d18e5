"""The end of a backfill: seen by every worker, written by whoever sees it first.

The alerts are read again by applications of their own (``app.ingest_app`` with ``until``), which
share them among the workers as those of new alerts do. When all have been, every partition of the
objects is given the news, behind the detections that came of it.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from faust.types import TP

from ampelstream.errors import SourceError
from ampelstream.model.announcement import Backfilled
from ampelstream.model.streams import Output
from ampelstream.runtime.faust.admission import LOOK_SECONDS
from ampelstream.runtime.faust.app import Shared
from ampelstream.runtime.faust.inputs import Input, backfill_of
from ampelstream.runtime.kafka.clients import open_admin

__all__ = ["Reread", "all_read", "rereads"]

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


async def rereads(alerts: Iterable[Input], backfill: str) -> list[Reread]:
    """What is to be read again: all that was committed when workers with other filters had stopped.

    Raises
    ------
    SourceError
        A cluster cannot be reached.
    """
    return [Reread(backfill_of(one, backfill), await _committed(one, one.group)) for one in alerts]


async def all_read(shared: Shared, parts: Sequence[Reread], backfill: str) -> None:
    """Wait until all has been read again, by whichever worker, and say so to the objects."""
    while not await _are_read(parts):  # noqa: ASYNC110  (brokers are asked, nobody tells us)
        await asyncio.sleep(LOOK_SECONDS)
    mark = Backfilled(backfill)
    await shared.outbox.send(shared.encode([Output("detections", "backfilled", mark)]))


async def _are_read(parts: Sequence[Reread]) -> bool:
    try:
        return all([await _is_read(one) for one in parts])
    except SourceError as error:  # brokers that are away come back; who reads says that they are
        _LOG.debug("how far the backfill is is not known: %s", error)
        return False


async def _is_read(part: Reread) -> bool:
    done = await _committed(part.source, part.source.group)
    return all(done.get(tp, 0) >= offset for tp, offset in part.until.items())


async def _committed(source: Input, group: str) -> dict[TP, int]:
    async with open_admin(source.connection) as client:
        found = await client.list_consumer_group_offsets(group)
    return {TP(tp.topic, tp.partition): one.offset for tp, one in found.items() if one.offset >= 0}

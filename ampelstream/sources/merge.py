"""Several sources as one stream, by event time."""

import heapq
from collections.abc import Iterable, Iterator

from ampelstream.model.record import SourceRecord
from ampelstream.sources.base import After, Source
from ampelstream.sources.eventtime import event_time

__all__ = ["merge"]


def _timed(
    number: int, records: Iterator[SourceRecord]
) -> Iterator[tuple[float, int, int, SourceRecord]]:
    """Records of one source with rising times: one that is early waits for nobody."""
    latest = float("-inf")
    for count, record in enumerate(records):
        time = event_time(record)
        if time is not None and time > latest:
            latest = time
        yield latest, number, count, record


def merge(sources: Iterable[Source], after: After) -> Iterator[SourceRecord]:
    """Merge sources by the event time of their next records.

    Within a source the order stays. The same sources give the same order, always; at equal times
    the earlier source goes first.

    Parameters
    ----------
    sources
        What to merge.
    after
        Offsets that have been handled.
    """
    inputs = list(sources)
    if len(inputs) == 1:  # nothing to compare with: spare the look at the time
        yield from inputs[0].read(after)
        return
    streams = [_timed(number, source.read(after)) for number, source in enumerate(inputs)]
    for *_, record in heapq.merge(*streams):
        yield record

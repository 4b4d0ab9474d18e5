"""Replaying at a chosen multiple of the speed at which things happened."""

import time
from collections.abc import Callable, Iterator

from ampelstream.model.record import SourceRecord
from ampelstream.sources import event_time

__all__ = ["paced"]

_DAY_SECONDS = 86400.0


def paced(
    records: Iterator[SourceRecord],
    speed: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[SourceRecord]:
    """Hold each record back until its time has come.

    Parameters
    ----------
    records
        In the order of event time, roughly; one that is late is not held back.
    speed
        Seconds of event time per second of ours.
    clock, sleep
        Ours [s].
    """
    began = clock()
    first: float | None = None
    for record in records:
        jd = event_time(record)
        if jd is not None:
            first = jd if first is None else first
            wait = (jd - first) * _DAY_SECONDS / speed - (clock() - began)
            if wait > 0:
                sleep(wait)
        yield record

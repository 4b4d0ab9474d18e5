"""Following inputs: what is new is handled as it appears, until somebody says stop."""

import threading
from collections.abc import Callable, Sequence

from ampelstream.runtime.embedded.engine import Engine, next_batch
from ampelstream.sources import Source, merge

__all__ = ["follow"]


def follow(
    engine: Engine,
    sources: Sequence[Source],
    stop: threading.Event,
    *,
    poll_seconds: float = 1.0,
    once: bool = False,
    handled: Callable[[int], None] = lambda _count: None,
) -> int:
    """Handle what is there, then what comes.

    Every pass asks the sources again and leaves out what the state has: a restart goes on where the
    last commit was. What a pass found is committed before the next wait, so that a candidate is
    announced within one poll of its alert.

    Parameters
    ----------
    engine
        Topology and state.
    sources
        Directories, files or topics to follow.
    stop
        Set by whoever wants it to end; the batch in hand is finished and committed.
    poll_seconds
        How long to wait when nothing new was found [s].
    once
        End when there is nothing new, instead of waiting.
    handled
        Given the number of records of each pass.

    Returns
    -------
    int
        Messages that a sink has not taken.
    """
    offsets = engine.progress.offsets()
    while not stop.is_set():
        count = 0
        records = iter(merge(sources, offsets))
        while batch := next_batch(records):
            engine.process(batch)
            for record in batch:
                position = record.read_at
                offsets[(position.source, position.partition)] = position.offset
            count += len(batch)
            if stop.is_set():
                break
        engine.commit()
        handled(count)
        if once and not count:
            break
        if not count:
            stop.wait(poll_seconds)
    return engine.finish()

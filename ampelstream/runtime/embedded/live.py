"""Following inputs: what is new is handled as it appears, until somebody says stop."""

import threading
from collections.abc import Callable, Sequence
from itertools import islice

from ampelstream.runtime.embedded.engine import BATCH, Engine
from ampelstream.runtime.embedded.rereading import Rereading
from ampelstream.sources import Source, merge

__all__ = ["follow"]

_SLICE_SECONDS = 0.2
"""How long background work goes on at a time [s]: new records wait for it."""


def follow(
    engine: Engine,
    sources: Sequence[Source],
    stop: threading.Event,
    *,
    poll_seconds: float = 1.0,
    once: bool = False,
    reopen: Callable[[], Sequence[Source]] | None = None,
    handled: Callable[[int], None] = lambda _count: None,
) -> int:
    """Handle what is there, then what comes.

    Every pass asks the sources again and leaves out what the state has: a restart goes on where the
    last commit was. What a pass found is committed before the next wait, so that a candidate is
    announced within one poll of its alert. Between batches there is a slice of what no record asks
    for: sweeps of events, and what follows from a changed topology.

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
    reopen
        Opens the inputs anew, for a backfill; by default ``sources`` serve once more.
    handled
        Given the number of records of each pass.

    Returns
    -------
    int
        Messages that a sink has not taken.
    """
    offsets = engine.progress.offsets()
    rereading = Rereading(engine, reopen or (lambda: sources), batch=BATCH)
    while not stop.is_set():
        count = 0
        records = iter(merge(sources, offsets))
        while batch := list(islice(records, BATCH)):
            engine.process(batch)
            for record in batch:
                position = record.read_at
                offsets[(position.source, position.partition)] = position.offset
            count += len(batch)
            if stop.is_set():
                break
            _background(engine, rereading)
        engine.commit()
        handled(count)
        if _background(engine, rereading) or count:
            continue
        if once:
            break
        stop.wait(poll_seconds)
    return engine.finish()


def _background(engine: Engine, rereading: Rereading) -> bool:
    """Do a slice of what no new record asks for; whether there was something to do."""
    if engine.objects.pending:
        engine.advance(_SLICE_SECONDS)
        return True
    if rereading.pending:
        rereading.step()
        return True
    return False

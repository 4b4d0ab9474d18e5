"""Following inputs: what is new is handled as it appears, until somebody says stop."""

import threading
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Protocol

from ampelstream.runtime.embedded.engine import BATCH, Engine
from ampelstream.sources import Source, merge

__all__ = ["Beat", "follow"]

_IDLE_SECONDS = 1.0
"""Longest time without a beat while nothing comes [s]."""


class Beat(Protocol):
    """Called after every batch and pass, and while nothing comes."""

    def __call__(self, offsets: Mapping[tuple[str, int], int], *, pass_done: bool = False) -> None:
        """Take note of how far it has come, and whether a pass is done."""
        ...


def _silent(offsets: Mapping[tuple[str, int], int], *, pass_done: bool = False) -> None:
    pass


def follow(
    engine: Engine,
    sources: Sequence[Source],
    stop: threading.Event,
    *,
    poll_seconds: float = 1.0,
    once: bool = False,
    beat: Beat = _silent,
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
    beat
        Told how far it has come, such as `ampelstream.runtime.embedded.reporter.Reporter.beat`.

    Returns
    -------
    int
        Messages that a sink has not taken.
    """
    offsets = engine.progress.offsets()
    while not stop.is_set():
        count = 0
        records = iter(merge(sources, offsets))
        while batch := list(islice(records, BATCH)):
            engine.process(batch)
            for record in batch:
                position = record.read_at
                offsets[(position.source, position.partition)] = position.offset
            count += len(batch)
            beat(offsets)
            if stop.is_set():
                break
        engine.commit()
        beat(offsets, pass_done=True)
        if once and not count:
            break
        left = 0.0 if count else poll_seconds
        while left > 0 and not stop.wait(min(left, _IDLE_SECONDS)):
            left -= _IDLE_SECONDS
            beat(offsets)
    return engine.finish()

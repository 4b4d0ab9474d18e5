"""Following inputs: what is new is handled as it appears, until somebody says stop."""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from ampelstream.errors import UnreachableError
from ampelstream.model.record import SourceRecord
from ampelstream.runtime.embedded.engine import BATCH, Engine, next_batch
from ampelstream.runtime.embedded.rereading import Rereading
from ampelstream.runtime.service.log import incident
from ampelstream.sources import Source, Waiting, merge
from ampelstream.sources.merge import After, SourceAround

__all__ = ["Beat", "Left", "follow"]

_LOG = logging.getLogger(__name__)
_RETRY_SECONDS = 3.0
"""Between two tries to reach brokers that are away [s]."""
_IDLE_SECONDS = 1.0
"""Longest time without a beat while nothing comes [s]."""

Left = Callable[[], Mapping[str, int | None]]
"""Says, where it is asked, what the inputs have that is not handled yet: how many ``files`` and
``records``, None where that cannot be known."""


class Beat(Protocol):
    """Called before and after each pass, and while nothing comes."""

    def __call__(self, left: Left, *, pass_done: bool = False) -> None:
        """Take note that the work goes on, and whether a pass is done."""
        ...


def _silent(left: Left, *, pass_done: bool = False) -> None:
    pass


class _Away:
    """Clusters and schema registries that do not answer: said once of each, and when it is over."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._inputs: dict[str, set[str]] = {}

    def note(self, error: UnreachableError, name: str) -> None:
        """Take note that an input could not be read."""
        waiting = self._inputs.setdefault(error.cluster, set())
        if not waiting:
            self._since[error.cluster] = time.monotonic()
            text = f"waiting: {error}"
            incident(_LOG, logging.WARNING, "broker_away", text, cluster=error.cluster)
        waiting.add(name)

    def answered(self, name: str) -> None:
        """Take note that it can be read again."""
        for cluster, waiting in self._inputs.items():
            if name in waiting:
                waiting.remove(name)
                if not waiting:
                    seconds = round(time.monotonic() - self._since[cluster])
                    facts = {"cluster": cluster, "seconds": seconds}
                    text = f"{cluster or 'the cluster'} answers again"
                    incident(_LOG, logging.INFO, "broker_back", text, **facts)


class _Patient(SourceAround[Source]):
    """A source whose brokers or registry may be away: it gives nothing then, and is tried again.

    So the others go on.
    """

    def __init__(self, source: Source, away: _Away) -> None:
        super().__init__(source)
        self._away = away
        self._is_away = False
        self._again_at = -math.inf

    def waiting(self, after: After) -> Waiting:
        return self._source.waiting(after)

    def read(self, after: After) -> Iterator[SourceRecord]:
        if time.monotonic() < self._again_at:
            return
        try:
            for record in self._source.read(after):
                self._answered()
                yield record
        except UnreachableError as error:
            self._again_at = time.monotonic() + _RETRY_SECONDS
            self._is_away = True
            self._away.note(error, self.name)
        else:
            self._answered()

    def _answered(self) -> None:
        if self._is_away:
            self._is_away = False
            self._away.answered(self.name)


def _left(sources: Iterable[Source], after: After) -> dict[str, int | None]:
    """What lies behind the offsets, summed over sources that count the same."""
    found: dict[str, int | None] = {}
    for what, number in (source.waiting(after) for source in sources):
        before = found.get(what, 0)
        found[what] = None if before is None or number is None else before + number
    return found


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
    beat: Beat = _silent,
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
        Set by whoever wants it to end; what is in hand is finished and committed.
    poll_seconds
        How long to wait when nothing new was found [s].
    once
        End when there is nothing new, instead of waiting; also where no broker answers, which is
        waited for otherwise.
    reopen
        Opens the inputs anew, for a backfill; by default ``sources`` serve once more.
    beat
        Told that it goes on, such as `ampelstream.runtime.embedded.reporter.Reporter.beat`.

    Returns
    -------
    int
        Messages that a sink has not taken.

    Raises
    ------
    SourceError
        An input is not there, or refuses; with ``once`` also where no broker answers.
    """
    engine.catch_up(stop.is_set)
    offsets = engine.progress.offsets()
    followed = [source.following() for source in sources]
    if not once:
        away = _Away()
        followed = [_Patient(source, away) for source in followed]
    rereading = Rereading(engine, reopen or (lambda: sources), batch=BATCH)

    def left() -> dict[str, int | None]:
        return _left(followed, offsets)

    while not stop.is_set():
        count = 0
        beat(left)
        records = iter(merge(followed, offsets, engine.schemas))
        while batch := next_batch(records):
            engine.process(batch, stop.is_set)
            for record in batch:
                position = record.read_at
                offsets[(position.source, position.partition)] = position.offset
            count += len(batch)
            if stop.is_set():
                break
            _background(engine, rereading, waits=not once)
        engine.commit()
        beat(left, pass_done=True)
        if _background(engine, rereading, waits=not once) or count:
            continue
        if once:
            break
        idle = poll_seconds
        while idle > 0 and not stop.wait(min(idle, _IDLE_SECONDS)):
            idle -= _IDLE_SECONDS
            beat(left)
    return engine.finish()


def _background(engine: Engine, rereading: Rereading, *, waits: bool) -> bool:
    """Do a slice of what no new record asks for; whether there was something to do."""
    if engine.objects.pending:
        engine.advance(_SLICE_SECONDS)
        return True
    if rereading.pending:
        try:
            # at the end there are objects to bring over; what is away may be there at the next poll
            return bool(rereading.step()) or not rereading.pending
        except UnreachableError as error:
            if not waits:
                raise
            _LOG.debug("nothing can be read again now: %s", error)  # who reads what is new says so
    return False

"""Reading what was read before once more, for filters that have changed; beside what is new.

How far it has come is part of the state, so that a restart goes on there. What is read again is
what the engine has handled; it ends where that ends.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache

from ampelstream.errors import UnreachableError
from ampelstream.model.record import SourceRecord
from ampelstream.runtime.embedded.engine import Engine, next_batch
from ampelstream.sources import Source, merge

__all__ = ["Rereading"]


class Rereading:
    """A backfill, step by step.

    Parameters
    ----------
    engine
        Topology and state; says whether it waits for one.
    reopen
        Opens the inputs anew: what follows them keeps its own position.
    batch
        Records of a step.
    """

    def __init__(
        self, engine: Engine, reopen: Callable[[], Sequence[Source]], *, batch: int
    ) -> None:
        self._engine = engine
        self._reopen = cache(reopen)  # once, however often it is begun
        self._batch = batch
        self._records: Iterator[SourceRecord] | None = None

    @property
    def pending(self) -> bool:
        """Whether there is something to read again."""
        return self._engine.objects.awaits_backfill

    def step(self) -> int:
        """Filter the next records anew; give their number, and note the end when it is reached.

        Raises
        ------
        UnreachableError
            No broker answers now; a later call goes on.
        """
        if self._records is None:
            self._records = self._handled_before()
        try:
            batch = next_batch(self._records, self._batch)
        except UnreachableError:
            self._records = None  # what was broken off has no end: it is read on from where it was
            raise
        if batch:
            self._engine.refilter(batch)
        else:
            self._records = None
            self._engine.refiltered()
        return len(batch)

    def _handled_before(self) -> Iterator[SourceRecord]:
        progress = self._engine.progress
        handled, again = progress.offsets(), progress.offsets(again=True)
        for record in merge(self._reopen(), again):
            position = record.read_at
            known = handled.get((position.source, position.partition), -1)
            if record.stream == "alerts" and position.offset <= known:
                yield record

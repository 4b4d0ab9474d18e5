"""Reading what was read before once more, for filters that have changed; beside what is new.

How far it has come is part of the state, so that a restart goes on there. It is done when all that
the engine has handled has been read again: a directory whose disk is away for a moment looks like
an empty one, and what was not read would count as rejected. So what is missing is said, and waited
for. Only of topics, which remove records by themselves, what is gone stays as it was judged.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from ampelstream.errors import UnreachableError
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.display import counted, printable
from ampelstream.model.record import SourceRecord
from ampelstream.runtime.embedded.engine import Engine, next_batch
from ampelstream.sources import Source, merge

__all__ = ["Rereading"]

_LOG = logging.getLogger(__name__)
_NAMED = 3
"""So many of those that are missing are named."""
_SAY_AGAIN_SECONDS = 600.0
_REST = 10
"""So many times as long as a pass over the inputs took, that could not end it, there is none."""
_LONGEST_REST_SECONDS = 600.0
_RETRY_SECONDS = 3.0
"""Between two tries to reach brokers that are away [s]."""

_Place = tuple[str, int]


def _places(count: int) -> str:
    return counted(count, "file or partition that was", "files or partitions that were")


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
    clock
        Seconds that never go back.
    """

    def __init__(
        self,
        engine: Engine,
        reopen: Callable[[], Sequence[Source]],
        *,
        batch: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._reopen = reopen
        self._batch = batch
        self._clock = clock
        self._sources: Sequence[Source] | None = None
        self._records: Iterator[SourceRecord] | None = None
        self._handled: dict[_Place, int] = {}
        self._before: Mapping[_Place, int] = {}
        self._repeated = 0
        self._reached: dict[_Place, int] = {}
        self._faults: dict[_Place, str] = {}
        self._gaps: dict[_Place, int] = {}
        self._gone: set[_Place] = set()
        self._began = self._begins_at = self._says_at = clock()
        self._said = ""

    @property
    def pending(self) -> bool:
        """Whether there is something to read again."""
        return self._engine.objects.awaits_backfill

    def step(self) -> int:
        """Filter the next records anew; give their number, none where there are none now.

        When all have been read, the end is noted. Where some are missing, it is said, and the next
        step tries again, after some rest if that takes long.

        Raises
        ------
        UnreachableError
            No broker answers now; a later call goes on.
        """
        if self._records is None:
            if self._clock() < self._begins_at:
                return 0
            self._records = self._pass()
        try:
            batch = next_batch(self._records, self._batch)
            if self._gaps or not batch:
                self._look_what_is_gone()
        except UnreachableError as error:
            self._records = None  # what was broken off has no end: it is read on from where it was
            self._begins_at = self._clock() + _RETRY_SECONDS
            self._said = self._engine.backfill_waits = str(error)
            raise
        if batch:
            self._engine.refilter(batch)
            if len(batch) > self._repeated:
                self._engine.backfill_waits = ""
            return len(batch)
        self._records = None
        missing = self._missing()
        if missing:
            now = self._clock()
            self._begins_at = now + min(_REST * (now - self._began), _LONGEST_REST_SECONDS)
            self._judge_last_again(missing)
            self._say(missing)
        else:
            self._sources, self._said, self._repeated = None, "", 0
            self._engine.refiltered()
        return 0

    def _pass(self) -> Iterator[SourceRecord]:
        """Earlier alerts that were not read again yet."""
        self._began = self._clock()
        progress = self._engine.progress
        again = progress.offsets(again=True)
        self._before = again
        self._reached, self._faults, self._gone = dict(again), {}, set()
        if self._sources is None:
            self._sources = self._reopen()
        # what comes from now on is judged as it comes; where topics got their ids only now, it also
        # says which they are
        self._handled = progress.offsets()
        for record in merge(self._sources, again, self._engine.schemas):
            position = record.read_at
            place = position.source, position.partition
            if place in self._faults:
                continue  # what lies behind it is read with it, the next time
            old = position.offset <= self._handled.get(place, -1)
            if old and record.unread and not progress.is_letter(record.where):
                self._faults[place] = record.fault
                continue
            last = self._reached.get(place, -1)
            # also where what is left is new, and all that was handled is gone
            if last < self._handled.get(place, -1) and position.offset > last + 1:
                self._gaps.setdefault(place, last)
            self._reached[place] = max(position.offset, last)
            if old and record.stream == "alerts":
                yield record

    def _look_what_is_gone(self) -> None:
        """Let alerts stay as they were judged that a topic has removed before they were reached."""
        reached = {**self._reached, **self._gaps}
        self._gaps, self._gone = {}, set()
        alerts = {
            place: last
            for place, last in self._handled.items()
            if not self._are_notices(place[0])  # those are not read again
        }
        for source in self._sources or ():
            removed = source.removed(alerts, reached)
            self._gone.update(removed.places)
            self._engine.objects.keep(removed.since_jd, removed.held)

    def _missing(self) -> list[_Place]:
        """Of what was handled, where it was not read again as far."""
        short = [
            place
            for place, last in self._handled.items()
            if self._reached.get(place, -1) < last and place not in self._gone
        ]
        return [
            place
            for place in short
            if not self._are_notices(place[0]) and not self._holds_letters_only(place)
        ]

    def _holds_letters_only(self, place: _Place) -> bool:
        """Whether all that is missing were dead letters: such a file may have been thrown away."""
        missing = range(self._reached.get(place, -1) + 1, self._handled[place] + 1)
        progress = self._engine.progress
        return all(progress.is_letter(Coordinates(*place, offset)) for offset in missing)

    def _judge_last_again(self, missing: Sequence[_Place]) -> None:
        """Judge the last record of what is missing once more: it was cut if a copy went on."""
        moved = [
            place
            for place in missing
            if self._reached.get(place, -1) > self._before.get(place, -1)
            and place not in self._faults
        ]
        for place in moved:
            self._engine.progress.step_back(place)
        self._repeated = len(moved)

    def _are_notices(self, source: str) -> bool:
        return any(one.holds(source) == "notices" for one in self._sources or ())

    def _say(self, missing: Sequence[_Place]) -> None:
        """Say what is missing: at once, and from time to time as long as it stays so."""
        named = [self._in_words(place) for place in sorted(missing)[:_NAMED]]
        more = ["..."] if len(missing) > _NAMED else []
        text = (
            f"the backfill waits for {_places(len(missing))} read before and "
            f"cannot be read as far now: {', '.join([*named, *more])}"
        )
        if text != self._said or self._clock() >= self._says_at:
            self._says_at = self._clock() + _SAY_AGAIN_SECONDS
            _LOG.warning(
                "%s. Bring them back, or give them as inputs again, notices too; or end the "
                "backfill with --from-now-on: earlier alerts then stay as they were judged",
                text,
            )
        self._said = self._engine.backfill_waits = text

    def _in_words(self, place: _Place) -> str:
        source, partition = place
        where = f"{printable(source)}[{partition}]"
        if place in self._faults:
            return f"{where} ({printable(self._faults[place])})"
        read, last = self._reached.get(place, -1) + 1, self._handled[place] + 1
        inputs = self._sources or ()
        if all(one.holds(source) is None for one in inputs):
            return f"{where} (of none of the inputs)"
        return f"{where} ({read} of {counted(last, 'record')})"

"""Says a line a minute while inputs are followed, and keeps the status file up to date."""

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from ampelstream.core.accounting import Accounting
from ampelstream.core.nothing import why_none_selected
from ampelstream.core.unitcounts import unit_counts
from ampelstream.errors import StorageError
from ampelstream.runtime.embedded.engine import Engine
from ampelstream.runtime.embedded.live import Left
from ampelstream.runtime.embedded.runstatus import Counts, RunStatus
from ampelstream.runtime.embedded.statefiles import StateFiles
from ampelstream.runtime.service.log import incident
from ampelstream.sources import Skipped, Source

__all__ = ["BEAT_SECONDS", "Reporter", "counts_of"]

BEAT_SECONDS = 5.0
"""Time between two heartbeats [s]."""
_NAMED_SKIPPED = 5
_LOG = logging.getLogger(__name__)


def counts_of(accounting: Accounting) -> Counts:
    """What people are told of the counts."""
    total = accounting.total
    rules = [rule for rule, _ in accounting.by("reactions")]
    return Counts(
        alerts=total("received", "alerts"),
        notices=total("received", "notices"),
        failed=total("failed", "alerts"),
        failed_later=total("failed", "detections"),
        passed=total("passed"),
        rejected=dict(accounting.by("rejected_by_all")),
        accepted=total("accepted"),
        candidates=total("candidates"),
        sent=sum(total("reactions", rule, "sent") for rule in rules),
        dead_letters=total("dead_letters"),
        refused=total("watermark_refused"),
        refiltered=total("refiltered"),
        backfilled=total("backfilled"),
        unjudged=total("unjudged"),
        remarks=total("remarks"),
    )


class Reporter:
    """Tells people and monitoring how a followed topology is doing.

    A context: the files of the topology are held as long as it lasts, and at its end the status
    file says when and why the process ended.

    Parameters
    ----------
    engine
        Topology and state; nobody else uses its database.
    files
        Where the status file is.
    say
        Given the status when a line is due.
    every
        Time between two lines [s]; the first comes when the first pass is done.
    once
        Whether the process ends by itself when nothing new is there.
    sources
        Inputs that know of files which nobody reads.
    check
        Sees at each heartbeat that the state is still there, or raises.
    now
        Unix time [s].
    clock
        Seconds that never go back.

    Raises
    ------
    StateError
        The directory cannot be written.
    """

    def __init__(
        self,
        engine: Engine,
        files: StateFiles,
        say: Callable[[RunStatus], None],
        *,
        every: float = 60.0,
        once: bool = False,
        sources: Sequence[Source] = (),
        check: Callable[[], object] = lambda: None,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._files = files
        self._say = say
        self._every = every
        self._once = once
        self._sources = sources
        self._check = check
        self._now = now
        self._clock = clock
        self._started = self._since = now()
        self._before = counts_of(engine.accounting)
        self._waiting: Mapping[str, int | None] = {}
        self._skipped: list[Skipped] = []
        self._left: Left = dict
        self._first = True
        self._said_failing = False
        self._line_at = clock() + every
        self._beat_at = clock()
        self._unwritten = False
        self._held = ExitStack()

    def __enter__(self) -> Self:
        self._held.enter_context(self._files.hold())
        self._write(self.status())
        self._engine.on_commit = self._committed
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        said = "" if error is None else str(error) or type(error).__name__
        try:
            self._check()
            self._write(self.status(ended=True, error=said))
        except StorageError:  # the place is not ours any longer
            if error is None:
                raise
        finally:
            self._held.close()

    def beat(self, left: Left, *, pass_done: bool = False) -> None:
        """Say and write what is due; called while inputs are followed, whatever comes of them.

        Parameters
        ----------
        left
            Gives what is not handled yet.
        pass_done
            Whether a pass over the inputs is done.

        Raises
        ------
        StorageError
            The state was removed.
        """
        self._left = left
        self._say_what_fails()
        at = self._clock()
        if at >= min(self._line_at, self._beat_at):
            self._check()
        if at >= self._line_at or (self._first and pass_done):
            self._first = False
            self._line_at = at + self._every
            self._look()
            status = self.status()
            self._say(status)
            self._write(status)
            self._before, self._since = status.total, status.heartbeat
        elif at >= self._beat_at:
            if self._first:  # until the first line nothing is known of what there is to do
                self._look()
            self._write(self.status())

    def _say_what_fails(self) -> None:
        """Say, once, that the first alerts have all failed in the same way."""
        message = self._engine.ingest.all_failed
        if message and not self._said_failing:
            self._said_failing = True
            incident(_LOG, logging.ERROR, "all_failed", message)

    def _look(self) -> None:
        """See what the inputs still have, and what nobody reads; too costly for each heartbeat."""
        self._waiting = self._left()
        self._skipped = [one for source in self._sources for one in source.skipped]

    def _committed(self) -> None:
        """A commit is a sign of life, too: a pass may take hours."""
        self.beat(self._left)

    def status(self, *, ended: bool = False, error: str = "") -> RunStatus:
        """What there is to say at this moment."""
        engine, now = self._engine, self._now()
        events = engine.objects.events
        total = counts_of(engine.accounting)
        return RunStatus(
            topology=engine.topology.name,
            version=engine.topology.version,
            hash=engine.topology.hash,
            pid=os.getpid(),
            started=self._started,
            heartbeat=now,
            once=self._once,
            ended=now if ended else None,
            error=error,
            total=total,
            new=total.since(self._before),
            since=self._since,
            refused=engine.accounting.example("watermark_refused"),
            remarked=engine.accounting.example("remarks"),
            events=len(events),
            rejected_events=sum(one.rejected for one in events),
            unplaced_events=sum(not one.localisations and not one.rejected for one in events),
            rules=len(engine.topology.reactions),
            unsent=engine.react.pending,
            event_time_jd=engine.event_time,
            waiting=self._waiting,
            skipped=len(self._skipped),
            first_skipped=tuple(self._skipped[:_NAMED_SKIPPED]),
            sweeps=engine.objects.pending,
            backfills=engine.objects.awaits_backfill,
            backfill_waits=engine.backfill_waits,
            kinds=tuple(engine.letters.kinds()) if engine.letters is not None else (),
            why_rejected=why_none_selected(engine.topology, events),
            failing=tuple(
                str(one) for one in unit_counts(engine.topology, engine.accounting) if one.failed
            ),
            all_failed=engine.ingest.all_failed,
        )

    def _write(self, status: RunStatus) -> None:
        """Replace the status file.

        The work does not end where that fails, but the heartbeat; unless the state is gone as well.
        """
        self._beat_at = self._clock() + BEAT_SECONDS
        try:
            status.write(self._files.status)
        except OSError as error:
            self._check()  # which has better words
            if not self._unwritten:
                _LOG.warning("%s cannot be written: %s", self._files.status, error.strerror)
            self._unwritten = True
        else:
            self._unwritten = False

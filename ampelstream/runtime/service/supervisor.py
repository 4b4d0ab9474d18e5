"""Several workers on one machine: started, watched over, and started again when they die."""

import logging
import queue
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from ampelstream.runtime.service.child import Child
from ampelstream.runtime.service.exitcodes import ExitCode, meaning
from ampelstream.runtime.service.log import incident

__all__ = ["Backoff", "Supervisor"]

_LOG = logging.getLogger(__name__)
_HOPELESS = frozenset({ExitCode.USAGE, ExitCode.CONFIGURATION, ExitCode.SUPERSEDED})
"""Ends that the same command comes to again."""
_STOPPED = frozenset({ExitCode.DONE, -signal.SIGTERM})
"""Ends of an orderly stop; by the bare signal where the worker had not yet begun to work."""


class Backoff:
    """Waits that double with each failure, and begin anew after a success that lasted.

    Elsewhere stamina does such waits. Not here: one thread waits for all workers at once, a signal
    or a death ends the wait, and how long a worker lived decides the next one.

    Parameters
    ----------
    first, longest
        First wait and upper limit of the waits [s].
    settled
        What lives so long counts as a success [s].
    """

    def __init__(self, first: float = 1.0, longest: float = 30.0, settled: float = 60.0) -> None:
        self._first = first
        self._longest = longest
        self._settled = settled
        self._next = first

    def after(self, lived: float) -> float:
        """Wait before the next try [s], after one that lived so long [s]."""
        if lived >= self._settled:
            self._next = self._first
        wait = self._next
        self._next = min(2 * wait, self._longest)
        return wait


@dataclass
class _Worker:
    """One of the workers; child: while it runs; due: when it is started (again) [s]."""

    index: int
    backoff: Backoff
    due: float | None
    child: Child | None = None
    started: float = 0.0


@dataclass(frozen=True, slots=True)
class _Death:
    """A worker's process ended."""

    worker: _Worker
    code: int


@dataclass
class _Stop:
    """The stop in progress; codes: how the workers ended in it."""

    deadline: float
    codes: set[int] = field(default_factory=set)
    killed: bool = False


class Supervisor:
    """Runs workers as child processes until it is stopped.

    A worker that ends, with whatever code, is started again after a wait that doubles from one to
    thirty seconds. Two codes end everything, since a new start would end the same way: wrong usage
    and wrong configuration. SIGTERM or SIGINT stop: the workers get SIGTERM, and what still runs
    after the grace is killed; a second signal kills at once. Nothing is polled.

    A worker must call `end_with_parent` (beside `Child`), or a killed supervisor leaves it behind.

    Parameters
    ----------
    command
        Command line of the worker with an index from 0: with its own state directory and port.
    count
        How many workers.
    grace
        Time for an orderly stop [s].
    clock
        Seconds that never go back.
    backoff
        Makes the waits of one worker.
    """

    def __init__(
        self,
        command: Callable[[int], Sequence[str]],
        count: int,
        *,
        grace: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
        backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        self._command = command
        self._grace = grace
        self._clock = clock
        self._workers = [_Worker(index, backoff(), due=clock()) for index in range(count)]
        # a SimpleQueue may be filled by a signal handler that interrupts its own reader
        self._news: queue.SimpleQueue[_Death | None] = queue.SimpleQueue()
        self._stop: _Stop | None = None
        self._hopeless: int | None = None

    def run(self) -> int:
        """Start the workers and stay until all have ended; only in the main thread.

        Returns
        -------
        int
            The code of a worker that could not be helped; otherwise 1 if one had to be killed or
            failed while stopping, 3 if one had dead letters, 0.
        """
        before = {
            number: signal.signal(number, self._on_signal)
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            while self._stop is None or self._running():
                self._start_due()
                self._take_news()
                self._kill_late()
        finally:
            self._signal(signal.SIGKILL)  # none is left, unless a defect of ours brought us here
            for number, handler in before.items():
                signal.signal(number, handler)
        return self._result()

    def stop(self) -> None:
        """Stop as if a signal had come; from any thread."""
        self._news.put(None)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.stop()

    def _running(self) -> list[_Worker]:
        return [worker for worker in self._workers if worker.child is not None]

    def _signal(self, number: signal.Signals) -> None:
        for worker in self._workers:
            if worker.child is not None:
                worker.child.signal(number)

    def _start_due(self) -> None:
        now = self._clock()
        for worker in self._workers:
            if self._stop is None and worker.due is not None and worker.due <= now:
                worker.due = None
                self._start(worker)

    def _start(self, worker: _Worker) -> None:
        worker.started = self._clock()
        command = self._command(worker.index)
        try:
            worker.child = Child(command, lambda code: self._news.put(_Death(worker, code)))
        except OSError as error:
            self._again(worker, "cannot be started", command=command[0], error=str(error))
        else:
            self._tell(logging.INFO, "started", worker, "is started", pid=worker.child.pid)

    def _take_news(self) -> None:
        """Wait for a death, a signal, or the time of the next thing to do."""
        times = [worker.due for worker in self._workers if worker.due is not None]
        if self._stop is not None:
            times = [] if self._stop.killed else [self._stop.deadline]
        timeout = max(0.0, min(times) - self._clock()) if times else None
        try:
            news = self._news.get(timeout=timeout)
        except queue.Empty:
            return
        if news is None:
            self._begin_stop()
        else:
            self._died(news.worker, news.code)

    def _died(self, worker: _Worker, code: int) -> None:
        worker.child = None
        facts = {"exit_code": code, "meaning": meaning(code)}
        if self._stop is not None:
            self._stop.codes.add(code)
            self._tell(logging.INFO, "stopped", worker, "has stopped", **facts)
        elif code in _HOPELESS:
            self._hopeless = code
            if code == ExitCode.SUPERSEDED:
                self._tell(logging.INFO, "superseded", worker, "was taken over from", **facts)
            else:
                what = "ended with what no new start mends; all stop"
                self._tell(logging.ERROR, "hopeless", worker, what, **facts)
            self._begin_stop()
        else:
            self._again(worker, "died", **facts)

    def _again(self, worker: _Worker, what: str, **facts: Any) -> None:
        now = self._clock()
        lived = now - worker.started
        wait = worker.backoff.after(lived)
        worker.due = now + wait
        facts |= {"lived_s": round(lived, 1), "restart_in_s": wait}
        self._tell(logging.ERROR, "died", worker, f"{what}; it is started again", **facts)

    def _begin_stop(self) -> None:
        if self._stop is None:
            self._stop = _Stop(self._clock() + self._grace)
            self._signal(signal.SIGTERM)
        else:
            self._stop.deadline = self._clock()

    def _kill_late(self) -> None:
        stop = self._stop
        if stop is None or stop.killed or self._clock() < stop.deadline:
            return
        stop.killed = True
        for worker in self._running():
            self._tell(logging.ERROR, "killed", worker, "did not stop in time; it is killed")
        self._signal(signal.SIGKILL)

    def _result(self) -> int:
        if self._hopeless is not None:
            return self._hopeless
        codes = self._stop.codes if self._stop is not None else set()
        if codes - _STOPPED - {ExitCode.DEAD_LETTERS}:
            return ExitCode.FAILED
        return ExitCode.DEAD_LETTERS if ExitCode.DEAD_LETTERS in codes else ExitCode.DONE

    @staticmethod
    def _tell(level: int, event: str, worker: _Worker, what: str, **facts: Any) -> None:
        text = f"worker {worker.index} {what}"
        incident(_LOG, level, f"worker_{event}", text, worker=worker.index, **facts)

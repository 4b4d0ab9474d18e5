"""Ends a process that hangs, so that whoever started it starts it again."""

import faulthandler
import logging
import os
import sys
import threading
from collections.abc import Callable

from ampelstream.runtime.service.exitcodes import ExitCode
from ampelstream.runtime.service.health import Health
from ampelstream.runtime.service.log import incident

__all__ = ["Watchdog"]

_LOG = logging.getLogger(__name__)
_REPORT_SECONDS = 5.0  # a hung process may hang in the logs themselves


def _dump_stacks() -> None:
    if sys.__stderr__ is not None:
        faulthandler.dump_traceback(file=sys.__stderr__, all_threads=True)


def _arm(seconds: float) -> None:
    if sys.__stderr__ is not None:
        faulthandler.dump_traceback_later(seconds, exit=True, file=sys.__stderr__)


class Watchdog:
    """A thread that asks again and again whether the process is alive.

    It ends the process at the second answer in a row that says no: a single one is what a machine
    gives that was suspended, before its event loop had its turn. Code that never releases the
    interpreter lock keeps this thread from running too; then Python's fault handler, which needs no
    lock, writes the stacks and ends the process with code 1 after twice the limit of a handler.

    Parameters
    ----------
    health
        Who is asked.
    exit_process
        Ends the process at once, without clean-up: what hangs cannot be waited for.
    poll_seconds
        Between two questions [s].
    arm, disarm
        Set and lift the fault handler's deadline [s].
    dump
        Writes the stacks of all threads.
    """

    def __init__(
        self,
        health: Health,
        *,
        exit_process: Callable[[int], object] = os._exit,
        poll_seconds: float = 1.0,
        arm: Callable[[float], object] = _arm,
        disarm: Callable[[], object] = faulthandler.cancel_dump_traceback_later,
        dump: Callable[[], object] = _dump_stacks,
    ) -> None:
        self._health = health
        self._exit = exit_process
        self._poll = poll_seconds
        self._arm = arm
        self._disarm = disarm
        self._dump = dump
        self._doubtful = False
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Start to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no longer; for the very end of an orderly stop."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def check(self) -> bool:
        """Ask once, and end the process if this is the second bad answer in a row.

        Returns
        -------
        bool
            Whether the process was made to end (a real one does not return).
        """
        reasons = self._health.alive()
        if not reasons or not self._doubtful:
            self._doubtful = bool(reasons)
            return False
        # in a thread of its own: if the log's lock or pipe is what hangs, the process ends anyway
        report = threading.Thread(target=self._report, args=(reasons,), daemon=True)
        report.start()
        report.join(_REPORT_SECONDS)
        self._exit(ExitCode.HUNG)
        return True

    def _report(self, reasons: list[str]) -> None:
        incident(
            _LOG,
            logging.CRITICAL,
            "hung",
            "the process hangs and is ended; the stacks of its threads follow",
            reasons=reasons,
            exit_code=int(ExitCode.HUNG),
        )
        self._dump()

    def _watch(self) -> None:
        ended = False
        while not ended:
            self._arm(2 * self._health.stuck_after)
            if self._stopped.wait(self._poll):
                break
            ended = self.check()
        self._disarm()

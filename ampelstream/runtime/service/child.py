"""A process and its child notice each other's end, however the other ended."""

import contextlib
import logging
import multiprocessing
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence

from ampelstream.runtime.service.exitcodes import ExitCode
from ampelstream.runtime.service.log import incident

__all__ = ["SUPERVISED", "Child", "end_with_parent"]

SUPERVISED = "AMPELSTREAM_SUPERVISED"
"""Variable of the environment that says: standard input is the supervisor's sign of life."""

_LOG = logging.getLogger(__name__)


class Child:
    """Runs a command.

    A session of its own, so that Ctrl-C in a terminal does not reach it beside its supervisor, and
    so that the processes it made end with it. Its standard input is a pipe that is never written
    to: it closes when this process ends, see `end_with_parent`.

    Parameters
    ----------
    command
        The command line.
    ended
        Called with the exit code when it has ended, in a thread that waits for it.

    Raises
    ------
    OSError
        It cannot be started.
    """

    def __init__(self, command: Sequence[str], ended: Callable[[int], object]) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            env={**os.environ, SUPERVISED: "1"},
            start_new_session=True,
        )
        self._ended = ended
        name = f"child-{self._process.pid}"
        threading.Thread(target=self._await_end, name=name, daemon=True).start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it, not to its own children; does nothing once it has ended."""
        self._process.send_signal(number)

    def _await_end(self) -> None:
        code = self._process.wait()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)  # what is left of its pool of processes
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._ended(code)


def end_with_parent(
    grace: float = 20.0,
    *,
    exit_process: Callable[[int], object] = os._exit,
    sleep: Callable[[float], object] = time.sleep,
) -> bool:
    """Watch the parent process from now on; to be called early by a child.

    A child of the supervisor holds the reading end of a pipe as its standard input. Its only
    writing end is the supervisor's, so it closes even when the supervisor is killed; that holds on
    every system. The child then stops as by SIGTERM, and ended after the grace. A process
    of a pool (give this function as its initializer) holds no state and is ended at once; Python by
    itself leaves such processes behind when their parent is killed.

    Parameters
    ----------
    grace
        Time for an orderly stop [s].

    Returns
    -------
    bool
        Whether there is a parent to watch; without one nothing is done.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:

        def follow() -> None:
            parent.join()
            exit_process(ExitCode.ORPHANED)

    elif os.environ.pop(SUPERVISED, None):

        def follow() -> None:
            _wait_for_end_of_input()
            os.kill(os.getpid(), signal.SIGTERM)
            incident(
                _LOG, logging.ERROR, "orphaned", "the supervisor is gone; stopping", grace=grace
            )
            sleep(grace)
            exit_process(ExitCode.ORPHANED)

    else:
        return False
    threading.Thread(target=follow, name="parent", daemon=True).start()
    return True


def _wait_for_end_of_input() -> None:
    try:
        while os.read(0, 1024):
            pass
    except OSError:
        pass  # closed: nobody holds the other end for us any longer

"""A child process that lives in a session of its own and notices the end of its parent."""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence

from ampelstream.runtime.service.parent import SUPERVISED

__all__ = ["Child"]


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

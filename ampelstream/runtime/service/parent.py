"""A child process ends with its parent, however the parent ended."""

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable

from ampelstream.runtime.service.exitcodes import ExitCode
from ampelstream.runtime.service.incidents import incident

__all__ = ["SUPERVISED", "end_with_parent"]

SUPERVISED = "AMPELSTREAM_SUPERVISED"
"""Variable of the environment that says: standard input is the supervisor's sign of life."""

_LOG = logging.getLogger(__name__)


def end_with_parent(
    grace: float = 20.0,
    *,
    exit_process: Callable[[int], object] = os._exit,
    sleep: Callable[[float], object] = time.sleep,
) -> bool:
    """Watch the parent process from now on; to be called early by a child.

    A child of the supervisor holds the reading end of a pipe as its standard input. Its only
    writing end is the supervisor's, so it closes even when the supervisor is killed; that holds on
    every system. The child is then told to stop as by SIGTERM, and ended after the grace. A process
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

"""One worker in a directory: the next one waits until the one before has ended.

A supervisor that was killed leaves workers behind that stop in order, which takes a while. Its
successor, started at once, would find their port and their databases in use, and fail again and
again. The lock is the system's, on an open file: it goes with the process, however that ends.
"""

import asyncio
import errno
import fcntl
import logging
import os
from pathlib import Path

from ampelstream.errors import ConfigError
from ampelstream.runtime.service.log import incident

__all__ = ["hold_directory", "make_directory"]

_LOG = logging.getLogger(__name__)
_LOOK_SECONDS = 0.2
_NO_PLACE = frozenset(
    {
        *(errno.EACCES, errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG),
        *(errno.ENOENT, errno.ENOTDIR, errno.EPERM, errno.EROFS),
    }
)
"""Errors that say that a directory cannot be at this place, whatever the disk does later."""


async def hold_directory(directory: Path, *, patience: float, stop: asyncio.Event) -> int | None:
    """Have a worker's directory for this process alone, as long as it lives.

    Parameters
    ----------
    directory
        Of the worker; made where it is missing.
    patience
        For how long to wait for another process that has it [s].
    stop
        Ends the wait.

    Returns
    -------
    int or None
        Descriptor of the open file that holds the lock; None where the wait was stopped.

    Raises
    ------
    ConfigError
        Another process still has it, or as `make_directory`.
    OSError
        The disk fails.
    """
    file = _file(directory)
    deadline = asyncio.get_running_loop().time() + patience
    said = False
    while not _locked(file):
        who = _holder(file)
        if not said:
            text = "waiting for the worker that has this directory still"
            facts = {"directory": str(directory), "process": who, "at_most_s": patience}
            incident(_LOG, logging.INFO, "waiting_for_old", text, **facts)
            said = True
        if stop.is_set() or asyncio.get_running_loop().time() > deadline:
            os.close(file)
            if stop.is_set():
                return None
            raise ConfigError(
                f"{directory} is in use by process {who}, which did not end within {patience:g} s; "
                "end that worker, or give this one another --state"
            )
        await asyncio.sleep(_LOOK_SECONDS)
    os.truncate(file, 0)
    os.pwrite(file, str(os.getpid()).encode(), 0)
    return file


def make_directory(directory: Path) -> None:
    """Make a directory of the state where it is missing.

    Raises
    ------
    ConfigError
        Something else stands in its way, or it may not be written.
    OSError
        The disk fails.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno not in _NO_PLACE:
            raise
        why = error.strerror
    else:
        why = "" if os.access(directory, os.W_OK | os.X_OK) else os.strerror(errno.EACCES)
    if why:
        raise ConfigError(
            f"{directory} cannot hold the state: {why}; let it be a directory that can be written, "
            "or give another --state"
        )


def _file(directory: Path) -> int:
    make_directory(directory)
    return os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(file: int) -> str:
    return os.pread(file, 20, 0).decode(errors="replace") or "unknown"

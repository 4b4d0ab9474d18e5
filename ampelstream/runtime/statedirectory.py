"""Where state lies on disk, and that nobody else works on it.

    STATE/NAME/worker-I/STEP/partition-NNNN   databases of a worker on Kafka
    STATE/NAME/rocks                          database of the embedded engine
    STATE/schemas                             schemas of packets, shared by all

NAME is that of the topology, so that several may share a STATE. Files of reactions are named by the
topology, relative to STATE.
"""

import asyncio
import fcntl
import logging
import os
import time
from pathlib import Path

from ampelstream.core.lookup import owner
from ampelstream.errors import ConfigError
from ampelstream.runtime.service.log import incident
from ampelstream.state.rocks import RocksBackend

__all__ = ["embedded_database", "occupy", "old_directories", "worker_directory"]

_LOG = logging.getLogger(__name__)
_DATABASE = "rocks"
_LOCK = "in-use"
_LOOK_SECONDS = 0.2
_held: list[int] = []
"""Descriptors of what this process has occupied: open, and so locked, until it ends."""


def worker_directory(state: Path, topology: str, index: int) -> Path:
    """Directory of a worker on Kafka."""
    return state / topology / f"worker-{index}"


def old_directories(state: Path) -> list[Path]:
    """Directories of workers in the layout of earlier versions, which had no name in it."""
    steps = ("objects", "react")
    return sorted(
        one for one in state.glob("worker-*") if any((one / step).is_dir() for step in steps)
    )


async def occupy(directory: Path, patience_seconds: float) -> None:
    """Have a directory for this process alone, until it ends; made if absent.

    A worker that was told to stop may still finish what it has in hand: it is waited for.

    Parameters
    ----------
    directory
        To be ours.
    patience_seconds
        How long to wait for another process that has it [s].

    Raises
    ------
    ConfigError
        Another process has it, or it cannot be used.
    """
    deadline = time.monotonic() + patience_seconds
    number = _open(directory)
    said = False
    while not _locked(number):
        user = os.pread(number, 32, 0).decode(errors="replace") or "unknown"
        if time.monotonic() > deadline:
            os.close(number)
            raise ConfigError(
                f"{directory} is used by another worker, process {user}. Stop that one, or give "
                "this one another directory for its state; workers of one machine are started "
                "with --workers"
            )
        if not said:
            text = "another worker has this directory still; waiting for its end"
            incident(_LOG, logging.INFO, "waiting", text, directory=str(directory), process=user)
            said = True
        await asyncio.sleep(_LOOK_SECONDS)
    os.ftruncate(number, 0)
    os.pwrite(number, str(os.getpid()).encode(), 0)
    _held.append(number)


def _open(directory: Path) -> int:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise ConfigError(
            f"state cannot be kept in {directory}: {error}. Give another directory, or make room"
        ) from error


def _locked(number: int) -> bool:
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def embedded_database(state: Path, topology: str) -> Path:
    """Directory of the embedded engine's database.

    One in the layout of earlier versions, ``STATE/rocks``, is moved there where it is the
    topology's: it is the only copy.

    Raises
    ------
    ConfigError
        It is another's, or does not say whose it is; or it cannot be moved there.
    StateError
        It is in use.
    """
    path, old = state / topology / _DATABASE, state / _DATABASE
    if not (old / "CURRENT").is_file():  # every database of RocksDB has this file
        return path
    backend = RocksBackend(old)
    found = owner(backend)
    backend.close()
    where = f"{old}, where earlier versions kept it, is the state of"
    if not found:
        raise ConfigError(f"{where} nobody that can be told; move it away")
    if found != topology:
        raise ConfigError(
            f"{where} {found}, not of {topology}. Run {found} once with this --state, which moves "
            "it to its new place, or give another --state"
        )
    if path.exists():
        raise ConfigError(f"{where} {topology}, and so is {path}; move one of them away")
    try:
        path.parent.mkdir(exist_ok=True)
        old.rename(path)
    except OSError as error:
        raise ConfigError(f"{where} {topology}, and cannot be moved to {path}: {error}") from error
    text = "the state was moved from where earlier versions kept it"
    incident(_LOG, logging.WARNING, "state_moved", text, old=str(old), new=str(path))
    return path

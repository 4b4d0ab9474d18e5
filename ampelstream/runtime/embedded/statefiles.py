"""What the embedded runtime keeps beside its database: where, and whether a process uses it."""

import fcntl
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ampelstream.errors import StateError
from ampelstream.runtime.statedirectory import in_hand_directory

__all__ = ["StateFiles", "found_files"]

_STATUS = "status.json"


@dataclass(frozen=True, slots=True)
class StateFiles:
    """Files of one topology in the directory of the state.

    Attributes
    ----------
    state
        Directory of the state, as ``--state`` names it.
    topology
        Name of the topology; its files are in a directory of that name.
    """

    state: Path
    topology: str

    @property
    def directory(self) -> Path:
        """Where they are."""
        return self.state / self.topology

    @property
    def dead_letters(self) -> Path:
        """Dead letters, one a line, as they come."""
        return self.directory / "dead-letters.ndjson"

    @property
    def status(self) -> Path:
        """What the process did and when it was last alive; replaced every few seconds."""
        return self.directory / _STATUS

    @property
    def lock(self) -> Path:
        """Locked by the process as long as it lives."""
        return self.directory / "running.lock"

    @property
    def in_hand(self) -> Path:
        """Directory in which it is written what is in hand."""
        return in_hand_directory(self.directory.parent, self.directory.name)

    def hold(self) -> IO[bytes]:
        """Lock the files until what is given is closed, or the process is gone, however it ended.

        Whoever has the database open has them to himself: at the most a look (`in_use`) is waited
        for.

        Raises
        ------
        StateError
            The directory cannot be written.
        """
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            lock = self.lock.open("ab")
            fcntl.lockf(lock, fcntl.LOCK_EX)  # a lock of the process: no child of it keeps it
        except OSError as error:
            raise StateError(
                f"{self.directory} cannot be used: {error.strerror or error}; let it be written, "
                "or give another --state"
            ) from error
        return lock

    def in_use(self) -> bool:
        """Whether a process of this machine holds them."""
        try:
            with self.lock.open("rb") as lock:
                fcntl.lockf(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False


def found_files(state: Path) -> list[StateFiles]:
    """Files of every topology that has run with this state, by name."""
    return [StateFiles(state, path.parent.name) for path in sorted(state.glob(f"*/{_STATUS}"))]

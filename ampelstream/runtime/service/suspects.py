"""How often what was in hand when a process died: counted once for all processes of a step.

The workers of a machine share a directory. A record that kills goes from one to the next as its
partition does, so its deaths are those of all of them together.
"""

import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from ampelstream.errors import StateError
from ampelstream.model.coordinates import Coordinates

__all__ = ["Deaths", "Suspects", "What", "what_of"]

What = Coordinates | tuple[str, str]
Deaths = dict[What, tuple[int, str]]
"""Number of deaths, and what is known of the last."""

_REMEMBERED = 1500
"""Of so many things deaths are counted at a time."""
_LONGEST = 1 << 20
_UNREADABLE = msgspec.MsgspecError, UnicodeDecodeError
_Rows = list[tuple[list[str | int], int, str]]
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Rows).decode


class Suspects:
    """The file of them; written when a process has died or a suspect is cleared, and hardly ever.

    Parameters
    ----------
    path
        Where it is; made when there is something to write.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Deaths:
        """All of them; none where a death left the file half written.

        Raises
        ------
        StateError
            The file cannot be read.
        """
        try:
            with self._path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH)
                return _deaths(file.read(_LONGEST))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._failed(error) from error

    def change(self, change: Callable[[Deaths], object]) -> Deaths:
        """Change them, while nobody else does; gives them as they are then.

        Raises
        ------
        StateError
            The file cannot be written.
        """
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                deaths = _deaths(os.pread(file, _LONGEST, 0))
                change(deaths)
                rows = [(what, n, how) for what, (n, how) in deaths.items()][-_REMEMBERED:]
                data = _encode(rows)
                os.pwrite(file, data, 0)
                os.ftruncate(file, len(data))
            finally:
                os.close(file)  # and with it the lock goes
        except OSError as error:
            raise self._failed(error) from error
        return deaths

    def _failed(self, error: OSError) -> StateError:
        return StateError(
            f"{self._path} cannot hold what is in hand: {error.strerror or error}. "
            "Is the disk full?"
        )


def _deaths(data: bytes) -> Deaths:
    with suppress(*_UNREADABLE):
        return {what_of(parts): (n, how) for parts, n, how in _decode(data)}
    return {}


def what_of(parts: list[str | int]) -> What:
    """What these parts name.

    Raises
    ------
    msgspec.ValidationError
        Nothing.
    """
    match parts:
        case [str(source), int(partition), int(offset)]:
            return Coordinates(source, partition, offset)
        case [str(event), str(name)]:
            return event, name
    raise msgspec.ValidationError("names neither a record nor an object")

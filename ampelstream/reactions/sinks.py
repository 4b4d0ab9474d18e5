"""Where reactions go: the console and a file. Services come with a later release."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

import msgspec

from ampelstream.errors import ConfigError
from ampelstream.model.reaction import Reaction

__all__ = ["ConsoleSink", "FileSink", "Sink", "headline"]


class Sink(Protocol):
    """Takes reactions.

    ``send`` returns when the reaction is out of our hands and raises when it is not. A sink that
    can tell what it took before takes nothing twice, even when we were killed before noting it.
    """

    name: str

    def send(self, reaction: Reaction) -> None:
        """Send one reaction."""
        ...


def _number(value: Any, form: str) -> str:
    return format(value, form) if isinstance(value, int | float) else "unknown"


def headline(reaction: Reaction) -> str:
    """One line for people: what, where on the sky, why."""
    said = reaction.payload
    latest = said.get("latest") or {}
    place = f"RA {_number(said.get('ra'), '.5f')} Dec {_number(said.get('dec'), '+.5f')} deg"
    rank = said.get("rank")
    parts = [
        f"[{reaction.rule}] {reaction.klass}: {reaction.object_id} for {reaction.event_id}",
        place,
        f"rank {rank:g}" if isinstance(rank, int | float) else "",
        f"{latest['mag']:.2f} mag ({latest['band']})" if latest else "",
        f"id {reaction.id}",
    ]
    return ", ".join(part for part in parts if part)


class ConsoleSink:
    """Prints a line for each reaction; a restart after a kill may print the last lines again.

    Parameters
    ----------
    stream
        Where to; standard error, since standard output is for data.
    """

    name = "console"

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def send(self, reaction: Reaction) -> None:
        """Print one line."""
        self._stream.write(headline(reaction) + "\n")
        self._stream.flush()


class FileSink:
    """Appends reactions to an NDJSON file, each id once, whatever happened before.

    Several processes may share the file: each looks at what the others wrote before it writes.

    Parameters
    ----------
    path
        The file; made if absent. A last line that a killed process left unfinished is cut off.

    Raises
    ------
    ConfigError
        The file cannot be opened, or holds something else.
    """

    def __init__(self, path: Path) -> None:
        self.name = f"file:{path.name}"
        self._path = path
        self._ids: set[str] = set()
        self._read = self._lines = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open(
                "a+b", buffering=0
            )  # half a line must not stay behind in a buffer
        except OSError as error:
            raise ConfigError(f"reactions cannot be written to {path}: {error}") from error
        try:
            with self._alone():
                self._catch_up()
        except ConfigError:
            self._file.close()
            raise

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep the other processes out; a lock goes with the process that holds it."""
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _catch_up(self) -> None:
        """Take note of what stands behind the part that is known; cut off an unfinished line."""
        self._file.seek(self._read)
        data = self._file.read()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            self._file.truncate(self._read + len(whole))
        for number, line in enumerate(whole.splitlines(), self._lines + 1):
            try:
                self._ids.add(str(msgspec.json.decode(line)["id"]))
            except (msgspec.DecodeError, KeyError, TypeError) as error:
                raise ConfigError(
                    f"{self._path}:{number} is not a reaction; name another file for them"
                ) from error
        self._read += len(whole)
        self._lines += whole.count(b"\n")

    def send(self, reaction: Reaction) -> None:
        """Append one line and wait until it is on the disk."""
        if reaction.id in self._ids:
            return
        with self._alone():
            self._catch_up()
            if reaction.id in self._ids:
                return
            line = msgspec.json.encode(reaction) + b"\n"
            if self._file.write(line) != len(line):
                raise OSError(errno.ENOSPC, "the line was not written whole", str(self._path))
            os.fsync(self._file.fileno())
            self._read += len(line)
            self._lines += 1
            self._ids.add(reaction.id)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

"""Where reactions go: the console and a file. Services come with a later release."""

import errno
import fcntl
import logging
import os
import stat
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

import msgspec

from ampelstream.errors import ConfigError
from ampelstream.model.display import LINE, printable
from ampelstream.model.reaction import Reaction

if TYPE_CHECKING:
    from ampelstream.topology import Topology  # stands above this package

__all__ = ["ConsoleSink", "FileSink", "Sink", "check_sinks", "headline", "open_sinks"]

_LOG = logging.getLogger(__name__)
_LOCK_SECONDS = 10.0
_LOCK_POLL_SECONDS = 0.01


class Sink(Protocol):
    """Takes reactions.

    ``send`` returns when the reaction is out of our hands and raises when it is not. A sink that
    knows what it took before takes nothing twice, even when we were killed before noting it.

    Attributes
    ----------
    name
        Under which the ledger notes what the sink took: another one for each sink of a rule, and
        the same after a restart, or reactions are lost or sent twice.
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
    position = f"RA {_number(said.get('ra'), '.5f')} Dec {_number(said.get('dec'), '+.5f')} deg"
    rank = said.get("rank")
    event = f" for {printable(reaction.event_id)}" if reaction.event_id else ""
    about = f"{printable(reaction.object_id)}{event}"
    parts = [
        f"[{printable(reaction.rule)}] {reaction.klass}: {about}",
        position,
        f"rank {rank:g}" if isinstance(rank, int | float) else "",
        f"{latest['mag']:.2f} mag ({latest['band']})" if latest else "",
        f"id {reaction.id}",
    ]
    return printable(", ".join(part for part in parts if part), LINE)


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

    Several processes may share the file: each looks at what the others wrote before it writes. The
    file may be renamed, deleted or truncated at any time, as log rotation does: the next reaction
    goes to a new file at the path, and an id that any of them held is not written again. Only what
    was read is known: an id that stands in a rotated file alone is known to a process that starts
    later by its ledger, not by its sink.

    Parameters
    ----------
    path
        The file; made if absent, as is its directory. A last line that a killed process left
        unfinished is cut off.
    name
        In the ledger; without one, the path as it is given.

    Raises
    ------
    ConfigError
        The file cannot be opened, or holds something else.
    """

    def __init__(self, path: Path, name: str | None = None) -> None:
        self.name = f"file:{path}" if name is None else name
        self._path = path
        self._ids: set[str] = set()
        self._file = self._open()
        self._begin()
        try:
            with self._alone():
                self._catch_up()
        except OSError as error:
            self._file.close()
            raise ConfigError(f"reactions cannot be written to {path}: {error.strerror}") from error
        except ConfigError:
            self._file.close()
            raise

    def _open(self) -> IO[bytes]:
        """Open what stands at the path now, or a new file."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # O_NONBLOCK means nothing to a file, and opening a FIFO does not wait for its reader
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK
            number = os.open(self._path, flags, 0o666)
        except (OSError, ValueError) as error:  # ValueError: a null character in the path
            why = error.strerror if isinstance(error, OSError) else error
            raise ConfigError(f"reactions cannot be written to {self._path}: {why}") from error
        file = os.fdopen(number, "r+b", buffering=0)  # half a line must not stay in a buffer
        if not stat.S_ISREG(os.fstat(number).st_mode):
            file.close()
            raise ConfigError(
                f"reactions cannot be written to {self._path}: it is no regular file, so what it "
                "took could not be read back after a restart; name a file"
            )
        return file

    def _begin(self) -> None:
        """Nothing is read yet of the file; the ids of earlier ones stay known."""
        self._read = self._lines = 0
        self._last = b""  # the last line that was read, by which a rewritten file is noticed

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep the other processes out; a lock goes with the process that holds it."""
        file, end = self._file, time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise TimeoutError(
                        errno.ETIMEDOUT, "another process keeps it locked", str(self._path)
                    ) from None
                time.sleep(_LOCK_POLL_SECONDS)
        try:
            yield
        finally:
            if not file.closed:
                fcntl.flock(file, fcntl.LOCK_UN)

    def _moved(self) -> bool:
        """Whether another file than the open one stands at the path, or none."""
        try:
            there, here = self._path.stat(), os.fstat(self._file.fileno())
        except OSError:  # what is wrong will be said by whoever opens the path
            return True
        return (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino)

    @contextmanager
    def _current(self) -> Iterator[None]:
        """Have the file at the path open, locked and read to its end."""
        while True:
            if self._moved():
                self._leave()
            with self._alone():
                if not self._moved():  # between the look and the lock
                    self._catch_up()
                    yield
                    return

    def _leave(self) -> None:
        """Go on with the file at the path, when all that others wrote to the open one is known."""
        try:
            with self._alone():
                self._catch_up()
        except TimeoutError:
            raise  # who holds the lock may be writing; the next call tries again
        except (OSError, ConfigError) as error:
            _LOG.warning("the file that stood at %s cannot be read: %s", self._path, error)
        new = self._open()
        self._file.close()
        self._file = new
        self._begin()

    def _catch_up(self) -> None:
        """Take note of what stands behind the part that is known; cut off an unfinished line."""
        start = self._read - len(self._last)
        data = self._from(start)
        if not data.startswith(self._last):  # truncated, and perhaps written anew since
            self._begin()
            start, data = 0, self._from(0)
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            self._file.truncate(start + len(whole))
        new = whole[len(self._last) :].splitlines(keepends=True)
        for line in new:
            try:
                self._ids.add(str(msgspec.json.decode(line)["id"]))
            except (msgspec.DecodeError, KeyError, TypeError) as error:
                raise ConfigError(
                    f"{self._path}:{self._lines + 1} is not a reaction; name another file for them"
                ) from error
            self._note(line)
        if new:
            os.fsync(self._file.fileno())  # whoever wrote it may have been killed before this

    def _from(self, start: int) -> bytes:
        self._file.seek(start)
        return self._file.read()

    def _note(self, line: bytes) -> None:
        self._read += len(line)
        self._lines += 1
        self._last = line

    def send(self, reaction: Reaction) -> None:
        """Append one line and wait until it is on the disk."""
        if reaction.id in self._ids:
            return
        with self._current():
            if reaction.id in self._ids:
                return
            line = msgspec.json.encode(reaction) + b"\n"
            try:
                self._write(line)
            except OSError:
                # a line that may not reach the disk must not be found there as one that did
                with suppress(OSError):
                    self._file.truncate(self._read)
                raise
            self._note(line)
            self._ids.add(reaction.id)

    def _write(self, line: bytes) -> None:
        if self._file.write(line) != len(line):
            raise OSError(errno.ENOSPC, "the line was not written whole", str(self._path))
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def open_sinks(topology: "Topology", directory: Path) -> Mapping[str, list[Sink]]:
    """Open the sinks of each rule.

    Parameters
    ----------
    topology
        Names them.
    directory
        Of the state, from which a relative file name is taken.

    Returns
    -------
    mapping
        Rule name to sinks, each once. Rules that name the same file share it, however they spell
        it: ``a/../b`` is ``b``, by the words alone, so that a link that changes changes no name.

    Raises
    ------
    ConfigError
        A file cannot be opened, or holds something else.
    """
    root = os.path.normpath(directory.absolute())
    console = ConsoleSink(sys.stderr)
    files: dict[str, FileSink] = {}
    opened: dict[str, list[Sink]] = {}
    with ExitStack() as undo:
        for rule in topology.reactions:
            sinks: dict[str, Sink] = {}
            for spec in rule.sinks:
                if spec.file is None:
                    sinks[console.name] = console
                    continue
                path = Path(os.path.normpath(Path(root, spec.file)))
                name = _name(path, root, absolute=Path(spec.file).is_absolute())
                if name not in files:
                    files[name] = undo.enter_context(closing(FileSink(path, name)))
                sinks[name] = files[name]
            opened[rule.name] = list(sinks.values())
        undo.pop_all()  # all are open: the caller has them now
    return opened


def check_sinks(topology: "Topology", directory: Path) -> None:
    """See that the sinks of all rules can be opened, as `open_sinks`; none is left open."""
    for sinks in open_sinks(topology, directory).values():
        for sink in sinks:
            if isinstance(sink, FileSink):
                sink.close()


def _name(path: Path, root: str, *, absolute: bool) -> str:
    """Name of a file in the ledger: relative where it can be, since state may move with it."""
    kept = absolute and not path.is_relative_to(root)
    return f"file:{path if kept else os.path.relpath(path, root)}"

"""Dead letters as lines of a file, each written once, when the state holds it.

The state keeps every dead letter, and a mark for each that the file may lack. A letter and its mark
are part of one commit; then the line is written; the next commit takes the mark away. A process
that is killed in between leaves marks: the next start compares them with the end of the file, and
writes what is not there.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from ampelstream.errors import StateError
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.deadletter import DeadLetter
from ampelstream.model.display import shortened
from ampelstream.runtime.outputs import encode_lines, letter_row
from ampelstream.state.store import KeyValue

__all__ = ["LetterFile", "LetterKind"]

_REASON_LENGTH = 200
_MANY_KINDS = 50
_AT_ONCE = 100
_OTHER = "other"
_Identity = tuple[Coordinates, str, str]
"""Coordinates, step and reason: what makes two dead letters one."""


class LetterKind(msgspec.Struct):
    """Dead letters that one step gave for one kind of error.

    Attributes
    ----------
    step, error
        Of each of them.
    count
        How many, in the whole life of the state.
    reason
        Of the last one, cut.
    """

    step: str
    error: str
    count: int
    reason: str


class _Known(msgspec.Struct):
    """What the state says of the file: bytes that are there for certain, and kinds of letters."""

    size: int = 0
    kinds: list[LetterKind] = []


class _Line(msgspec.Struct):
    """What a line of the file says of its letter's identity."""

    source: str
    partition: int
    offset: int
    step: str
    reason: str

    @property
    def identity(self) -> _Identity:
        return Coordinates(self.source, self.partition, self.offset), self.step, self.reason


class LetterFile:
    """Appends dead letters to a file, after the commit that made them durable.

    Parameters
    ----------
    path
        The file. It may be moved away at any time: the next letters begin a new one.
    tables
        The store; a transaction, so that the marks are committed with the letters.
    letter
        Gives a dead letter of the state by its key.
    stored
        Gives the keys of all dead letters of the state: one that never had such a file gets it
        whole.

    Raises
    ------
    StateError
        The file cannot be written.
    """

    _MARK, _KNOWN = b"u", b"f"
    _known = msgspec.msgpack.Decoder(_Known)
    _encode = msgspec.msgpack.Encoder().encode

    def __init__(
        self,
        path: Path,
        tables: KeyValue,
        letter: Callable[[bytes], DeadLetter],
        stored: Callable[[], Iterator[bytes]],
    ) -> None:
        self._path = path
        self._tables = tables
        self._fresh: list[tuple[bytes, DeadLetter]] = []
        found = tables.get(self._KNOWN)
        known = _Known() if found is None else self._known.decode(found)
        self._size = known.size
        self._kinds = {(one.step, one.error): one for one in known.kinds}
        keys = [mark[1:] for mark, _ in tables.scan(self._MARK, b"v")]
        self._catch_up(list(stored()) if found is None else keys, letter, counted=bool(found))

    def add(self, key: bytes, letter: DeadLetter) -> None:
        """Have a new letter of the state written after the next commit."""
        self._tables.put(self._MARK + key, b"")
        self._fresh.append((key, letter))
        self._count(letter)
        self._save()

    def write(self) -> None:
        """Append the letters that are durable by now; the next commit notes it.

        Raises
        ------
        StateError
            The disk did not take them. They are in the state, and the next start writes them.
        """
        if not self._fresh:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                file.writelines(encode_lines(letter_row(letter) for _, letter in self._fresh))
                file.flush()
                os.fsync(file.fileno())
                self._size = file.tell()
        except OSError as error:
            raise StateError(
                f"dead letters cannot be written to {self._path}: {error.strerror or error}. Is "
                "the disk full? They are kept in the state, and written by the next start"
            ) from error
        for key, _ in self._fresh:
            self._tables.delete(self._MARK + key)
        self._fresh = []
        self._save()

    def kinds(self) -> list[LetterKind]:
        """What dead letters there are, most frequent first."""
        return sorted(self._kinds.values(), key=lambda one: (-one.count, one.step, one.error))

    def _count(self, letter: DeadLetter) -> None:
        name = (letter.step, letter.error)
        if name not in self._kinds and len(self._kinds) >= _MANY_KINDS:
            name = (_OTHER, _OTHER)
        kind = self._kinds.setdefault(name, LetterKind(*name, 0, ""))
        kind.count += 1
        kind.reason = shortened(letter.reason, _REASON_LENGTH)

    def _save(self) -> None:
        known = _Known(self._size, list(self._kinds.values()))
        self._tables.put(self._KNOWN, self._encode(known))

    # --- after a kill ---------------------------------------------------------------------------

    def _catch_up(
        self, keys: Sequence[bytes], letter: Callable[[bytes], DeadLetter], *, counted: bool
    ) -> None:
        """Write those of these letters that the file lacks."""
        there = self._written() if keys else set()
        for key in keys:
            one = letter(key)
            if not counted:
                self._count(one)
            if (one.where, one.step, one.reason) in there:
                self._tables.delete(self._MARK + key)
            else:
                self._fresh.append((key, one))
            if len(self._fresh) >= _AT_ONCE:
                self.write()
        self.write()
        self._save()

    def _written(self) -> set[_Identity]:
        """Identities of the letters behind what the file holds for certain.

        A line that was written in part is taken off; its letter is marked.
        """
        there: set[_Identity] = set()
        try:
            with self._path.open("r+b") as file:
                size = file.seek(0, os.SEEK_END)
                # a file that is shorter than it was is another one
                at = file.seek(self._size if self._size <= size else 0)
                for line in file:
                    if not line.endswith(b"\n"):
                        file.truncate(at)
                        break
                    at += len(line)
                    there |= _identity(line)
        except FileNotFoundError:
            return there
        except OSError as error:
            raise StateError(
                f"the file of dead letters {self._path} cannot be used: {error.strerror or error}"
            ) from error
        return there


def _identity(line: bytes) -> set[_Identity]:
    """Identity of the letter of a line; none where it is somebody else's line, or part of one."""
    try:
        return {msgspec.json.decode(line, type=_Line).identity}
    except msgspec.DecodeError:
        return set()

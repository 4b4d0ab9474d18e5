"""A file as its readers see it: a window that moves over a stream, and what they find there."""

import lzma
import zlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

__all__ = [
    "BROKEN",
    "KEPT_BYTES",
    "RECORD_LIMIT",
    "Piece",
    "Skipped",
    "Value",
    "Window",
    "may_pass",
]

Value = bytes | Mapping[str, Any]

BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError)
"""What reading raises where the disk fails or a compressed stream is damaged or breaks off."""


def may_pass(error: BaseException | None) -> bool:
    """Whether an error is one of reading, not of what was read: it has a number of the system."""
    return isinstance(error, OSError) and error.errno is not None


RECORD_LIMIT = 64 << 20
"""Longest record of a file, inflated [byte]: four times what a topic takes. A file of some
kilobytes may hold a line without end; what is longer is passed over, and said."""
KEPT_BYTES = 1 << 20
"""So much of what cannot be read is kept with its dead letter [byte]."""

_STEP = 1 << 18


class Piece(NamedTuple):
    """What a reader found: a record, or the position of one that cannot be read.

    Attributes
    ----------
    member
        Name of the file or archive member, with the number of the line where it has lines.
    value
        The packet, notice or row.
    fault
        What is wrong, and where; the value is then as much as could be read. Empty for a record.
    unread
        Whether it is the reading that failed (see `may_pass`).
    """

    member: str
    value: Value
    fault: str = ""
    unread: bool = False


class Skipped(NamedTuple):
    """A file or archive member that holds no records of a known kind.

    Attributes
    ----------
    name
        Of the file, or ``archive: member``.
    reason
        Why it was not read.
    """

    name: str
    reason: str


def _too_long(most: int) -> str:
    return f"a record is longer than {most >> 20} MiB, and is passed over"


class Window:
    """The part of a stream that is in memory; positions are those of the stream.

    A stream that breaks off ends, and says why in ``fault``: what was read before is kept. Where
    it was the reading that failed, ``unread`` is true from then on.

    Parameters
    ----------
    read
        Gives up to so many bytes, none at the end.
    """

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._data = b""
        self._first = 0
        self._at = 0
        self.ended = False
        self.fault = ""
        self.unread = False

    @property
    def begin(self) -> int:
        """Position where the window begins: what was before is gone."""
        return self._first + self._at

    @property
    def end(self) -> int:
        """Position behind the last byte in memory."""
        return self._first + len(self._data)

    def reach(self, to: int) -> bool:
        """Read up to a position; whether the stream goes that far."""
        missing = to - self.end
        if missing <= 0:
            return True
        if self.ended:
            return False
        parts = [self._data[self._at :]]
        self._first += self._at
        self._at = 0
        while missing > 0 and not self.ended:
            piece = self._next()
            parts.append(piece)
            missing -= len(piece)
        self._data = b"".join(parts)
        return missing <= 0

    def _next(self) -> bytes:
        try:
            piece = self._read(_STEP)
        except BROKEN as error:
            self.fault = str(error) or type(error).__name__
            self.unread = may_pass(error)
            piece = b""
        self.ended = not piece
        return piece

    def grow(self, most: int) -> None:
        """Read on; each time as much again, so that the cost of a search is linear.

        Parameters
        ----------
        most
            The window does not become longer than that, by more than a step.
        """
        size = self.end - self.begin
        self.reach(self.end + max(_STEP, min(size, most - size)))

    def cut(self, begin: int, end: int) -> bytes:
        """Bytes of the stream; fewer where it or the window does not hold them."""
        return self._data[max(begin, self.begin) - self._first : max(end - self._first, 0)]

    def find(self, what: bytes, begin: int, end: int | None = None) -> int:
        """Position of the bytes in the window, from ``begin`` on; -1 where they are not."""
        stop = len(self._data) if end is None else end - self._first
        found = self._data.find(what, max(begin, self.begin) - self._first, stop)
        return found + self._first if found >= 0 else -1

    def move(self, to: int) -> None:
        """Let go of what is before a position, which need not be in memory."""
        while to > self.end and not self.ended:
            self._first, self._at, self._data = self.end, 0, self._next()
        self._at = min(to, self.end) - self._first

    def rest(self, most: int) -> tuple[bytes, str]:
        """All that is left, and what is wrong with it; the window then is behind it.

        Parameters
        ----------
        most
            If more is left, only its beginning is given, and the window stays in the middle of it.
        """
        parts = [self._data[self._at :]]
        size = len(parts[0])
        self._first, self._at, self._data = self.end, 0, b""
        while size <= most and not self.ended:
            parts.append(self._next())
            self._first += len(parts[-1])
            size += len(parts[-1])
        if size > most:
            return b"".join(parts[: KEPT_BYTES // _STEP + 1])[:KEPT_BYTES], _too_long(most)
        fault = self.take_fault()
        broken = f"the file breaks off or is damaged: {fault}" if fault else ""
        return b"".join(parts), broken

    def pass_line(self) -> bytes:
        """Go behind the next end of a line, or to the end; give the beginning of what is passed."""
        kept = self.cut(self.begin, self.begin + KEPT_BYTES)
        while (stop := self.find(b"\n", self.begin)) < 0 and not self.ended:
            self.move(self.end)
            self.reach(self.end + 1)
        self.move(self.end if stop < 0 else stop + 1)
        return kept

    def take_fault(self) -> str:
        """Why the stream broke off, to be reported once."""
        fault, self.fault = self.fault, ""
        return fault

"""Files and directories as sources."""

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ampelstream.errors import SourceError
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.record import SourceRecord, Stream
from ampelstream.sources.formats import (
    ONE_RECORD,
    known_suffixes,
    plain_name,
    read_file,
    suffix_of,
    why_not,
)
from ampelstream.sources.merge import After, Source, Waiting, created_time
from ampelstream.sources.window import Skipped

__all__ = ["FileSource", "open_source"]


class FileSource:
    """One file, or all files of a directory.

    Parameters
    ----------
    path
        The file or directory.
    stream
        What it holds.
    """

    def __init__(self, path: Path, stream: Stream) -> None:
        self._path = path
        self._stream: Stream = stream
        self._skipped: dict[str, Skipped] = {}
        self._read: dict[str, tuple[tuple[int, int], int]] = {}
        """Size and time of change [ns] of each file that was read to its end, and its last offset:
        whoever follows a directory need not read again what has not changed."""

    @property
    def name(self) -> str:
        """The path as the user gave it."""
        return _unicode(str(self._path))

    @property
    def skipped(self) -> Sequence[Skipped]:
        """Files and archive members that were met and not read, by name."""
        return sorted(self._skipped.values())

    def _skip(self, one: Skipped) -> None:
        name = _unicode(one.name)
        self._skipped[name] = Skipped(name, one.reason)

    def files(self) -> list[tuple[str, Path]]:
        """Files and their names in coordinates, in the order of reading; listed anew each time.

        Hidden files are left alone; files of other formats too, but those are ``skipped``.
        """
        if not self._path.is_dir():
            return [(_unicode(self._path.name), self._path)]
        root = self._path.resolve().name
        found: list[tuple[str, Path]] = []
        for path in sorted(self._path.rglob("*")):
            inner = path.relative_to(self._path)
            if any(part.startswith(".") for part in inner.parts) or path.is_dir():
                continue
            name = _unicode(f"{root}/{inner.as_posix()}")
            if not path.is_file():
                self._skip(Skipped(name, "not a file, or a link to nothing"))
            elif suffix_of(path.name, self._stream):
                found.append((name, path))
            else:
                self._skip(Skipped(name, why_not(self._stream)))
        if self._stream == "notices":
            found.sort(key=lambda one: (_created(one[1]), one[0]))
        return found

    def read(self, after: After) -> Iterator[SourceRecord]:
        """Give the records, file after file; those up to the offsets in ``after`` are left out.

        Raises
        ------
        SourceError
            A file cannot be read.
        """
        for name, path in self.files():
            done = after.get((name, 0), -1)
            stamp = _stamp(path)
            if self._is_read(name, path, stamp, done):
                continue
            last = yield from self._file(name, path, done)
            self._read[name] = (stamp, last)

    def _is_read(self, name: str, path: Path, stamp: tuple[int, int], done: int) -> bool:
        """Whether nothing can lie behind the offset in this file."""
        one = plain_name(path.name).endswith(ONE_RECORD)
        return done >= 0 and (one or self._read.get(name) == (stamp, done))

    def waiting(self, after: After) -> Waiting:
        """Files that were not read to their end yet, or have changed since."""
        left = sum(
            not self._is_read(name, path, _stamp(path), after.get((name, 0), -1))
            for name, path in self.files()
        )
        return Waiting("files", left)

    def _file(self, name: str, path: Path, done: int) -> Generator[SourceRecord, None, int]:
        """Give the records behind an offset; returns the last one's offset."""
        offset = -1
        try:
            for piece in read_file(path, self._stream):
                if isinstance(piece, Skipped):
                    self._skip(piece)
                    continue
                offset += 1
                if offset > done:
                    where, member = Coordinates(name, 0, offset), _unicode(piece.member)
                    fault = _unicode(piece.fault)
                    yield SourceRecord(where, self._stream, piece.value, member, fault)
        except SourceError as error:
            if not self._path.is_dir():
                raise  # the user named this very file
            # one bad file must not stop the others: what is wrong ends in the dead letters
            if offset + 1 > done:
                where = Coordinates(name, 0, offset + 1)
                member, fault = _unicode(path.name), _unicode(str(error))
                yield SourceRecord(where, self._stream, b"", member, fault)
        return offset

    def estimate(self) -> int | None:
        """Number of records where every file holds one or says how many; None otherwise."""
        total = 0
        for _, path in self.files():
            lower = plain_name(path.name)
            if lower.endswith((".avro", *ONE_RECORD)):
                total += 1
            elif lower.endswith(".parquet"):
                total += _parquet_rows(path)
            else:
                return None
        return total


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return -1, -1  # whoever opens it says what is wrong
    return found.st_size, found.st_mtime_ns


def _unicode(text: str) -> str:
    r"""The text, with ``\xNN`` for what is no UTF-8 in names of files and archive members."""
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _parquet_rows(path: Path) -> int:
    try:
        return int(pq.read_metadata(path).num_rows)
    except (OSError, pa.ArrowException):
        return 0


def _created(path: Path) -> float:
    """Time at which a notice was made; files that do not say go last."""
    try:
        with path.open("rb") as file:
            found = created_time(file.read(1 << 16))
    except OSError:
        found = None
    return float("inf") if found is None else found


def open_source(path: Path, stream: Stream) -> Source:
    """Open a file or directory as a source.

    Parameters
    ----------
    path
        Where it is.
    stream
        ``alerts`` or ``notices``.

    Raises
    ------
    SourceError
        It is not there, or not of a format that is known.
    """
    if not path.exists():
        raise SourceError(f"there is no {path} to read {stream} from")
    if not path.is_dir() and not suffix_of(path.name, stream):
        raise SourceError(
            f"{path} is not a file of {stream} that can be read; known are "
            f"{', '.join(known_suffixes(stream))}"
        )
    return FileSource(path, stream)

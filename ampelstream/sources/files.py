"""Files and directories as sources."""

import math
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from ampelstream.codecs.alerts import Schemas
from ampelstream.errors import InputError, SourceError
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.record import SourceRecord, Stream
from ampelstream.sources.firsttime import first_time
from ampelstream.sources.follower import Follower
from ampelstream.sources.formats import (
    ONE_RECORD,
    known_suffixes,
    plain_name,
    read_file,
    suffix_of,
    why_not,
)
from ampelstream.sources.listing import Listing
from ampelstream.sources.merge import After, Removed, Source, Waiting
from ampelstream.sources.window import Skipped, may_pass

__all__ = ["Changed", "FileSource", "open_source"]


class Changed(NamedTuple):
    """Files by their names in coordinates: those that came, and the names of those that went."""

    added: dict[str, Path]
    removed: set[str]


class FileSource:
    """One file, or all files of a directory.

    Parameters
    ----------
    path
        The file or directory.
    stream
        What it holds.
    schemas
        Of packets that only name theirs: files of such are then read in order of time, too.
    """

    def __init__(self, path: Path, stream: Stream, schemas: Schemas | None = None) -> None:
        self._path = path
        self._schemas = schemas
        self._stream: Stream = stream
        self._root = path.resolve().name
        self._is_directory = path.is_dir()
        self._skipped: dict[str, Skipped] = {}

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

    def listing(self) -> Listing | None:
        """What lists the files; None where there is one, which the user named."""
        return Listing(self._path) if self._path.is_dir() else None

    def files(self, listing: Listing | None, *, whole: bool = False) -> Changed:
        """Files that have come and gone since the last look, by their names in coordinates.

        Hidden files are left alone; files of other formats too, but those are ``skipped``.
        """
        if listing is None:
            return Changed({_unicode(self._path.name): self._path}, set())
        changes = listing.look(whole=whole)
        for path, reason in sorted(changes.odd.items()):
            self._skip(Skipped(self._named(path), reason))
        added: dict[str, Path] = {}
        for path in changes.added:
            name = self._named(path)
            if suffix_of(path, self._stream):
                added[name] = Path(path)
                self._skipped.pop(name, None)  # a link that has led to nothing
            else:
                self._skip(Skipped(name, why_not(self._stream)))
        removed = {self._named(path) for path in changes.removed}
        for name in removed & self._skipped.keys():
            del self._skipped[name]  # perhaps it has got another name, by which it is read
        return Changed(added, removed)

    def _named(self, path: str) -> str:
        inner = Path(path).relative_to(self._path).as_posix()
        return _unicode(f"{self._root}/{inner}")

    def in_order(self, files: Mapping[str, Path], after: After) -> list[tuple[str, Path]]:
        """Files in the order of reading: by the time of what they hold, then by name.

        What was begun comes first, as it did when it was begun.
        """
        if len(files) == 1:
            return list(files.items())

        def begins(one: tuple[str, Path]) -> tuple[float, str]:
            name, path = one
            if (name, 0) in after:
                return -math.inf, name
            return first_time(path, self._stream, self._schemas), name

        return sorted(files.items(), key=begins)

    def read(self, after: After) -> Iterator[SourceRecord]:
        """Give the records, file after file; those up to the offsets in ``after`` are left out.

        Raises
        ------
        SourceError
            A file cannot be read.
        """
        for name, path in self.in_order(self.files(self.listing()).added, after):
            yield from self.rest(name, path, after.get((name, 0), -1))

    def waiting(self, after: After) -> Waiting:
        """How many files there are more cannot be known: that they were read is not kept."""
        del after
        return Waiting("files", None)

    def following(self) -> Source:
        """Give the same records to whoever asks again and again."""
        return Follower(self)

    def rest(self, name: str, path: Path, done: int) -> Generator[SourceRecord, None, int]:
        """Give the records of a file behind an offset; returns the last one's offset."""
        if done >= 0 and plain_name(path.name).endswith(ONE_RECORD):
            return done
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
                    yield SourceRecord(
                        *(where, self._stream, piece.value, member, fault), unread=piece.unread
                    )
        except SourceError as error:
            if not self._path.is_dir():
                raise  # the user named this very file
            # one bad file must not stop the others: what is wrong ends in the dead letters
            if offset + 1 > done:
                where = Coordinates(name, 0, offset + 1)
                member, fault = _unicode(path.name), _unicode(str(error))
                yield SourceRecord(
                    *(where, self._stream, b"", member, fault), unread=may_pass(error.__cause__)
                )
        return offset

    def holds(self, source: str) -> Stream | None:
        """What the records of that source are, if they are of this input."""
        inside = source.startswith(f"{_unicode(self._root)}/")
        ours = inside if self._is_directory else source == _unicode(self._path.name)
        return self._stream if ours else None

    def removed(self, handled: After, reached: After) -> Removed:
        """Nothing is told from files that are away for now: they are waited for."""
        del handled, reached
        return Removed()

    def estimate(self) -> int | None:
        """Number of records where every file holds one or says how many; None otherwise."""
        total = 0
        for path in self.files(self.listing()).added.values():
            lower = plain_name(path.name)
            if lower.endswith((".avro", *ONE_RECORD)):
                total += 1
            elif lower.endswith(".parquet"):
                total += _parquet_rows(path)
            else:
                return None
        return total


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


def open_source(path: Path, stream: Stream, schemas: Schemas | None = None) -> Source:
    """Open a file or directory as a source.

    Parameters
    ----------
    path
        Where it is.
    stream
        ``alerts`` or ``notices``.
    schemas
        Of packets that only name theirs, to read files in order of time.

    Raises
    ------
    InputError
        It is not there, or not of a format that is known.
    """
    if not path.exists():
        raise InputError(f"there is no {path} to read {stream} from")
    if not path.is_dir() and not suffix_of(path.name, stream):
        raise InputError(
            f"{path} is not a file of {stream} that can be read; known are "
            f"{', '.join(known_suffixes(stream))}"
        )
    return FileSource(path, stream, schemas)

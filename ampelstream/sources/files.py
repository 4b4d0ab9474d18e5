"""Files and directories as sources."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ampelstream.errors import SourceError
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.record import SourceRecord, Stream
from ampelstream.sources.base import After, Source
from ampelstream.sources.eventtime import created_time
from ampelstream.sources.formats import ALERT_FORMATS, NOTICE_FORMATS, Reader, reader_of

__all__ = ["FileSource", "open_source"]

_ONE_RECORD = (".json", ".json.gz", ".fits", ".fit", ".fits.gz", ".fit.gz", ".xml")


class FileSource:
    """One file, or all files of a directory.

    Parameters
    ----------
    path
        The file or directory.
    stream
        What it holds.
    formats
        Readers by the ends of names.
    """

    def __init__(self, path: Path, stream: Stream, formats: Mapping[str, Reader]) -> None:
        self._path = path
        self._stream = stream
        self._formats = formats

    @property
    def name(self) -> str:
        """The path as the user gave it."""
        return str(self._path)

    def files(self) -> list[tuple[str, Path]]:
        """Files and their names in coordinates, in the order of reading; listed anew each time.

        Hidden files, and files of other formats, are left alone.
        """
        if not self._path.is_dir():
            return [(self._path.name, self._path)]
        root = self._path.resolve().name
        found: list[tuple[str, Path]] = []
        for path in sorted(self._path.rglob("*")):
            inner = path.relative_to(self._path)
            hidden = any(part.startswith(".") for part in inner.parts)
            if not hidden and path.is_file() and reader_of(path.name, self._formats):
                found.append((f"{root}/{inner.as_posix()}", path))
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
            if done >= 0 and path.name.lower().endswith(_ONE_RECORD):
                continue
            yield from self._file(name, path, done)

    def _file(self, name: str, path: Path, done: int) -> Iterator[SourceRecord]:
        reader = reader_of(path.name, self._formats)
        if reader is None:
            raise SourceError(_strange(path, self._stream, self._formats))
        offset = -1
        try:
            for offset, (member, value) in enumerate(reader(path)):
                if offset > done:
                    yield SourceRecord(Coordinates(name, 0, offset), self._stream, value, member)
        except SourceError as error:
            if not self._path.is_dir():
                raise  # the user named this very file
            # one bad file must not stop the others: what is wrong ends in the dead letters
            if offset + 1 > done:
                yield SourceRecord(Coordinates(name, 0, offset + 1), self._stream, b"", str(error))

    def estimate(self) -> int | None:
        """Number of records where every file holds one or tells how many; None otherwise."""
        total = 0
        for _, path in self.files():
            lower = path.name.lower()
            if lower.endswith((".avro", *_ONE_RECORD)):
                total += 1
            elif lower.endswith(".parquet"):
                total += _parquet_rows(path)
            else:
                return None
        return total


def _parquet_rows(path: Path) -> int:
    try:
        return int(pq.read_metadata(path).num_rows)
    except (OSError, pa.ArrowException):
        return 0


def _created(path: Path) -> float:
    """Time at which a notice was made; files that do not tell go last."""
    try:
        with path.open("rb") as file:
            found = created_time(file.read(1 << 16))
    except OSError:
        found = None
    return float("inf") if found is None else found


def _strange(path: Path, stream: Stream, formats: Mapping[str, Reader]) -> str:
    return f"{path} is not a file of {stream} that can be read; known are {', '.join(formats)}"


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
    formats = ALERT_FORMATS if stream == "alerts" else NOTICE_FORMATS
    if not path.exists():
        raise SourceError(f"there is no {path} to read {stream} from")
    if not path.is_dir() and reader_of(path.name, formats) is None:
        raise SourceError(_strange(path, stream, formats))
    return FileSource(path, stream, formats)

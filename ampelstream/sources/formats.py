"""Readers of single files, by what their names end in. Each gives (member name, value) in order.

A file that breaks off gives what it holds and then one empty value whose member says what happened:
it ends in the dead letters, not in silence.
"""

import gzip
import io
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from ampelstream.errors import SourceError
from ampelstream.sources.avrofile import split_container
from ampelstream.sources.parquet import rows

__all__ = ["ALERT_FORMATS", "NOTICE_FORMATS", "Value", "reader_of"]

Value = bytes | Mapping[str, Any]
Reader = Callable[[Path], Iterator[tuple[str, Value]]]

_MEMBERS = (".avro", ".avro.gz", ".json", ".json.gz", ".fits", ".fits.gz")
_BROKEN = (OSError, EOFError, zlib.error, tarfile.TarError)


def _open(path: Path) -> BinaryIO:
    try:
        return cast("BinaryIO", gzip.open(path)) if path.suffix == ".gz" else path.open("rb")
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from error


def _whole(path: Path) -> Iterator[tuple[str, Value]]:
    """Read a file that is one record."""
    try:
        with _open(path) as file:
            yield path.name, file.read()
    except _BROKEN as error:
        if isinstance(error, SourceError):
            raise
        yield f"{path.name}: unreadable ({error})", b""


def _raw(path: Path) -> Iterator[tuple[str, Value]]:
    """Read a file that is one record, as it lies on disk."""
    try:
        yield path.name, path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from error


def _avro(path: Path) -> Iterator[tuple[str, Value]]:
    for name, data in _whole(path):
        for packet in split_container(data if isinstance(data, bytes) else b""):
            yield name, packet


def _lines(path: Path, name: str = "") -> Iterator[tuple[str, Value]]:
    """Read a file of JSON lines; a line that is no JSON object stays bytes."""
    name = name or path.name
    try:
        with _open(path) as file:
            for number, line in enumerate(file, 1):
                text = line.strip()
                if text:
                    yield f"{name}:{number}", text
    except _BROKEN as error:
        if isinstance(error, SourceError):
            raise
        yield f"{name}: breaks off ({error})", b""


def _rows(path: Path) -> Iterator[tuple[str, Value]]:
    """Read a file of JSON lines as rows."""
    for name, line in _lines(path):
        try:
            row = msgspec.json.decode(line) if isinstance(line, bytes) else line
        except (msgspec.DecodeError, UnicodeDecodeError):
            row = line
        yield name, row if isinstance(row, dict) else line


def _tar(path: Path) -> Iterator[tuple[str, Value]]:
    """Stream a tar archive; its members are Avro containers or JSON documents."""
    count = 0
    try:
        with tarfile.open(path, "r|*") as archive:
            for member in archive:
                file = archive.extractfile(member) if member.isfile() else None
                if file is None or not _is_record(member.name):
                    continue
                data = file.read()
                count += 1
                if member.name.endswith((".avro", ".avro.gz")):
                    if member.name.endswith(".gz"):
                        data = _inflated(data)
                    for packet in split_container(data):
                        yield member.name, packet
                else:
                    yield member.name, _inflated(data) if member.name.endswith(".json.gz") else data
    except _BROKEN as error:
        yield f"{path.name}: breaks off after {count} members ({error})", b""


def _is_record(name: str) -> bool:
    """Whether a member is a packet or a notice; what else lies in an archive is left alone."""
    return name.endswith(_MEMBERS) and not name.rsplit("/", 1)[-1].startswith(".")


def _inflated(data: bytes) -> bytes:
    """Contents of a gzipped member; what is left of a broken one."""
    try:
        return gzip.GzipFile(fileobj=io.BytesIO(data)).read()
    except _BROKEN:
        return data


def _parquet(path: Path) -> Iterator[tuple[str, Value]]:
    for row in rows(path):
        yield path.name, row


ALERT_FORMATS: dict[str, Reader] = {
    ".avro": _avro,
    ".avro.gz": _avro,
    ".tar": _tar,
    ".tar.gz": _tar,
    ".tgz": _tar,
    ".parquet": _parquet,
    ".ndjson": _rows,
    ".jsonl": _rows,
    ".ndjson.gz": _rows,
}
NOTICE_FORMATS: dict[str, Reader] = {
    ".json": _whole,
    ".json.gz": _whole,
    ".ndjson": _lines,
    ".jsonl": _lines,
    ".ndjson.gz": _lines,
    ".tar": _tar,
    ".tar.gz": _tar,
    ".tgz": _tar,
    ".fits": _raw,
    ".fit": _raw,
    ".fits.gz": _raw,
    ".fit.gz": _raw,
    ".xml": _whole,
}


def reader_of(name: str, formats: Mapping[str, Reader]) -> Reader | None:
    """Reader for a file name; None for one that is not of these formats."""
    lower = name.lower()
    for suffix in sorted(formats, key=len, reverse=True):
        if lower.endswith(suffix):
            return formats[suffix]
    return None

"""Readers of single files, by what their names end in.

A file that is damaged or breaks off gives all that can be read of it and, for each damage, a piece
with a fault: it ends in the dead letters, not in silence.
"""

import bz2
import gzip
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import msgspec

from ampelstream.codecs.alerts import MANY_VALUES
from ampelstream.codecs.jsonsize import has_more_values
from ampelstream.errors import SourceError
from ampelstream.model.record import Stream
from ampelstream.sources.archive import Member, members
from ampelstream.sources.avrofile import split_container
from ampelstream.sources.parquet import rows
from ampelstream.sources.window import BROKEN, RECORD_LIMIT, Piece, Skipped, Window
from ampelstream.sources.xz import XzFile

__all__ = ["ONE_RECORD", "known_suffixes", "plain_name", "read_file", "suffix_of", "why_not"]

Reader = Callable[[Window, str], Iterator[Piece]]

ONE_RECORD = (".json", ".json.gz", ".fits", ".fit", ".fits.gz", ".fit.gz", ".xml", ".xml.gz")
"""Files of these names hold one record each."""
_TAR = (".tar", ".tar.gz", ".tgz")
_PARQUET = ".parquet"
_AS_THEY_ARE = (".fits.gz", ".fit.gz")
"""Sky maps stay compressed: so they are kept, and their digests are those of the files."""
_MAP_LIMIT = 128 << 20
"""Longest file of a sky map, as it is [byte]: the worst map of NSIDE 2048, gzipped, has 110 MiB."""
_VERSION = re.compile(r",\d+$")
_BUFFER = 1 << 16
_COMPRESSED: Mapping[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ": XzFile,
}


def _whole(window: Window, name: str) -> Iterator[Piece]:
    """Read a file that is one record."""
    yield Piece(name, *window.rest(RECORD_LIMIT))


def _map(window: Window, name: str) -> Iterator[Piece]:
    """Read a sky map, as it is."""
    yield Piece(name, *window.rest(_MAP_LIMIT))


def _lines(window: Window, name: str) -> Iterator[Piece]:
    """Read a file of JSON lines."""
    number, seen = 0, window.begin
    while True:
        begin = window.begin
        stop = window.find(b"\n", max(begin, seen))
        if stop < 0 and window.ended:
            break
        if (window.end if stop < 0 else stop) - begin > RECORD_LIMIT:
            number += 1
            fault = f"the line is longer than {RECORD_LIMIT >> 20} MiB, and is passed over"
            yield Piece(f"{name}:{number}", window.pass_line(), fault)
            seen = window.begin
            continue
        if stop < 0:
            seen = window.end
            window.grow(RECORD_LIMIT)
            continue
        number += 1
        text = window.cut(begin, stop).strip()
        window.move(stop + 1)
        if text:
            yield Piece(f"{name}:{number}", text)
    text = window.cut(window.begin, window.end).strip()
    window.move(window.end)
    fault = window.take_fault()
    if text and (not fault or isinstance(_parsed(text), dict)):
        yield Piece(f"{name}:{number + 1}", text)
        text = b""
    if fault:
        yield Piece(f"{name}:{number + 1}", text, f"the file breaks off here: {fault}")


def _parsed(text: bytes) -> Any:
    if has_more_values(text, MANY_VALUES):
        return None  # the codec says why it cannot be decoded
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _rows(window: Window, name: str) -> Iterator[Piece]:
    """Read a file of JSON lines as rows; a line that is no JSON object stays bytes."""
    for piece in _lines(window, name):
        row = None if piece.fault else _parsed(cast("bytes", piece.value))
        yield piece._replace(value=row) if isinstance(row, dict) else piece


_LINES = (".ndjson", ".jsonl", ".ndjson.gz", ".jsonl.gz")
_READERS: Mapping[Stream, Mapping[str, Reader]] = {
    "alerts": dict.fromkeys((".avro", ".avro.gz"), split_container) | dict.fromkeys(_LINES, _rows),
    "notices": {one: _map if ".fit" in one else _whole for one in ONE_RECORD}
    | dict.fromkeys(_LINES, _lines),
}
_INSIDE: Mapping[Stream, Mapping[str, Reader]] = {
    "alerts": {**_READERS["alerts"], ".json": _whole, ".json.gz": _whole},
    "notices": _READERS["notices"],
}
"""Readers of the members of archives."""


def plain_name(name: str) -> str:
    """Name in lower case, without the version that GraceDB appends (``bayestar.fits.gz,1``)."""
    return _VERSION.sub("", name.lower())


def known_suffixes(stream: Stream) -> tuple[str, ...]:
    """Ends of the names of files that can be read, the longest first."""
    own = (*_READERS[stream], *_TAR, *((_PARQUET,) if stream == "alerts" else ()))
    return tuple(sorted(own, key=lambda one: (-len(one), one)))


def suffix_of(name: str, stream: Stream) -> str:
    """End of a file's name that says how to read it; empty for one that cannot be read."""
    lower = plain_name(name)
    return next((one for one in known_suffixes(stream) if lower.endswith(one)), "")


class _Raw(io.RawIOBase):
    """A member of an archive as a file, for the libraries of compression."""

    def __init__(self, member: Member) -> None:
        self._member = member

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._member.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _window(file: "io.BufferedReader[Any]", suffix: str) -> Window:
    """Window on a file, decompressed by what it begins with, whatever its name says."""
    if suffix not in _AS_THEY_ARE:
        with suppress(*BROKEN):  # who reads the window meets the same error
            begin = file.peek(8)
            for magic, opened in _COMPRESSED.items():
                if begin.startswith(magic):
                    return Window(opened(file).read1)
    return Window(file.read1)


def _archive(window: Window, name: str, stream: Stream) -> Iterator[Piece | Skipped]:
    """Read a tar archive; hidden members are left alone, as hidden files are."""
    for member in members(window, name):
        if member.fault:
            yield Piece(name, b"", member.fault)
            continue
        suffix = next((one for one in _INSIDE[stream] if plain_name(member.name).endswith(one)), "")
        if member.name.rsplit("/", 1)[-1].startswith("."):
            continue
        if member.skip or not suffix:
            yield Skipped(f"{name}: {member.name}", member.skip or _strange(_INSIDE[stream]))
            continue
        file = io.BufferedReader(_Raw(member), _BUFFER)
        yield from _INSIDE[stream][suffix](_window(file, suffix), member.name)


def _strange(suffixes: Iterable[str]) -> str:
    return f"its name ends in none of {', '.join(suffixes)}"


def why_not(stream: Stream) -> str:
    """Why a file is not read of which ``suffix_of`` gives nothing."""
    return _strange(known_suffixes(stream))


def read_file(path: Path, stream: Stream) -> Iterator[Piece | Skipped]:
    """Read a file.

    Parameters
    ----------
    path
        Its name ends as one of ``known_suffixes``.
    stream
        What it holds.

    Raises
    ------
    SourceError
        It cannot be opened, or is no file of alerts at all.
    """
    suffix = suffix_of(path.name, stream)
    if suffix == _PARQUET:
        yield from rows(path)
        return
    try:
        file = path.open("rb")
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from error
    with file:
        window = _window(file, suffix)
        if suffix in _TAR:
            found = _archive(window, path.name, stream)
        else:
            found = _READERS[stream][suffix](window, path.name)
        for piece in found:
            if window.unread and isinstance(piece, Piece) and piece.fault:
                yield piece._replace(unread=True)
            else:
                yield piece

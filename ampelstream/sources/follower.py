"""A directory that is followed: a pass over it costs what is new, not what is there."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ampelstream.model.record import SourceRecord
from ampelstream.sources.formats import ONE_RECORD, plain_name
from ampelstream.sources.merge import After, SourceAround, Waiting

if TYPE_CHECKING:
    from ampelstream.sources.files import FileSource

__all__ = ["EVERYTHING_EVERY", "Follower"]

EVERYTHING_EVERY = 60
"""Passes between two that look at everything: also at files that held one record, which hardly ever
grow, and at directories that do not say that they have changed."""

_Stamp = tuple[int, int]
"""Size [byte] and time of change [ns]."""


class Follower(SourceAround["FileSource"]):
    """A source that is read again and again, by one reader: what it gave is not looked for again.

    A file is read until its end was met. Then one of several records (NDJSON, archives, tables) is
    read again when its size or time of change is another one, which is looked at in each pass; an
    Avro file with one record likewise, but looked at in every 60th pass; a notice never.

    Parameters
    ----------
    source
        The file or directory.
    """

    def __init__(self, source: "FileSource") -> None:
        super().__init__(source)
        self._listing = source.listing()
        self._passes = 0
        self._unread: dict[str, Path] = {}
        self._growing: dict[str, tuple[Path, _Stamp]] = {}
        self._quiet: dict[str, tuple[Path, _Stamp]] = {}

    def waiting(self, after: After) -> Waiting:
        """How many files the last pass found that were not read to their end yet.

        Not known before the first pass.
        """
        del after  # a file is read once its end was met, whatever became of its records
        if not self._passes:
            return Waiting("files", None)
        return Waiting("files", len(self._unread))

    def read(self, after: After) -> Iterator[SourceRecord]:
        """Give the records that have come since the last pass, and are not in ``after``.

        Raises
        ------
        SourceError
            The file or directory cannot be read.
        """
        self._look()
        for name, path in self._source.in_order(self._unread, after):
            stamp = _stamp(path)  # before it is read: what comes meanwhile shows in the next pass
            last = yield from self._source.rest(name, path, after.get((name, 0), -1))
            del self._unread[name]
            plain = plain_name(path.name)
            if plain.endswith(ONE_RECORD):
                continue
            one = last <= 0 and ".avro" in plain
            (self._quiet if one else self._growing)[name] = (path, stamp)

    def _look(self) -> None:
        """Find out what has come, grown and gone."""
        whole = self._passes % EVERYTHING_EVERY == 0
        self._passes += 1
        if self._listing is not None or self._passes == 1:
            changed = self._source.files(self._listing, whole=whole)
            self._unread.update(changed.added)
            for held in (self._unread, self._growing, self._quiet):
                for name in changed.removed & held.keys():
                    del held[name]
        for read in (self._growing, self._quiet) if whole else (self._growing,):
            for name, (path, stamp) in list(read.items()):
                if _stamp(path) != stamp:
                    self._unread[name] = read.pop(name)[0]


def _stamp(path: Path) -> _Stamp:
    try:
        found = path.stat()
    except OSError:
        return -1, -1  # whoever opens it says what is wrong
    return found.st_size, found.st_mtime_ns

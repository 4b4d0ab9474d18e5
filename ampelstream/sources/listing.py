"""The files below a directory, listed anew only where something has changed.

Whoever follows a directory asks every second what has come, and most of it has been there for days.
A directory says by its own time of change whether a name in it is new; so a look costs one question
for each directory, however many files they hold.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ampelstream.errors import SourceError

__all__ = ["Changes", "Listing"]

_RACY_NS = 2_000_000_000
"""A directory that changed so short before it was listed [ns] may change again at the same time of
change: file systems count it in steps of some milliseconds, old ones of two seconds."""


@dataclass(slots=True)
class Changes:
    """What a look has found.

    Attributes
    ----------
    added, removed
        Paths of files, sorted.
    odd
        Paths of what is neither file nor directory, or cannot be listed, with the reason.
    """

    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    odd: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Directory:
    """What was found in a directory: its time of change [ns], files, and directories below."""

    changed: int
    settled: bool
    files: frozenset[str]
    below: tuple[str, ...]


class Listing:
    """Files below a directory; hidden ones, and those of hidden directories, are left alone.

    Links to directories are not followed.

    Parameters
    ----------
    root
        The directory.
    clock
        Time since 1970 [ns].
    """

    def __init__(self, root: Path, clock: Callable[[], int] = time.time_ns) -> None:
        self._root = str(root)
        self._clock = clock
        self._known: dict[str, _Directory] = {}

    def look(self, *, whole: bool = False) -> Changes:
        """Give what has come and gone since the last look, at first everything.

        Parameters
        ----------
        whole
            Whether to list all directories, also those that say that they have not changed: some
            file systems of networks and clouds never say so.

        Raises
        ------
        SourceError
            The root cannot be listed.
        """
        changes = Changes()
        waiting, met = [self._root], set()
        while waiting:
            path = waiting.pop()
            try:
                found = self._directory(path, changes, whole=whole)
            except OSError as error:
                if path == self._root:
                    raise SourceError(f"{path} cannot be listed: {error.strerror}") from error
                changes.odd[path] = f"a directory that cannot be listed: {error.strerror}"
                continue
            met.add(path)
            waiting.extend(found.below)
        for path in self._known.keys() - met:
            changes.removed.extend(self._known.pop(path).files)
        changes.added.sort()
        changes.removed.sort()
        return changes

    def _directory(self, path: str, changes: Changes, *, whole: bool) -> _Directory:
        known = self._known.get(path)
        # before it is listed: what comes meanwhile shows the next time
        changed = os.stat(path).st_mtime_ns  # noqa: PTH116  (a Path for each look takes longer)
        if known is not None and known.settled and known.changed == changed and not whole:
            return known
        before = frozenset[str]() if known is None else known.files
        settled = changed < self._clock() - _RACY_NS
        files: set[str] = set()
        below: list[str] = []
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    below.append(entry.path)
                elif entry.path in before or _is_file(entry, changes):
                    files.add(entry.path)
        changes.added.extend(files - before)
        changes.removed.extend(before - files)
        found = _Directory(changed, settled, frozenset(files), tuple(below))
        self._known[path] = found
        return found


def _is_file(entry: os.DirEntry[str], changes: Changes) -> bool:
    """Whether it is a file, or a link to one; a link to a directory is passed over."""
    try:
        if entry.is_file():
            return True
        if entry.is_dir():
            return False
    except OSError:  # a link that leads to itself, or to where we may not look
        pass
    changes.odd[entry.path] = "not a file, or a link to nothing"
    return False

"""What is in hand, written where it survives the process: so a record that kills is found out.

A page of memory that is mapped to a file holds what the processor is about to handle (see
``core/inhand.py``). Writing there costs about a microsecond and no call of the system; the page
survives the death of the process, if not that of the machine, which no record causes. At its next
start the process reads what was in hand and counts a death for it. What is handled after that is
forgotten when it is durable; what was in hand at three deaths is given up: it is set aside, and
what lies behind it is handled. Deaths are counted together for all processes that share a directory
(``suspects.py``).

Nobody is blamed who is known to be innocent: whoever ends the process for another reason clears the
page. A SIGKILL by a person, or by a system that is short of memory, cannot: it counts as a death.
"""

import fcntl
import logging
import mmap
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import msgspec

from ampelstream.errors import AmpelstreamError, StateError
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.digest import digest
from ampelstream.runtime.service.log import incident
from ampelstream.runtime.service.suspects import Deaths, Suspects, What, what_of

__all__ = ["DEATHS", "Journal", "Journals"]

DEATHS = 3
"""What was in hand when the process died so often is set aside."""

_LOG = logging.getLogger(__name__)
_SLOT, _SLOTS = 1024, 64
"""Bytes for each thing in hand, and how many there are: as many as ``--pool-processes`` allows."""
_MOST_TOGETHER = 10_000
"""Records of a run; a page that says more was damaged."""
_LONG = 300
"""Bytes of a name; a slot has room for two, and for what else names a record."""
_NOTE = _SLOT * _SLOTS
_TOGETHER = _NOTE + _SLOT
"""Where the records are named that are looked at together, as runs of offsets."""
_SIZE = _TOGETHER + (1 << 16)
_PROCESSES = 100
"""So many processes may use one directory at once."""
_UNREADABLE = msgspec.MsgspecError, UnicodeDecodeError
"""What a page raises that a death left half written."""
_UNKNOWN = "killed, or ended by what it computed"

_encode = msgspec.msgpack.Encoder().encode
_decode_slot = msgspec.msgpack.Decoder(list[str | int]).decode
_decode_note = msgspec.msgpack.Decoder(str).decode
_Run = tuple[str, int, int, int]
"""Source, partition, first and last offset."""
_decode_runs = msgspec.msgpack.Decoder(list[_Run]).decode


class Journal:
    """What one step of this process has in hand; used by one thread at a time.

    Parameters
    ----------
    directory
        Where the page lies. Processes that share it have a page each.
    step
        Whose it is, for names and messages.
    moved
        Called for each thing that is begun, as a sign of life.

    Raises
    ------
    StateError
        The page cannot be made.
    """

    def __init__(
        self, directory: Path, step: str, moved: Callable[[], object] = lambda: None
    ) -> None:
        self.step = step
        self._moved = moved
        self._directory = directory
        page = _open_page(directory, step)
        self._page: mmap.mmap | bytearray = page
        self._free = [number * _SLOT for number in reversed(range(_SLOTS))]
        self._slots: dict[What, int] = {}
        self._passed: list[What] = []
        self._suspects = Suspects(directory / f"{quote(step, safe='')}.deaths")
        self._deaths: Deaths = {}
        self._take_over(page)
        self.consult()

    # what a processor says (`core.inhand.InHand`)

    def doubtful(self, what: What) -> bool:
        """Whether it was in hand at a death."""
        return bool(self._deaths) and _noted(what) in self._deaths

    def begin(self, what: What) -> str:
        """Note it; gives why it must not be handled, or nothing."""
        self._moved()
        data = _encode(_noted(what))
        size = len(data)
        if what not in self._slots and self._free:
            at = self._slots[what] = self._free.pop()
            self._page[at : at + 2 + size] = size.to_bytes(2, "little") + data
        if not self._deaths:
            return ""
        deaths, how = self._deaths.get(_noted(what), (0, ""))
        if deaths < DEATHS:
            return ""
        return f"it was in hand at {deaths} deaths of the process that handled it (the last: {how})"

    def end(self, what: What) -> None:
        """It is handled."""
        at = self._slots.pop(what, None)
        if at is not None:
            self._page[at : at + 2] = b"\0\0"
            self._free.append(at)
        if self.doubtful(what):
            self._passed.append(_noted(what))

    def begin_all(self, whats: Sequence[Coordinates]) -> bool:
        """Note records that are looked at together, unless one of them is doubtful."""
        self._moved()
        if self._deaths and any(map(self.doubtful, whats)):
            return False
        runs = _runs(whats)
        data = _encode(runs)
        while len(data) >= _SIZE - _TOGETHER - 2:  # long names: as many as there is room for
            runs = runs[: len(runs) // 2]
            data = _encode(runs)
        _write(self._page, _TOGETHER, data)
        return True

    def end_all(self) -> None:
        """They have been looked at."""
        self._page[_TOGETHER : _TOGETHER + 2] = b"\0\0"

    def committed(self) -> None:
        """What was handled is durable: it is no longer suspected of anything."""
        if self._passed:
            passed = set(self._passed)
            self._passed.clear()
            self._deaths = self._suspects.change(
                lambda deaths: [deaths.pop(what, None) for what in passed]
            )

    def abandoned(self) -> None:
        """What was handled since the last commit is not to be durable: it will come again."""
        self._passed.clear()

    # what the process says, from any thread

    def blame(self, how: str) -> None:
        """The process is ended for what is in hand; what is begun after that is not noted."""
        _write(self._page, _NOTE, _encode(how[:250]))
        self._page = bytearray(_SIZE)

    def acquit(self) -> None:
        """The process ends for another reason; what is begun after that is not noted."""
        _clear(self._page)
        self._page = bytearray(_SIZE)

    # between two processes

    def consult(self) -> None:
        """See what others have found out; to be called when partitions have come.

        Where one of them is dead and was not started again yet, its death is counted here.
        """
        for page in _left_pages(self._directory, self.step):
            self._take_over(page)
            page.close()
        self._deaths = self._suspects.read()

    def _take_over(self, page: mmap.mmap) -> None:
        """Count a death for what was in hand, and say so."""
        how = _UNKNOWN
        with suppress(*_UNREADABLE):
            how = _decode_note(_read(page, _NOTE)) or _UNKNOWN
        found: list[What] = []
        for at in range(0, _NOTE, _SLOT):
            with suppress(*_UNREADABLE):
                found.append(what_of(_decode_slot(_read(page, at))))
        together: list[What] = []
        with suppress(*_UNREADABLE):
            together += _places(_decode_runs(_read(page, _TOGETHER)))

        def count(deaths: Deaths) -> None:
            for what in (*found, *together):
                deaths[what] = (deaths.pop(what, (0, ""))[0] + 1, how)

        if found or together:
            known = self._suspects.change(count)
            for what in found:
                _tell(self.step, what, known[what][0], how)
        if together:
            _tell_all(self.step, together, how)
        _write(page, _NOTE, b"")
        _clear(page)


class Journals:
    """The journals of a process, one for each of its steps.

    As a context it clears them at the end, unless that is an error that nobody foresaw: what was
    in hand then may have caused it.

    Parameters
    ----------
    directory
        Where they lie.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._open: dict[str, Journal] = {}

    def open(self, step: str, moved: Callable[[], object] = lambda: None) -> Journal:
        """Make the journal of a step, and say what was in hand at the last death (see `Journal`).

        Raises
        ------
        StateError
            It cannot be made.
        """
        self._open[step] = Journal(self._directory, step, moved)
        return self._open[step]

    def ending(self, reasons: dict[str, str]) -> None:
        """The process is ended for what these steps have in hand, and for nothing else.

        Parameters
        ----------
        reasons
            By the name of the step.
        """
        for step, journal in self._open.items():
            if step in reasons:
                journal.blame(reasons[step])
            else:
                journal.acquit()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        foreseen = AmpelstreamError, KeyboardInterrupt, SystemExit
        if error is None or isinstance(error, foreseen):
            self.ending({})
        else:
            self.ending(dict.fromkeys(self._open, repr(error)))


def _noted(what: What) -> What:
    """Under which name it is noted: a path or an id may be longer than a slot."""
    if isinstance(what, Coordinates):
        short = _cut(what.source)
        return what if short is what.source else Coordinates(short, what.partition, what.offset)
    return _cut(what[0]), _cut(what[1])


def _cut(name: str) -> str:
    """Of a long name the beginning, and a digest of all of it."""
    if len(name) * 4 <= _LONG or len(name.encode()) <= _LONG:
        return name
    return f"{name[:60]}...{digest(name)}"


def _open_page(directory: Path, step: str) -> mmap.mmap:
    """Map the first page that no other process uses; its lock ends with the process."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for number in range(_PROCESSES):
            page = _locked(_page_file(directory, step, number))
            if page is not None:
                return page
    except OSError as error:
        raise StateError(
            f"{directory} cannot hold what is in hand: {error.strerror or error}. Is the disk full?"
        ) from error
    raise StateError(f"{directory} is used by {_PROCESSES} processes; give others another state")


def _left_pages(directory: Path, step: str) -> Iterator[mmap.mmap]:
    """Pages of processes that are gone, each locked until it is closed."""
    for number in range(_PROCESSES):
        path = _page_file(directory, step, number)
        if not path.exists():
            return  # they are made in order
        try:
            page = _locked(path)
        except OSError:
            continue  # whoever starts next says what is wrong
        if page is not None:
            yield page


def _page_file(directory: Path, step: str, number: int) -> Path:
    return directory / f"{quote(step, safe='')}-{number}"


def _locked(path: Path) -> mmap.mmap | None:
    """Map a page, and lock it; None where another process has it."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        missing = _SIZE - os.fstat(file).st_size
        if missing > 0:  # written, not only reserved: a full disk must not end a process
            os.pwrite(file, bytes(missing), _SIZE - missing)
        return mmap.mmap(file, _SIZE)
    except BlockingIOError:
        return None
    finally:
        os.close(file)  # the map has its own, and with it the lock


def _read(page: mmap.mmap, at: int) -> bytes:
    """What stands at a place; a death may have cut its writing short, so it may be anything."""
    size = int.from_bytes(page[at : at + 2], "little")
    return bytes(page[at + 2 : at + 2 + size])


def _write(page: mmap.mmap | bytearray, at: int, data: bytes) -> None:
    page[at : at + 2 + len(data)] = len(data).to_bytes(2, "little") + data


def _clear(page: mmap.mmap | bytearray) -> None:
    for at in range(0, _NOTE, _SLOT):
        page[at : at + 2] = b"\0\0"
    page[_TOGETHER : _TOGETHER + 2] = b"\0\0"


def _runs(whats: Sequence[Coordinates]) -> list[_Run]:
    """Records as runs of offsets of one source and partition."""
    runs: list[_Run] = []
    source, partition, first, last = "", -1, 0, 0
    for what in whats:
        if what.source == source and what.partition == partition and what.offset == last + 1:
            last += 1
            continue
        if partition >= 0:
            runs.append((_cut(source), partition, first, last))
        source, partition, first = what.source, what.partition, what.offset
        last = first
    if partition >= 0:
        runs.append((_cut(source), partition, first, last))
    return runs


def _places(runs: Sequence[_Run]) -> Iterator[What]:
    for source, partition, first, last in runs:
        for offset in range(first, min(last, first + _MOST_TOGETHER) + 1):
            yield Coordinates(source, partition, offset)


def _tell_all(step: str, whats: Sequence[What], how: str) -> None:
    text = (
        f"{step}: the last process died while it looked at {len(whats)} records together, from "
        f"{whats[0]} to {whats[-1]}: each of them is now handled by itself"
    )
    incident(_LOG, logging.WARNING, "died_in_hand", text, step=step, records=len(whats), how=how)


def _tell(step: str, what: What, deaths: int, how: str) -> None:
    given_up = deaths >= DEATHS
    fields: dict[str, Any] = {"step": step}
    if isinstance(what, Coordinates):
        named = f"record {what}"
        fields |= {"source": what.source, "partition": what.partition, "offset": what.offset}
    else:
        about = f"for event {what[0]}" if what[0] else "of a backfill"
        named = f"object {what[1]} {about}"
        fields |= {"event_id": what[0], "object_id": what[1]}
    text = f"{step}: the last process died while it handled {named}"
    if given_up:
        text += f", as {deaths - 1} before it: it becomes a dead letter"
    level = logging.ERROR if given_up else logging.WARNING
    incident(_LOG, level, "died_in_hand", text, **fields, deaths=deaths, how=how)

"""Tar archives as streams: their members one after the other, and what is damaged in between.

Python's ``tarfile`` ends in silence at a damaged header, and at the end mark of the first of two
archives that were joined. Here reading goes on at the next header that is one.
"""

import tarfile
from collections.abc import Iterator
from typing import Final

from ampelstream.sources.window import Window

__all__ = ["Member", "members"]

_BLOCK: Final = tarfile.BLOCKSIZE
_NAME_LIMIT: Final = 1 << 20
"""Names and attributes of a member come in members of their own, which are never this long."""
_SPARSE = b"GNU.sparse"
_PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_LINKS = (tarfile.LNKTYPE, tarfile.SYMTYPE)


class Member:
    """A member of an archive, to be read before the next one is asked for.

    Attributes
    ----------
    name
        Its path in the archive.
    skip
        Why there is nothing to read; empty where there is.
    fault
        What is wrong with the archive at this position; it is then no member.
    """

    def __init__(
        self,
        window: Window,
        begin: int = 0,
        size: int = 0,
        *,
        archive: str = "",
        name: str = "",
        skip: str = "",
        fault: str = "",
    ) -> None:
        self._window = window
        self._archive = archive
        self._at = begin
        self._end = begin + size
        self.name = name
        self.skip = skip
        self.fault = fault
        self.cut = False
        """Whether reading met the end of the archive before that of the member."""

    def read(self, size: int) -> bytes:
        """Give up to so many bytes, none at the end.

        Raises
        ------
        EOFError
            The archive breaks off within the member.
        """
        stop = min(self._at + size, self._end)
        if stop <= self._at:
            return b""
        self._window.reach(stop)
        found = self._window.cut(self._at, stop)
        if not found:
            self.cut = True
            fault = self._window.take_fault()
            raise EOFError(
                f"its archive {self._archive} breaks off, {self._end - self._at} bytes too early"
                + (f": {fault}" if fault else "")
            )
        self._at += len(found)
        self._window.move(self._at)
        return found


def _padded(size: int) -> int:
    return (size + _BLOCK - 1) // _BLOCK * _BLOCK


def _attributes(data: bytes) -> dict[str, str]:
    """Attributes of an extended header (POSIX pax) that matter: lines of length, name and value."""
    found: dict[str, str] = {}
    while data:
        length, _, _ = data.partition(b" ")
        if not length.isdigit() or not 0 < int(length) <= len(data):
            break
        line, data = data[: int(length)], data[int(length) :]
        name, _, value = line[len(length) + 1 : -1].partition(b"=")
        if name.startswith(_SPARSE):
            name = _SPARSE
        if name in {b"path", b"size", _SPARSE}:  # of the others there may be any number
            found[name.decode()] = value.decode("utf-8", "surrogateescape")
    return found


class _Archive:
    """Reads headers; keeps what one says of the next.

    Parameters
    ----------
    window
        On the beginning of the archive.
    name
        Of the archive.
    """

    def __init__(self, window: Window, name: str) -> None:
        self._window = window
        self._name = name
        self._said: dict[str, str] = {}
        self._damaged = -1
        """Where a header was expected and was none; -1 where all is well."""
        self._cut = False
        """Whether it was said already that the archive breaks off."""
        self._closed = False
        """Whether the end mark was met behind the last member."""

    def members(self) -> Iterator[Member]:
        window = self._window
        while window.reach(window.begin + 1):
            at = window.begin
            whole = window.reach(at + _BLOCK)
            block = window.cut(at, at + _BLOCK)
            if not whole:
                break
            if not any(block):
                self._closed = True
                yield from self._damage(at)
                window.move(at + _BLOCK)
                continue
            info = self._header(block)
            if info is None:
                self._damaged = at if self._damaged < 0 else self._damaged
                window.move(at + _BLOCK)
                continue
            yield from self._damage(at)
            self._closed = False
            yield from self._member(info, at + _BLOCK)
        if self._damaged >= 0 and not window.fault:
            yield from self._damage(window.end)
            return
        yield from self._damage(window.end)
        yield from self._ending(window.end - window.begin)

    @staticmethod
    def _header(block: bytes) -> tarfile.TarInfo | None:
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except (tarfile.HeaderError, ValueError):
            return None
        return info if info.size >= 0 else None

    def _member(self, info: tarfile.TarInfo, begin: int) -> Iterator[Member]:
        window, kind = self._window, info.type
        extended = kind in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME)
        if extended and info.size <= _NAME_LIMIT:
            window.reach(begin + info.size)
            data = window.cut(begin, begin + info.size)
            if kind == tarfile.GNUTYPE_LONGNAME:
                self._said["path"] = data.rstrip(b"\0").decode("utf-8", "surrogateescape")
            else:
                self._said |= _attributes(data)
            window.move(begin + _padded(info.size))
            return
        if kind in (tarfile.GNUTYPE_LONGLINK, tarfile.XGLTYPE):
            window.move(begin + _padded(info.size))
            return
        said, self._said = self._said, {}
        size = info.size if not said.get("size", "").isdigit() else int(said["size"])
        linked = kind in _LINKS
        end = begin if linked else begin + _padded(size)
        name = said.get("path", info.name)
        if kind != tarfile.DIRTYPE and not name.endswith("/"):
            skip = ""
            if linked:
                skip = "a link, and not the file itself"
            elif kind not in _PLAIN or _SPARSE.decode() in said:
                skip = "not a plain file"
            member = Member(window, begin, size, archive=self._name, name=name, skip=skip)
            yield member
            self._cut = member.cut
        window.move(end)
        if window.end < end and not window.ended:
            window.reach(end)

    def _damage(self, until: int) -> Iterator[Member]:
        """Say what was passed over since the last good header."""
        if self._damaged >= 0:
            at, self._damaged = self._damaged, -1
            yield Member(
                self._window,
                fault=f"no header of a member at byte {at} of the archive; the {until - at} bytes "
                f"up to byte {until} are lost",
            )

    def _ending(self, rest: int) -> Iterator[Member]:
        """Say what is wrong with the end."""
        if self._cut:
            return
        fault = self._window.take_fault()
        where = f"at byte {self._window.end}"
        if fault:
            yield Member(self._window, fault=f"the archive breaks off {where}: {fault}")
        elif rest:
            yield Member(self._window, fault=f"the archive breaks off {where}, within a header")
        elif not self._closed:
            yield Member(
                self._window,
                fault=f"the archive ends {where} without an end mark: it may have been cut off",
            )


def members(window: Window, name: str) -> Iterator[Member]:
    """Give the members of an archive in their order, and its damages where they are.

    Directories are left out.

    Parameters
    ----------
    window
        On its beginning, uncompressed.
    name
        Of the archive, for people.
    """
    yield from _Archive(window, name).members()

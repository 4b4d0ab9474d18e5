"""Avro files of many records, cut into packets of one, as they would travel on Kafka.

Packets with cutouts are as large as a block, so that a night's file is many blocks of one record.
Damage of one block must not cost the others: reading goes on behind the next sync marker, or at the
header of a second file that was joined to the first. Each damage is said once, with its
position.
"""

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from ampelstream.codecs.avro.columns import Walker
from ampelstream.codecs.avro.container import (
    MAGIC,
    MARKER_BYTES,
    MAX_VARINT,
    inflate,
    long_bytes,
    metadata,
    read_header,
    read_long,
    write_header,
)
from ampelstream.codecs.avro.packets import GARBAGE
from ampelstream.errors import DecodeError
from ampelstream.sources.window import KEPT_BYTES, RECORD_LIMIT, Piece, Window

__all__ = ["BLOCK_LIMIT", "split_container"]

BLOCK_LIMIT = 64 << 20
"""A block that says it is larger is taken for damaged: it must not fill the memory [bytes]."""
_BLOCK_RECORDS = 1_000_000
"""Nor may it hold more records than that; a packet has some kilobytes."""

_HEADER_LIMIT = 16 << 20
_HEADER_STEP = 1 << 16
_SCHEMAS_KEPT = 64


class _Head(NamedTuple):
    """What the blocks of a container are read with.

    Attributes
    ----------
    packet
        Header of the packets that its records become: without compression.
    marker
        Its sync marker.
    codec
        Of its blocks.
    walker
        Finds where a record ends; None where the schema is corrupt, as ``fault`` says.
    """

    packet: bytes
    marker: bytes
    codec: str
    walker: Walker | None
    fault: str


class _Block(NamedTuple):
    """A block by its own account: how many records, and where they begin and end."""

    records: int
    begin: int
    end: int


@lru_cache(_SCHEMAS_KEPT)
def _walker_of(schema: bytes) -> tuple[Walker | None, str]:
    """What finds the end of a schema's records, or what is wrong with it: once for many files."""
    try:
        return Walker(json.loads(schema)), ""
    except (DecodeError, *GARBAGE) as error:
        return None, f"the container's schema is corrupt: {error}"


def _read_head(window: Window, at: int) -> tuple[_Head, int]:
    """Header of the container that begins at a position, and where it ends.

    Raises
    ------
    DecodeError
        It is none, or is corrupt.
    """
    size = _HEADER_STEP
    while True:
        whole = window.reach(at + size)
        data = window.cut(at, at + size)
        try:
            header = read_header(data)
            break
        except DecodeError:
            if not whole or size >= _HEADER_LIMIT or data[:4] != MAGIC:
                raise
            size *= 4
    marker = data[header.body - MARKER_BYTES : header.body]
    meta = metadata(header.key)
    if "avro.schema" not in meta:
        raise DecodeError("the header of the Avro container holds no schema")
    codec = meta.get("avro.codec", b"null").decode("utf-8", "replace")
    walker, fault = _walker_of(meta["avro.schema"])
    packet = data[: header.body]
    if codec not in {"", "null"}:
        packet = write_header(meta | {"avro.codec": b"null"}, marker)
    return _Head(packet, marker, codec, walker, fault), at + header.body


def _measure(window: Window, at: int) -> _Block | None:
    """Block that begins at a position; None where there cannot be one."""
    window.reach(at + 2 * MAX_VARINT)
    data = window.cut(at, at + 2 * MAX_VARINT)
    try:
        count, behind = read_long(data, 0)
        size, behind = read_long(data, behind)
    except DecodeError:
        return None
    if count < 0 or not 0 <= size <= BLOCK_LIMIT:
        return None
    return _Block(count, at + behind, at + behind + size)


def split_container(window: Window, name: str) -> Iterator[Piece]:
    """Give the packets of a file, and for each damage a piece that says what and where.

    A file that is one packet, or no container, is given as it is.

    Parameters
    ----------
    window
        On the beginning of the file.
    name
        Of the file, for people.
    """
    window.reach(1)
    start = window.begin
    window.reach(start + len(MAGIC))
    if window.cut(start, start + len(MAGIC)) != MAGIC or _is_packet(window):
        yield Piece(name, *window.rest(RECORD_LIMIT))
        return
    yield from _Splitter(window, name).pieces()


def _is_packet(window: Window) -> bool:
    """Whether all that follows is one block of one record.

    Of old ZTF packets some lack their last sync marker, or a part of it: they are whole without.
    """
    try:
        head, at = _read_head(window, window.begin)
    except DecodeError:
        return False
    if not window.reach(at + 1):
        return not window.fault  # no block at all: the decoder says so
    block = _measure(window, at)
    if block is None or block.records != 1 or window.reach(block.end + MARKER_BYTES + 1):
        return False
    return window.end >= block.end and window.find(head.marker, at, block.end) < 0


class _Splitter:
    """Reads one file, from its first block to its end.

    Parameters
    ----------
    window
        On its beginning.
    name
        Of the file.
    """

    def __init__(self, window: Window, name: str) -> None:
        self._window = window
        self._name = name
        self._number = 0
        self._head = _Head(b"", b"", "", None, "the header of the Avro container is damaged")

    def pieces(self) -> Iterator[Piece]:
        """Everything in the file, in order."""
        window = self._window
        while window.reach(window.begin + 1):
            at = window.begin
            window.reach(at + len(MAGIC))
            if window.cut(at, at + len(MAGIC)) == MAGIC:
                yield from self._header()
            else:
                self._number += 1
                yield from self._block()
        fault = window.take_fault()
        if fault:
            yield Piece(self._name, b"", f"the file breaks off at byte {window.end}: {fault}")

    def _header(self) -> Iterator[Piece]:
        """Read the header of a container; where it is damaged, look for another."""
        window = self._window
        at = window.begin
        try:
            self._head, end = _read_head(window, at)
        except (DecodeError, *GARBAGE) as error:
            stop, onward = self._next_start(at + 1, b"")
            yield self._damage(at, stop, f"the header at byte {at} cannot be read: {error}")
            window.move(onward)
        else:
            window.move(end)

    def _block(self) -> Iterator[Piece]:
        window, marker = self._window, self._head.marker
        at = window.begin
        block = _measure(window, at)
        if (
            block is None
            or not window.reach(block.end + MARKER_BYTES)
            or window.cut(block.end, block.end + MARKER_BYTES) != marker
        ):
            yield from self._damaged(at, block)
            return
        records, wrong = self._records(block, block.end, cut=False)
        if wrong and window.find(marker, at, block.end) >= 0:  # it reaches over another block
            yield from self._damaged(at, block)
            return
        yield from self._packets(records)
        if wrong:
            yield self._damage(at, block.end, f"{self._position(at, block)}: {wrong}")
        window.move(block.end + MARKER_BYTES)

    def _damaged(self, at: int, block: _Block | None) -> Iterator[Piece]:
        """Read what is readable of a block that does not end with a marker, and find the next."""
        window = self._window
        wrong = self._marker_alone(block)
        if block is not None and wrong:
            stop, onward = block.end, block.end + MARKER_BYTES
        else:
            stop, onward = self._next_start(at + 1, self._head.marker)
            wrong = _why(window, block, stop)
        if block is not None and window.begin == at:
            records, less = self._records(block, stop, cut=stop == window.end)
            yield from self._packets(records)
            wrong = f"{wrong}; {less}" if less else wrong
        fault = window.take_fault() if onward >= window.end else ""
        reason = f"{self._position(at, block)}: {wrong}" + (f" ({fault})" if fault else "")
        yield self._damage(at, stop, reason)
        window.move(onward)

    def _marker_alone(self, block: _Block | None) -> str:
        """What is wrong where only the marker behind a block is; empty where more may be.

        Then reading goes on right behind it: to look for the next marker would lose a block.
        """
        window, marker = self._window, self._head.marker
        if block is None or not window.reach(block.end):
            return ""
        if window.find(marker, block.begin, block.end) >= 0:
            return ""
        end = block.end + MARKER_BYTES
        window.reach(end)
        found = window.cut(block.end, end)
        if not window.reach(end):
            whole = marker.startswith(found)
            return "breaks off in its sync marker, and the file with it" if whole else ""
        wrong = "its sync marker is damaged"
        if not window.reach(end + 1):
            return wrong
        window.reach(end + len(MAGIC))
        if window.cut(end, end + len(MAGIC)) == MAGIC:
            return wrong
        after = _measure(window, end)
        if after is None or not window.reach(after.end + MARKER_BYTES):
            return ""
        follows = window.cut(after.end, after.end + MARKER_BYTES)
        plausible = (
            window.find(marker, block.begin) < 0
            and not self._records(block, block.end, cut=False)[1]
        )
        if follows == found and plausible:  # two blocks agree: the header's own marker is damaged
            packet = self._head.packet[:-MARKER_BYTES] + found
            self._head = self._head._replace(packet=packet, marker=found)
            return "the sync marker of the header is damaged"
        return wrong if follows == marker else ""

    def _next_start(self, at: int, marker: bytes) -> tuple[int, int]:
        """Where the damage ends, and where reading goes on: behind a marker, or at a header."""
        window = self._window
        seen = at
        while True:
            found = window.find(marker, seen) if marker else -1
            header = self._next_header(seen, found if found >= 0 else window.end)
            if header >= 0:
                return header, header
            if found >= 0:
                return found, found + MARKER_BYTES
            if window.ended:
                return window.end, window.end
            seen = max(seen, window.end - MARKER_BYTES + 1)
            if window.end - window.begin > 2 * BLOCK_LIMIT:
                window.move(seen)
            window.grow(2 * BLOCK_LIMIT)

    def _next_header(self, at: int, end: int) -> int:
        """Position of a container's header; -1 where none begins before ``end``."""
        window = self._window
        while True:
            at = window.find(MAGIC, at, end)
            if at < 0:
                return -1
            try:
                _read_head(window, at)
            except (DecodeError, *GARBAGE):
                at += 1
            else:
                return at

    def _records(self, block: _Block, stop: int, *, cut: bool) -> tuple[Sequence[bytes], str]:
        """Records of a block that lies before ``stop``, and what is wrong with it."""
        head = self._head
        if head.walker is None:
            return (), head.fault
        if block.records > _BLOCK_RECORDS:
            return (), f"a block has no more than {_BLOCK_RECORDS} records"
        try:
            body = inflate(self._window.cut(block.begin, stop), head.codec, BLOCK_LIMIT, cut=cut)
        except DecodeError as error:
            return (), str(error)
        records, wrong = _walk(body, head.walker, block.records if cut else _BLOCK_RECORDS + 1)
        if not wrong:
            right = len(records) == block.records
            return records, "" if right else f"it holds {len(records)} records"
        if not cut and head.codec not in {"", "null"}:
            # behind a damage, a compressed stream gives values that nobody measured
            return (), f"its compressed records are damaged: {wrong}"
        return records[: block.records], wrong

    def _packets(self, records: Sequence[bytes]) -> Iterator[Piece]:
        head = self._head
        for record in records:
            parts = (head.packet, b"\x02", long_bytes(len(record)), record, head.marker)
            yield Piece(self._name, b"".join(parts))

    def _position(self, at: int, block: _Block | None) -> str:
        position = f"block {self._number} at byte {at}"
        if block is None:
            return position
        return f"{position} ({block.records} record{'s' if block.records != 1 else ''})"

    def _damage(self, at: int, stop: int, reason: str) -> Piece:
        return Piece(self._name, self._window.cut(at, min(stop, at + KEPT_BYTES)), reason)


def _walk(body: bytes, walker: Walker, most: int) -> tuple[list[bytes], str]:
    """Records of a block, one behind the other, and what is wrong with the next."""
    records: list[bytes] = []
    at = 0
    while at < len(body) and len(records) < most:
        try:
            end = walker.behind(body, at)
        except DecodeError as error:
            return records, f"its record {len(records) + 1} cannot be read: {error}"
        if end <= at:
            return records, f"its record {len(records) + 1} is empty"
        records.append(body[at:end])
        at = end
    return records, ""


def _why(window: Window, block: _Block | None, stop: int) -> str:
    if block is None:
        return f"its length cannot be read; reading goes on at byte {stop}"
    said, there = block.end - block.begin, stop - block.begin
    if stop == window.end and there < said:
        return f"breaks off after {max(there, 0)} of {said} bytes, and the file with it"
    return f"it ends after {there} bytes instead of {said}"

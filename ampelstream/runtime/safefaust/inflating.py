"""Compressed batches of records, inflated with a bound.

aiokafka inflates a batch whole, to whatever it comes to (``aiokafka/codec.py:70-240``): a fetch of
some kilobytes may stand for gigabytes, and end the process, again after each start. Here its
decoders are replaced, for all clients of this process, by ones that stop at `MAX_BATCH_BYTES`.
"""

import gzip
import importlib
import mmap
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import cramjam
from aiokafka import codec
from aiokafka.errors import KafkaError

from ampelstream.runtime.safefaust.failures import SafeFaustError

__all__ = ["MAX_BATCH_BYTES", "Inflated", "UnreadableBatch", "inflated", "too_much"]

MAX_BATCH_BYTES = 64 << 20
"""Largest batch, inflated [byte]; a producer's own limits, which count before compression, are
seldom above the 16 MiB of a topic."""
_KEPT_BYTES = 8 << 20
"""So much of the room in which batches are inflated stays in use [byte]."""
_XERIAL_HEAD = 16
_MODULES = (
    "aiokafka.codec",
    "aiokafka.record.default_records",
    "aiokafka.record.legacy_records",
    "aiokafka.record._crecords.default_records",
    "aiokafka.record._crecords.legacy_records",
)
"""Where aiokafka looks its decoders up, in Python and compiled."""


class UnreadableBatch(SafeFaustError, KafkaError):  # type: ignore[misc]  # noqa: N818  (named for what is unreadable)
    """A batch of records inflates to too much, or to nothing."""

    def __str__(self) -> str:
        return str(self.args[0])


class Inflated(threading.local):
    """What this thread has inflated, and the room in which it does.

    Attributes
    ----------
    size
        Since it was set to 0 last [byte].
    """

    size = 0
    _room: mmap.mmap | None = None

    def into(self, decoder: Callable[[bytes, mmap.mmap], int], data: bytes) -> bytes:
        """Inflate into room of bounded size, which takes memory as far as it is filled.

        Raises
        ------
        UnreadableBatch
            It does not fit.
        """
        if self._room is None or len(self._room) != MAX_BATCH_BYTES:
            self._room = mmap.mmap(-1, MAX_BATCH_BYTES)
        try:
            size = decoder(data, self._room)
        except cramjam.DecompressionError as error:
            self._clear()
            if "whole buffer" in str(error):  # of a writer that has no room left
                raise too_much() from error
            raise UnreadableBatch(f"it is damaged ({error})") from error
        whole = self._room[:size]
        if size > _KEPT_BYTES:
            self._clear()
        return whole

    def _clear(self) -> None:
        if self._room is not None and hasattr(self._room, "madvise"):
            self._room.madvise(mmap.MADV_DONTNEED)

    def count(self, data: bytes) -> bytes:
        """Note that this was inflated."""
        self.size += len(data)
        return data


inflated = Inflated()


def too_much() -> UnreadableBatch:
    """Make the error of a batch that is too large."""
    return UnreadableBatch(f"it inflates to more than {MAX_BATCH_BYTES >> 20} MiB")


def _gzip(payload: Any) -> bytes:
    """Inflate a gzip file, of one or several members."""
    parts: list[bytes] = []
    rest, room = bytes(payload), MAX_BATCH_BYTES
    try:
        while rest:
            member = zlib.decompressobj(16 + zlib.MAX_WBITS)
            parts.append(member.decompress(rest, room + 1))
            room -= len(parts[-1])
            if room < 0:
                raise too_much()
            if not member.eof:
                raise UnreadableBatch("it is damaged (it breaks off)")
            rest = member.unused_data.lstrip(b"\0")
    except (zlib.error, gzip.BadGzipFile) as error:
        raise UnreadableBatch(f"it is damaged ({error})") from error
    return inflated.count(b"".join(parts))


def _snappy(payload: Any) -> bytes:
    """Inflate a snappy block, or a row of them as the Java client writes it."""
    data = bytes(payload)
    try:
        sizes = map(cramjam.snappy.decompress_raw_len, _snappy_blocks(data))
        if sum(sizes) > MAX_BATCH_BYTES:
            raise too_much()
        return inflated.count(_STOCK["snappy_decode"](data))
    except (cramjam.DecompressionError, struct.error, OverflowError) as error:
        raise UnreadableBatch(f"it is damaged ({error})") from error


def _snappy_blocks(data: bytes) -> Iterator[bytes]:
    if not codec._detect_xerial_stream(data):  # noqa: SLF001  (no public way)
        yield data
        return
    at = _XERIAL_HEAD
    while at < len(data):
        (size,) = struct.unpack_from("!i", data, at)
        if size < 0:
            raise UnreadableBatch("it is damaged (a block of negative length)")
        yield data[at + 4 : at + 4 + size]
        at += 4 + size


def _lz4(payload: Any) -> bytes:
    return inflated.count(inflated.into(cramjam.lz4.decompress_into, bytes(payload)))


def _zstd(payload: Any) -> bytes:
    return inflated.count(inflated.into(cramjam.zstd.decompress_into, bytes(payload)))


_BOUNDED: dict[str, Callable[[Any], bytes]] = {
    "gzip_decode": _gzip,
    "snappy_decode": _snappy,
    "lz4_decode": _lz4,
    "zstd_decode": _zstd,
}
_STOCK: dict[str, Callable[[Any], bytes]] = {name: getattr(codec, name) for name in _BOUNDED}


def _install() -> None:
    """Let every client of this process use ours."""
    for name in _MODULES:
        try:
            module = importlib.import_module(name)
        except ImportError:  # aiokafka without its compiled parts
            continue
        for decoder, ours in _BOUNDED.items():
            if hasattr(module, decoder):
                setattr(module, decoder, ours)


_install()

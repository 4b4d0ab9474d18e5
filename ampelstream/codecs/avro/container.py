"""The header of an Avro object container, and its first block, without decoding any record."""

import zlib
from dataclasses import dataclass

from ampelstream.codecs.avro.binary import read_long, span
from ampelstream.errors import DecodeError

__all__ = ["Header", "first_block", "metadata", "read_header"]

_MAGIC = b"Obj\x01"
_SYNC = 16
_MAX_INFLATED = 64 << 20
"""No alert packet comes near 64 MiB; a corrupt deflate stream must not fill the memory."""


@dataclass(frozen=True, slots=True)
class Header:
    """Where a container's header ends.

    Attributes
    ----------
    key
        The metadata as it stands: equal for all containers of one writer schema and codec, since
        the random sync marker is not part of it.
    body
        Position of the first block.
    """

    key: bytes
    body: int


def _map_end(data: bytes, at: int) -> int:
    """Position behind a map of bytes."""
    while True:
        count, at = read_long(data, at)
        if count == 0:
            return at
        if count < 0:
            count = -count
            _, at = read_long(data, at)
        if count > len(data):
            raise DecodeError("the header's metadata is corrupt")
        for _ in range(2 * count):
            _, at = span(data, at)


def read_header(data: bytes) -> Header:
    """Find the end of a container's header.

    Raises
    ------
    DecodeError
        The data is no Avro container, or ends within the header.
    """
    if not data:
        raise DecodeError("the record is empty")
    if data[:4] != _MAGIC:
        raise DecodeError("not an Avro container (it does not begin with 'Obj', 1)")
    end = _map_end(data, 4)
    if end + _SYNC > len(data):
        raise DecodeError("the Avro container ends within its header")
    return Header(data[4:end], end + _SYNC)


def metadata(key: bytes) -> dict[str, bytes]:
    """Metadata of a header, from its key."""
    found: dict[str, bytes] = {}
    at = 0
    while True:
        count, at = read_long(key, at)
        if count == 0:
            return found
        if count < 0:
            count = -count
            _, at = read_long(key, at)
        for _ in range(count):
            begin, end = span(key, at)
            first, at = span(key, end)
            try:
                found[key[begin:end].decode()] = key[first:at]
            except UnicodeDecodeError as error:
                raise DecodeError("the header's metadata is corrupt") from error


def first_block(data: bytes, at: int, codec: str) -> bytes:
    """Records of the first block, inflated.

    Raises
    ------
    DecodeError
        There is no block, it holds more than one record, or it is cut off.
    """
    if at >= len(data):
        raise DecodeError("no record in the container: it ends after its header")
    count, at = read_long(data, at)
    begin, end = span(data, at)
    if count != 1:
        raise DecodeError(f"the container's first block holds {count} records; a packet holds one")
    body = data[begin:end]
    if codec in {"", "null"}:
        return body
    if codec == "deflate":
        try:
            inflater = zlib.decompressobj(-15)
            inflated = inflater.decompress(body, _MAX_INFLATED)
        except zlib.error as error:
            raise DecodeError(f"the packet's deflate stream is corrupt: {error}") from error
        if inflater.unconsumed_tail:
            raise DecodeError("the packet inflates to more than 64 MiB")
        return inflated
    raise DecodeError(f"the container's codec {codec!r} is not supported (null and deflate are)")

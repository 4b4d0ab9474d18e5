"""Avro object containers: headers and blocks, found without decoding any record."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from ampelstream.errors import DecodeError

__all__ = [
    "MAGIC",
    "MARKER_BYTES",
    "MAX_VARINT",
    "Header",
    "first_block",
    "inflate",
    "long_bytes",
    "metadata",
    "read_header",
    "read_long",
    "span",
    "write_header",
]

MAGIC = b"Obj\x01"
"""What every container begins with."""
MARKER_BYTES = 16
"""Length of the sync marker that ends the header and every block [bytes]."""
MAX_VARINT = 10
"""Bytes in the longest zig-zag varint of 64 bits."""
_PACKET_LIMIT = 64 << 20
"""No alert packet comes near 64 MiB; a corrupt deflate stream must not fill the memory."""


def read_long(data: bytes, at: int) -> tuple[int, int]:
    """Value of a zig-zag varint, and the position behind it.

    Raises
    ------
    DecodeError
        The data ends inside it, or it is longer than 64 bits.
    """
    shift = value = 0
    for _ in range(MAX_VARINT):
        try:
            byte = data[at]
        except IndexError:
            raise DecodeError("the packet ends inside a number") from None
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004  (the continuation bit of a varint)
            return (value >> 1) ^ -(value & 1), at
        shift += 7
    raise DecodeError("a number in the packet is longer than 64 bits")


def span(data: bytes, at: int) -> tuple[int, int]:
    """Begin and end of a length-prefixed value (bytes, string).

    Raises
    ------
    DecodeError
        The length is negative or reaches behind the data.
    """
    length, at = read_long(data, at)
    if length < 0 or at + length > len(data):
        raise DecodeError(f"a value of {length} bytes does not fit into the packet")
    return at, at + length


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
    if data[:4] != MAGIC:
        raise DecodeError("not an Avro container (it does not begin with 'Obj', 1)")
    end = _map_end(data, 4)
    if end + MARKER_BYTES > len(data):
        raise DecodeError("the Avro container ends within its header")
    return Header(data[4:end], end + MARKER_BYTES)


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


def long_bytes(value: int) -> bytes:
    """A number as Avro writes it (zig-zag varint)."""
    rest = (value << 1) ^ (value >> 63)
    out = bytearray()
    while rest > 0x7F:  # noqa: PLR2004  (seven bits to a byte)
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def write_header(meta: Mapping[str, bytes], marker: bytes) -> bytes:
    """Header of a container with this metadata and sync marker."""
    parts = [MAGIC, long_bytes(len(meta))]
    for name, value in meta.items():
        for part in (name.encode(), value):
            parts += (long_bytes(len(part)), part)
    return b"".join((*parts, long_bytes(0), marker))


def inflate(body: bytes, codec: str, limit: int, *, cut: bool = False) -> bytes:
    """Records of a block.

    Parameters
    ----------
    body
        The block's bytes.
    codec
        Of the container.
    limit
        No more than that many bytes are made of it.
    cut
        Whether the block is known to break off: what is there of it is given.

    Raises
    ------
    DecodeError
        It is corrupt, too large, or of a codec that is not supported.
    """
    if codec in {"", "null"}:
        return body
    if codec != "deflate":
        raise DecodeError(
            f"the container's codec {codec!r} is not supported (null and deflate are)"
        )
    inflater = zlib.decompressobj(-15)
    try:
        inflated = inflater.decompress(body, limit)
    except zlib.error as error:
        raise DecodeError(f"the packet's deflate stream is corrupt: {error}") from error
    if inflater.unconsumed_tail:
        raise DecodeError(f"the packet inflates to more than {limit >> 20} MiB")
    if not cut and not inflater.eof:  # what follows it is fastavro's: a rest of zlib's checksum
        raise DecodeError("the packet's deflate stream breaks off")
    return inflated


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
    return body if codec in {"", "null"} else inflate(body, codec, _PACKET_LIMIT)

"""Avro's primitive encodings, read from bytes at a position, every step bounds-checked."""

from collections.abc import Callable

from ampelstream.errors import DecodeError

__all__ = ["MAX_VARINT", "Skip", "read_long", "span"]

MAX_VARINT = 10
"""Bytes in the longest zig-zag varint of 64 bits."""

Skip = Callable[[bytes, int], int]
"""Given the data and a position, gives the position behind the value that begins there."""


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

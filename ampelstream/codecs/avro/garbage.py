"""What libraries raise when they are given garbage."""

import struct
import zlib

from fastavro.schema import SchemaParseException

__all__ = ["GARBAGE"]

GARBAGE = (
    # what fastavro, json and zlib were seen to raise on corrupt packets
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    MemoryError,
    OverflowError,
    RecursionError,
    SchemaParseException,
    StopIteration,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)

"""Batches that are produced are compressed quickly, not as small as can be.

aiokafka 0.14.0 compresses with lz4 at level 9 and has no option for another
(``aiokafka/codec.py``, ``lz4_encode``): that was the largest part of what it costs to produce a
record. At level 1 it takes a thirteenth of the time, and what is produced is 28 % larger (records
of 1,181 bytes become 451 each instead of 353).
"""

import importlib
from typing import Any

from aiokafka.codec import lz4_encode

__all__ = ["LEVEL", "compress_quickly"]

LEVEL = 1
_BUILDERS = "aiokafka.record.default_records", "aiokafka.record._crecords.default_records"
"""Where batches are built: as Python, and as an extension."""


def _compress(data: Any) -> bytes:
    """Compress a batch."""
    found: bytes = lz4_encode(data, level=LEVEL)
    return found


def compress_quickly() -> None:
    """Let all that builds batches in this process do so."""
    for name in _BUILDERS:
        try:
            module = importlib.import_module(name)
        except ImportError:  # the extension was not built
            continue
        module.lz4_encode = _compress  # type: ignore[attr-defined]  # (it is a module)

"""Checksums of batches of records, by the processor's own instruction.

aiokafka's extension computes the CRC of each batch with tables (``aiokafka/record/_crecords``):
28 us for 66 KB, more than everything else between a connection and a record. The instruction takes
2 us. What is checked, and what follows where it does not hold, is the same.
"""

import struct
import warnings
from collections.abc import Callable
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords

__all__ = ["Batches"]

_LENGTH_AT, _MAGIC_AT, _CHECKED_AT = 8, 16, 21
_CRC = struct.Struct(">I")
_CRC_AT = 17
_LENGTH = struct.Struct(">i")
_BEFORE_LENGTH = 12
"""What the length of a batch does not count [byte]."""
_MAGIC = 2
"""Of the format whose checksum this is; older ones have another."""


def _hardware() -> Callable[[bytes], int] | None:
    """CRC-32C in hardware; None where there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it complains where it has only Python
        try:
            import google_crc32c  # noqa: PLC0415  (may be missing, or complain)
        except ImportError:
            return None
    value: Callable[[bytes], int] = google_crc32c.value
    return value if google_crc32c.implementation == "c" else None


_crc32c = _hardware()


class Batches(MemoryRecords):  # type: ignore[misc]  # aiokafka ships no types
    """Batches of what a request brought, with a look at their bytes.

    Parameters
    ----------
    data
        Batches, one behind the other; the last may be cut off.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._data = data
        self._at = 0

    def next_checked(self) -> Any:
        """Give the next batch.

        Raises
        ------
        CorruptRecordException
            Its checksum is another.
        """
        batch = self.next_batch()
        data, at = self._data, self._at
        end = at + _BEFORE_LENGTH + _LENGTH.unpack_from(data, at + _LENGTH_AT)[0]
        self._at = end
        if _crc32c is None or data[at + _MAGIC_AT] < _MAGIC:
            holds = batch.validate_crc()
        else:
            holds = _crc32c(data[at + _CHECKED_AT : end]) == _CRC.unpack_from(data, at + _CRC_AT)[0]
        if not holds:
            raise CorruptRecordException(f"Invalid CRC - a batch at byte {at} of what was fetched")
        return batch


def _install() -> None:
    """Let the consumers of this process keep the bytes; others than ours check them as ever."""
    fetcher.MemoryRecords = Batches


_install()

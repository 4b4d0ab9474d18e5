"""Files of xz, inflated with a bound on what their dictionary takes.

Python's own ``LZMAFile`` takes as much as the file's header asks for: up to four gigabytes.
"""

import lzma
from typing import Any, Final

__all__ = ["XzFile"]

_MEMORY: Final = 128 << 20
"""``xz -9`` makes files that need 65 MiB [byte]."""
_MAGIC: Final = b"\xfd7zXZ"
_BUFFER: Final = 1 << 16


class XzFile:
    """Reads a file, of one stream or several.

    Parameters
    ----------
    file
        The compressed file, buffered.
    """

    def __init__(self, file: Any) -> None:
        self._file = file
        self._inflater = self._stream()
        self._rest = b""

    @staticmethod
    def _stream() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY)

    def read1(self, size: int) -> bytes:
        """Give up to so many bytes, none at the end.

        Raises
        ------
        EOFError
            The file breaks off.
        lzma.LZMAError
            It is damaged, or needs too much memory.
        """
        while True:
            if self._inflater.eof:
                self._rest = (self._inflater.unused_data or self._file.read1(_BUFFER)).lstrip(b"\0")
                if not self._rest.startswith(_MAGIC):
                    return b""  # what follows is not ours
                self._inflater = self._stream()
            if self._inflater.needs_input and not self._rest:
                self._rest = self._file.read1(_BUFFER)
                if not self._rest:
                    raise EOFError("Compressed file ended before the end-of-stream marker")
            data, self._rest = self._rest, b""
            inflated = self._inflater.decompress(data, size)
            if inflated:
                return inflated

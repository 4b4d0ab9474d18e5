"""FITS files, read from the front to the back: headers one after the other, a table by slices.

A sky map comes gzipped, from whoever may write notices; a megabyte of it can stand for a gigabyte,
and a header can promise any number of rows. So nothing is inflated, and no memory asked for, beyond
what is looked at now, and a file is given up where it becomes longer than a map can be.
"""

import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from ampelstream.errors import DecodeError

__all__ = ["DAMAGE", "MAX_PLAIN_BYTES", "FitsFile", "is_fits", "plain_digest"]

MAX_PLAIN_BYTES = 1 << 31
"""How long a file may be, inflated [byte]. The longest known: a flat map of NSIDE 2048 with its
distances in double precision has 1.61e9."""

DAMAGE = (
    # what astropy, numpy and gzip raise for damaged files (found by cutting and mangling real ones)
    AssertionError,
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    MemoryError,
    OSError,
    OverflowError,
    TypeError,
    UnicodeError,
    ValueError,
    fits.VerifyError,
    zlib.error,
)
"""What a damaged file makes the methods here raise."""

_GZIP = b"\x1f\x8b"
_BLOCK = 2880
_CARD = 80
_HEADER_BLOCKS = 1000
"""A header is no longer than this: 36,000 cards, most of them a map's own history."""
_ROW_BYTES = 64 << 20
"""Longest row of a table that is read; healpy writes rows of 1,024 pixels."""
# Small enough that the memory of one is used for the next: the system takes longer to give, and to
# clear, 400 megabytes by megabytes than gzip takes to fill them.
_SLICE_BYTES = 512 << 10
_PIECE_BYTES = 256 << 10


def is_fits(data: bytes) -> bool:
    """Whether the bytes begin like a FITS file, plain or gzipped."""
    return data.startswith((b"SIMPLE  =", _GZIP))


class _Plain:
    """The file, inflated as far as it is read.

    Parameters
    ----------
    data
        Plain or gzipped.
    """

    def __init__(self, data: bytes) -> None:
        packed = data.startswith(_GZIP)
        file = io.BytesIO(data)
        self._file: Any = gzip.GzipFile(fileobj=file) if packed else file
        self.at = 0

    def read(self, size: int) -> bytes:
        """Give so many bytes; fewer at the end.

        Raises
        ------
        DecodeError
            The file is longer than a map can be.
        """
        data: bytes = self._file.read(size)
        self.at += len(data)
        if self.at > MAX_PLAIN_BYTES:
            raise DecodeError(f"inflates to more than the {MAX_PLAIN_BYTES} bytes of any map")
        return data

    def pieces(self, size: int) -> Iterator[bytes]:
        """Give so many bytes, piece after piece; fewer at the end."""
        while size > 0 and (piece := self.read(min(size, _PIECE_BYTES))):
            size -= len(piece)
            yield piece


def plain_digest(data: bytes) -> str:
    """Digest of the file's plain content, as of ``digest_bytes``, whether it is gzipped or not.

    Raises
    ------
    DecodeError
        It is longer than a map can be.
    """
    digest = hashlib.blake2b(digest_size=8)
    for piece in _Plain(data).pieces(MAX_PLAIN_BYTES + 1):
        digest.update(piece)
    return digest.hexdigest()


class FitsFile:
    """Headers and tables of a file; a damaged one raises one of `DAMAGE`.

    What breaks a bound is a `DecodeError` that goes on where a sentence begins with the file.

    Parameters
    ----------
    data
        The file, plain or gzipped.
    """

    def __init__(self, data: bytes) -> None:
        self._plain = _Plain(data)
        self._end = 0
        """Where the data of the header that was given last end."""

    def headers(self) -> Iterator[fits.Header]:
        """Give the headers in turn; of what is behind them only what was not asked for is passed.

        Raises
        ------
        DecodeError
            A header names a negative length, or a longer one than a map has.
        """
        while True:
            if self._end > MAX_PLAIN_BYTES:
                raise DecodeError(
                    f"promises {self._end} bytes, more than the {MAX_PLAIN_BYTES} of any map"
                )
            for _ in self._plain.pieces(self._end - self._plain.at):
                pass
            header = self._header()
            if header is None:
                return
            size = _data_size(header)
            self._end = self._plain.at + size + -size % _BLOCK
            yield header

    def finish(self) -> None:
        """Read to the end: only there a gzipped file says whether it is whole.

        Raises
        ------
        DecodeError
            It is longer than a map can be.
        """
        for _ in self._plain.pieces(MAX_PLAIN_BYTES + 1):
            pass

    def _header(self) -> fits.Header | None:
        """Read a header; None at the end of the file."""
        blocks: list[bytes] = []
        while block := self._plain.read(_BLOCK):
            if self._plain.at <= _BLOCK and not block.startswith(b"SIMPLE"):
                raise OSError(f"it inflates to {block[:8]!r}..., which is not FITS")
            blocks.append(block)
            cards = (block[at : at + _CARD] for at in range(0, _BLOCK, _CARD))
            if any(card[:8].rstrip() == b"END" for card in cards):
                return fits.Header.fromstring(b"".join(blocks))
            if len(blocks) >= _HEADER_BLOCKS:
                raise DecodeError(f"has a header of more than {_HEADER_BLOCKS * _BLOCK} bytes")
        if blocks:
            raise EOFError(f"the file ends within a header, {self._plain.at} bytes from its begin")
        return None

    def slices(
        self, header: fits.Header, wanted: Mapping[str, str]
    ) -> Iterator[dict[str, NDArray[Any]]]:
        """Give the rows of a table from the first to the last, some megabytes at a time.

        Parameters
        ----------
        header
            That which `headers` gave last.
        wanted
            Names of columns in the file, and the names to give them.

        Yields
        ------
        dict
            Of each column the values in so many rows; as astropy makes them, so that scales, nulls
            and vectors are right.

        Raises
        ------
        DecodeError
            The rows are too long.
        """
        width, rows = header["NAXIS1"], header["NAXIS2"]
        if width > _ROW_BYTES:
            raise DecodeError(f"has rows of {width} bytes, and {_ROW_BYTES} are read at most")
        # a power of two, as the parts of the sky are that it is read for
        at_once = 1 << max(0, (_SLICE_BYTES // max(width, 1)).bit_length() - 1)
        layout = _Layout(header, wanted)
        for first in range(0, rows, at_once):
            count = min(at_once, rows - first)
            data = self._plain.read(width * count)
            if len(data) < width * count:
                raise EOFError(f"the file ends in row {first + len(data) // width} of its table")
            yield layout.columns(data, count)


class _Layout:
    """Where the columns of a table are in its rows.

    Parameters
    ----------
    header
        Of the table.
    wanted
        Names of columns in the file, and the names to give them.
    """

    def __init__(self, header: fits.Header, wanted: Mapping[str, str]) -> None:
        self._header = header.copy(strip=False)
        self._header["PCOUNT"] = 0
        self._header.pop("THEAP", None)
        self._wanted = wanted
        self._views: dict[str, _View] | None = None
        """Once the first rows were seen; empty where a column is no view."""

    def columns(self, data: bytes, count: int) -> dict[str, NDArray[Any]]:
        """Values in so many rows, as astropy makes them.

        Most columns are the bytes of the rows as they are. Those are found where astropy found
        them in the first rows, as it would parse the header anew for each slice.
        """
        if self._views:
            return {ours: view.of(data, count) for ours, view in self._views.items()}
        self._header["NAXIS2"] = count
        table = fits.BinTableHDU.fromstring(
            self._header.tostring().encode("ascii") + data + bytes(-len(data) % _BLOCK)
        )
        found = {ours: np.asarray(table.data.field(name)) for name, ours in self._wanted.items()}
        if self._views is None:
            rows = np.asarray(table.data)
            views = {ours: _View.onto(rows, column) for ours, column in found.items()}
            kept = {ours: view for ours, view in views.items() if view is not None}
            self._views = kept if len(kept) == len(views) else {}
        return found


class _View(NamedTuple):
    """A column whose values are the bytes of the rows as they are.

    Attributes
    ----------
    dtype, shape
        Of the values in a row.
    offset, width
        Where in the row they begin, and how long a row is [byte].
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int
    width: int

    @classmethod
    def onto(cls, rows: NDArray[Any], column: NDArray[Any]) -> "_View | None":
        """Describe a column of rows; None where its values are made of them, and are no view."""
        if not np.may_share_memory(rows, column):
            return None
        width = rows.strides[0]
        inner = np.empty(column.shape[1:], column.dtype).strides
        if column.strides != (width, *inner):
            return None
        offset = column.__array_interface__["data"][0] - rows.__array_interface__["data"][0]
        return cls(column.dtype, column.shape[1:], offset, width)

    def of(self, data: bytes, count: int) -> NDArray[Any]:
        """Values in so many rows."""
        inner = np.empty(self.shape, self.dtype).strides
        return np.ndarray((count, *self.shape), self.dtype, data, self.offset, (self.width, *inner))


def _data_size(header: fits.Header) -> int:
    """Size of what is behind a header [byte], without what fills the last block."""
    axes = [int(header[f"NAXIS{number}"]) for number in range(1, int(header["NAXIS"]) + 1)]
    if axes and axes[0] == 0 and header.get("GROUPS", False):
        axes = axes[1:]  # the ancient format of radio interferometers
    values = 1 if axes else 0
    for axis in axes:
        values *= axis
    extra, groups = int(header.get("PCOUNT", 0)), int(header.get("GCOUNT", 1))
    size = abs(int(header["BITPIX"])) // 8 * groups * (extra + values)
    if min([*axes, extra, groups], default=0) < 0:
        raise DecodeError("is damaged (a negative length)")
    return size

"""Write small indexed PNG images: eight bits a pixel, a palette with transparency.

Format: W3C Recommendation "Portable Network Graphics (PNG) Specification (Second Edition)", 2003.
"""

import base64
import struct
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["data_uri", "encode"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_INDEXED = 3
Colour = tuple[int, int, int, int]


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def encode(pixels: NDArray[np.uint8], palette: Sequence[Colour]) -> bytes:
    """Encode an image.

    Parameters
    ----------
    pixels
        Index into the palette of each pixel, shape (height, width), top row first.
    palette
        (red, green, blue, alpha), 0 to 255; at most 256 of them.

    Raises
    ------
    ValueError
        The image is not a grid or uses a colour that the palette lacks.
    """
    if pixels.ndim != 2 or not pixels.size:  # noqa: PLR2004  (rows and columns)
        raise ValueError(f"an image has rows and columns, not the shape {pixels.shape}")
    if not 0 < len(palette) <= 256 or int(pixels.max()) >= len(palette):  # noqa: PLR2004  (8 bits)
        raise ValueError(f"colour {int(pixels.max())} is not in a palette of {len(palette)}")
    height, width = pixels.shape
    # Every row is preceded by the number of its filter; 0 is none.
    rows = np.zeros((height, width + 1), dtype=np.uint8)
    rows[:, 1:] = pixels
    header = struct.pack(">IIBBBBB", width, height, 8, _INDEXED, 0, 0, 0)
    return b"".join(
        [
            _SIGNATURE,
            _chunk(b"IHDR", header),
            _chunk(b"PLTE", b"".join(bytes(colour[:3]) for colour in palette)),
            _chunk(b"tRNS", bytes(colour[3] for colour in palette)),
            _chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)),
            _chunk(b"IEND", b""),
        ]
    )


def data_uri(png: bytes) -> str:
    """Address under which a page carries the image in itself."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")

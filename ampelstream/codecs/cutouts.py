"""Cutouts of an alert: the small images that a packet carries, for the report only.

ZTF packs each as gzip-compressed FITS into ``cutoutX.stampData``, Rubin as plain FITS into
``cutoutX``. The packet is read as a whole here, so that nothing on the way of every alert may call
this.
"""

import io
import warnings
import zlib
from collections.abc import Mapping
from typing import Any, Final

import fastavro
import numpy as np
from numpy.typing import NDArray

from ampelstream.codecs.avro.packets import GARBAGE

__all__ = ["KINDS", "MAX_SIDE", "read_cutouts"]

KINDS: Final = ("Science", "Template", "Difference")
"""In the order in which they are looked at."""

MAX_SIDE = 128
"""Of a larger image the middle is taken [pixel]; ZTF's have 63."""

_MAX_BYTES = 4_000_000
"""Of one inflated image: a hundred times that of a real one."""
_IMAGE_AXES = 2


def read_cutouts(packet: bytes) -> dict[str, NDArray[np.float64]]:
    """Read the cutouts of an alert packet.

    Parameters
    ----------
    packet
        An Avro container with one record.

    Returns
    -------
    dict of str to ndarray
        Image by kind, in the order of `KINDS`, its first row at the top; pixels that are not known
        are NaN. What is absent or damaged is left out.
    """
    try:
        record = next(iter(fastavro.reader(io.BytesIO(packet))))
    except GARBAGE:
        return {}
    if not isinstance(record, Mapping):
        return {}
    found = {kind: _image(record.get(f"cutout{kind}")) for kind in KINDS}
    return {kind: image for kind, image in found.items() if image is not None}


def _image(cutout: Any) -> NDArray[np.float64] | None:
    data = cutout.get("stampData") if isinstance(cutout, Mapping) else cutout
    if not isinstance(data, bytes) or not data:
        return None
    from astropy.io import fits  # noqa: PLC0415  (takes half a second, for the report only)

    try:
        if data[:2] == b"\x1f\x8b":
            data = zlib.decompressobj(wbits=31).decompress(data, _MAX_BYTES)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what bends the standard is still an image
            with fits.open(io.BytesIO(data), memmap=False) as units:
                pixels = next((one.data for one in units if getattr(one, "is_image", False)), None)
                image = None if pixels is None else np.asarray(pixels, dtype=np.float64)
    except (*GARBAGE, OSError):
        return None
    if image is None or image.ndim != _IMAGE_AXES or not image.size:
        return None
    return _middle(image)[::-1]  # FITS begins with the lowest row


def _middle(image: NDArray[np.float64]) -> NDArray[np.float64]:
    rows, columns = image.shape
    row, column = max(0, (rows - MAX_SIDE) // 2), max(0, (columns - MAX_SIDE) // 2)
    return image[row : row + MAX_SIDE, column : column + MAX_SIDE]

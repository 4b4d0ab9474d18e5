"""Cutouts as images of the page: grey, stretched so that faint and bright show together."""

import numpy as np
from numpy.typing import NDArray

from ampelstream.report.markup import Colour, encode_png

__all__ = ["stamp_png"]

_GREYS = 255
_LOW, _HIGH = 1.0, 99.7
"""Percentiles of the pixels that become black and white."""
_SOFTENING = 0.1
"""Of the asinh stretch (Lupton et al. 2004, PASP 116, 133): linear below this part of the range."""


def _palette() -> list[Colour]:
    """Clear where nothing is known, then black to white."""
    return [(0, 0, 0, 0), *((grey, grey, grey, 255) for grey in range(_GREYS))]


def stamp_png(image: NDArray[np.float64]) -> bytes | None:
    """Make a PNG of an image; None where no pixel of it is known.

    Parameters
    ----------
    image
        Shape (rows, columns), top row first; NaN is left clear.
    """
    known = np.isfinite(image)
    if not known.any():
        return None
    low, high = np.percentile(image[known], [_LOW, _HIGH])
    span = high - low
    if not span > 0:  # a flat image
        part = np.full(image.shape, 0.5)
    else:
        part = np.clip((np.where(known, image, low) - low) / span, 0.0, 1.0)
        part = np.arcsinh(part / _SOFTENING) / np.arcsinh(1 / _SOFTENING)
    grey = np.round(part * (_GREYS - 1)).astype(np.uint8) + np.uint8(1)
    return encode_png(np.where(known, grey, np.uint8(0)).astype(np.uint8), _palette())

"""Credible levels as colour: the palette of the maps and the images that use it."""

import numpy as np
from numpy.typing import NDArray

from ampelstream.report.contour import contour, path_data
from ampelstream.report.markup import Markup, element, join
from ampelstream.report.png import Colour, data_uri, encode

__all__ = ["LEVELS", "outlines", "shaded_image"]

LEVELS = (0.5, 0.9)
"""Credible regions that are outlined."""

_STEPS = 33
_EDGE = 0.99
# One hue that stands out on white and on near-black; only its opacity changes.
_HUE = (112, 72, 232)


def _palette() -> list[Colour]:
    """Opaque at level 0, nearly clear at 0.99, clear beyond."""
    opacity = np.linspace(0.88, 0.06, _STEPS)
    return [(*_HUE, 0), *((*_HUE, round(255 * float(part))) for part in opacity)]


def shaded_image(levels: NDArray[np.float64], x: float, y: float, scale: float) -> Markup:
    """Shade a grid of credible levels.

    Parameters
    ----------
    levels
        Shape (rows, columns), top row first; NaN is left clear.
    x, y
        Top left corner on the drawing.
    scale
        Drawing units per pixel.
    """
    known = np.isfinite(levels) & (levels <= _EDGE)
    step = np.floor(np.where(known, levels, 0.0) / _EDGE * (_STEPS - 1) + 0.5)
    pixels = np.where(known, step + 1, 0).astype(np.uint8)
    rows, columns = levels.shape
    return element(
        "image",
        x=x,
        y=y,
        width=columns * scale,
        height=rows * scale,
        href=data_uri(encode(pixels, _palette())),
        preserveAspectRatio="none",
    )


def outlines(levels: NDArray[np.float64], scale: float) -> Markup:
    """Outline the 50 % and 90 % credible regions of a grid of levels."""
    paths = []
    for level in LEVELS:
        data = path_data(contour(levels, level), scale)
        if data:
            paths.append(element("path", d=data, class_=f"level{round(100 * level)}"))
    return element("g", join(paths), class_="outlines")

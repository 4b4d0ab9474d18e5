"""A part of the sky on the plane that touches it, with a scale in degrees."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ampelstream.report.axes import round_step
from ampelstream.report.closeup import Closeup
from ampelstream.report.markers import Marker, draw_markers
from ampelstream.report.markup import Markup, element, fixed, join
from ampelstream.report.model import ReportMap
from ampelstream.report.projection import galactic_plane, gnomonic, gnomonic_inverse
from ampelstream.report.ranking import Row
from ampelstream.report.shading import outlines, shaded_image
from ampelstream.report.skyplot import marker_title, polyline

__all__ = ["draw_closeup", "inside_closeup"]

_SIZE, _PIXELS = 400.0, 250
_MARGIN_LEFT, _MARGIN_TOP, _MARGIN_BOTTOM = 46, 8, 22
_STEPS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0)


def _extent(view: Closeup) -> float:
    """Half the side of the plane [deg at its centre]."""
    return math.degrees(math.tan(math.radians(view.half)))


def _place(
    view: Closeup, ra: NDArray[np.float64], dec: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Drawing coordinates, y downwards; NaN where there is no image."""
    x, y = gnomonic(ra, dec, view.ra, view.dec)
    per_degree = _SIZE / 2 / _extent(view)
    return _SIZE / 2 + x * per_degree, _SIZE / 2 - y * per_degree


def inside_closeup(view: Closeup, rows: Sequence[Row]) -> list[Row]:
    """Candidates whose position is on the drawing."""
    return [row for row, _, _ in _placed(view, rows)]


def _placed(view: Closeup, rows: Sequence[Row]) -> list[tuple[Row, float, float]]:
    placed = []
    for row in rows:
        if row.candidate.ra is None or row.candidate.dec is None:
            continue
        x, y = _place(view, np.array(row.candidate.ra), np.array(row.candidate.dec))
        if 0 <= float(x) <= _SIZE and 0 <= float(y) <= _SIZE:
            placed.append((row, float(x), float(y)))
    return placed


def draw_closeup(
    view: Closeup, skymap: ReportMap, rows: Sequence[Row], numbered: int, label: str
) -> Markup:
    """Draw one part of the sky; right ascension grows to the left.

    Parameters
    ----------
    view
        Which part.
    skymap
        Shaded and outlined as on the map of the whole sky.
    rows
        Candidates; those on the drawing are marked.
    numbered
        Ranks up to this one are numbered and linked.
    label
        Name of the drawing, and what its parts are named after.
    """
    levels = _raster(view, skymap)
    scale = _SIZE / _PIXELS
    markers = [
        Marker(
            x,
            y,
            row.label if row.rank <= numbered else "",
            marker_title(row),
            row.anchor if row.rank <= numbered else "",
        )
        for row, x, y in sorted(_placed(view, rows), key=lambda one: (one[0].rank, one[0].label))
    ]
    lines, names = _graticule(view)
    plane = element("path", d=polyline(*_place(view, *galactic_plane(1441))), class_="galactic")
    # A drawing inside the drawing cuts off what reaches over its edge.
    inner = element(
        "svg",
        element("rect", width=_SIZE, height=_SIZE, class_="sky"),
        shaded_image(levels, 0.0, 0.0, scale),
        outlines(levels, scale),
        lines,
        plane,
        draw_markers(markers, _SIZE, _SIZE),
        _scale_bar(view),
        width=_SIZE,
        height=_SIZE,
        viewBox=f"0 0 {fixed(_SIZE)} {fixed(_SIZE)}",
    )
    width, height = _SIZE + _MARGIN_LEFT + 8, _SIZE + _MARGIN_TOP + _MARGIN_BOTTOM
    return element(
        "svg",
        element("title", label),
        inner,
        element("rect", width=_SIZE, height=_SIZE, class_="frame"),
        names,
        class_="closeup",
        viewBox=f"{-_MARGIN_LEFT} {-_MARGIN_TOP} {fixed(width)} {fixed(height)}",
        role="group",
        aria_label=label,
    )


def _raster(view: Closeup, skymap: ReportMap) -> NDArray[np.float64]:
    """Credible level at the centre of each pixel."""
    across = ((np.arange(_PIXELS) + 0.5) / _PIXELS * 2 - 1) * _extent(view)
    x, y = np.meshgrid(across, -across)
    ra, dec = gnomonic_inverse(x, y, view.ra, view.dec)
    return skymap.credible_levels(ra.ravel(), dec.ravel()).reshape(ra.shape)


def _step(span: float) -> float:
    return next((step for step in _STEPS if span / step <= 5), _STEPS[-1])  # noqa: PLR2004  (lines)


def _graticule(view: Closeup) -> tuple[Markup, Markup]:
    """Meridians and parallels, with their names at the lower and the left edge."""
    low, high = max(view.dec - 1.6 * view.half, -90.0), min(view.dec + 1.6 * view.half, 90.0)
    step = _step(2 * view.half)
    paths, names = [], []
    for index in range(math.ceil(low / step), math.floor(high / step) + 1):
        dec = index * step
        ra = view.ra + np.linspace(-180.0, 180.0, 1441)
        x, y = _place(view, ra, np.full(ra.shape, dec))
        paths.append(polyline(x, y, _SIZE))
        edge = _crossing(y, x, 0.0)
        if edge is not None:
            words = f"{dec:+.{_places(step)}f}°" if dec else "0°"
            names.append(element("text", words, x=-5.0, y=edge + 4, text_anchor="end"))
    cosine = max(math.cos(math.radians(view.dec)), 0.02)
    step = _step(min(2 * view.half / cosine, 150.0))
    for index in range(math.ceil(360 / step)):
        meridian = index * step
        heights = np.linspace(low, high, 361)
        x, y = _place(view, np.full(heights.shape, meridian), heights)
        paths.append(polyline(x, y, _SIZE))
        edge = _crossing(x, y, _SIZE)
        if edge is not None:
            words = f"{meridian:.{_places(step)}f}°"
            names.append(element("text", words, x=edge, y=_SIZE + 15, text_anchor="middle"))
    lines = element("path", d="".join(paths), class_="graticule")
    return lines, element("g", join(names), class_="names")


def _places(step: float) -> int:
    return 0 if step >= 1 else 2 if step < 0.1 else 1  # noqa: PLR2004  (steps of 0.05 need two)


def _crossing(along: NDArray[np.float64], across: NDArray[np.float64], edge: float) -> float | None:
    """Where a line reaches an edge of the drawing, if it does."""
    before, after = across[:-1] - edge, across[1:] - edge
    with np.errstate(invalid="ignore"):
        hits = np.nonzero((before * after <= 0) & (before != after))[0]
    for hit in hits.tolist():
        part = before[hit] / (before[hit] - after[hit])
        value = float(along[hit] + part * (along[hit + 1] - along[hit]))
        if 8 <= value <= _SIZE - 8:  # noqa: PLR2004  (room for the name)
            return value
    return None


def _scale_bar(view: Closeup) -> Markup:
    """Length of a round number of degrees at the centre of the view."""
    degrees = round_step(2 * view.half / 3.0, 1) / 2
    length = _SIZE / 2 / _extent(view) * degrees
    x, y = 14.0, _SIZE - 14.0
    path = f"M{fixed(x)} {fixed(y - 4)}v8m0-4h{fixed(length)}m0-4v8"
    words = f"{degrees:g}°"
    return element(
        "g",
        element("path", d=path),
        element("text", words, x=x + length / 2, y=y - 7, text_anchor="middle"),
        class_="scale",
    )

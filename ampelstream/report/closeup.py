"""Close-ups: which parts of the sky hold the 90 % region, and their drawings.

`find_closeups` covers the region with a few views. `draw_closeup` draws a view on the plane that
touches the sky at its centre (gnomonic projection), with a scale in degrees.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import healpy as hp
import numpy as np
from numpy.typing import NDArray

from ampelstream.report.content import ReportMap
from ampelstream.report.maplayers import (
    Marker,
    draw_markers,
    marker_title,
    outlines,
    polyline,
    shaded_image,
)
from ampelstream.report.markup import Markup, element, fixed, join
from ampelstream.report.projection import Plane, galactic_plane, gnomonic, gnomonic_inverse
from ampelstream.report.quantities import round_step
from ampelstream.report.views import Row
from ampelstream.sky.healpix import ORDER

__all__ = ["Closeup", "border", "draw_closeup", "find_closeups", "inside_closeup"]

_REACH_DEG = 22.0
_SMALLEST_DEG, _LARGEST_DEG = 0.5, 32.0
_AT_MOST = 3
_WORTH = 0.08
"""Probability below which a part of the sky gets no picture of its own."""


@dataclass(frozen=True, slots=True)
class Closeup:
    """One part of the sky.

    Attributes
    ----------
    ra, dec
        Its centre [deg, ICRS].
    half
        From the centre to each edge [deg].
    probability
        Of the source being in this part, as far as it is in the 90 % region.
    """

    ra: float
    dec: float
    half: float
    probability: float


def find_closeups(skymap: ReportMap) -> Sequence[Closeup]:
    """Cover the 90 % credible region with at most three views, the most probable first."""
    inside = skymap.level <= 0.9  # noqa: PLR2004  (the 90 % region)
    if not inside.any():
        inside = skymap.level == skymap.level.min()
    order = skymap.order[inside].astype(np.int64)
    vectors = _tile_centres(skymap.start29[inside], order)
    weight = skymap.density[inside] * (4 * np.pi / 12) / 4.0**order
    size = np.degrees(np.sqrt(np.pi / 3) / 2.0**order)
    found: list[Closeup] = []
    left = np.ones(weight.shape, dtype=bool)
    while left.any() and len(found) < _AT_MOST:
        # The first view is worth drawing whatever it holds.
        centre, reach = _group(vectors, weight, left)
        members = left & reach
        probability = float(weight[members].sum())
        if found and probability < _WORTH:
            break
        found.append(_view(centre, vectors[members], size[members], probability))
        left &= ~members
    return found


def _tile_centres(start29: NDArray[np.int64], order: NDArray[np.int64]) -> NDArray[np.float64]:
    """Unit vectors of the centres of tiles, shape (n, 3)."""
    pixel = start29 >> 2 * (ORDER - order)
    return np.stack(hp.pix2vec(hp.order2nside(order), pixel, nest=True), axis=-1)


def _group(
    vectors: NDArray[np.float64], weight: NDArray[np.float64], left: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Centre, and tiles around it: the heaviest tile's neighbourhood, moved to its own middle."""
    densest = np.argmax(np.where(left, weight, -1.0))
    centre = vectors[densest]
    reach = vectors @ centre >= np.cos(np.radians(_REACH_DEG))
    for _ in range(4):
        members = left & reach
        mean = (vectors[members] * weight[members, None]).sum(axis=0)
        length = float(np.linalg.norm(mean))
        if length == 0:
            break
        moved = vectors @ (mean / length) >= np.cos(np.radians(_REACH_DEG))
        if not (left & moved).any():
            break
        centre, reach = mean / length, moved
    return centre, reach


def _view(
    centre: NDArray[np.float64],
    vectors: NDArray[np.float64],
    size: NDArray[np.float64],
    probability: float,
) -> Closeup:
    """Just large enough for all members, with a margin."""
    away = np.degrees(np.arccos(np.clip(vectors @ centre, -1.0, 1.0)))
    half = float(np.clip(1.12 * (away + size).max() + 0.1, _SMALLEST_DEG, _LARGEST_DEG))
    return Closeup(
        ra=float(np.degrees(np.arctan2(centre[1], centre[0])) % 360.0),
        dec=float(np.degrees(np.arcsin(np.clip(centre[2], -1.0, 1.0)))),
        half=half,
        probability=probability,
    )


_SIZE, _PIXELS = 400.0, 250
_MARGIN_LEFT, _MARGIN_TOP, _MARGIN_BOTTOM = 46, 8, 22
_STEPS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0)


def _extent(view: Closeup) -> float:
    """Half the side of the plane [deg at its centre]."""
    return math.degrees(math.tan(math.radians(view.half)))


def _project(
    view: Closeup, ra: NDArray[np.float64], dec: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Drawing coordinates, y downwards; NaN where there is no image."""
    x, y = gnomonic(ra, dec, view.ra, view.dec)
    per_degree = _SIZE / 2 / _extent(view)
    return _SIZE / 2 + x * per_degree, _SIZE / 2 - y * per_degree


def border(view: Closeup, points: int = 31) -> Plane:
    """Positions (ra, dec) [deg] along the edge of a drawing, closed, shape (4 points,)."""
    side = np.linspace(-1.0, 1.0, points) * _extent(view)
    end = np.full(points, _extent(view))
    x, y = np.concatenate([side, end, -side, -end]), np.concatenate([end, -side, -end, side])
    return gnomonic_inverse(x, y, view.ra, view.dec)


def inside_closeup(view: Closeup, rows: Sequence[Row]) -> list[Row]:
    """Candidates whose position is on the drawing."""
    return [row for row, _, _ in _on_drawing(view, rows)]


def _on_drawing(view: Closeup, rows: Sequence[Row]) -> list[tuple[Row, float, float]]:
    shown = []
    for row in rows:
        if row.candidate.ra is None or row.candidate.dec is None:
            continue
        x, y = _project(view, np.array(row.candidate.ra), np.array(row.candidate.dec))
        if 0 <= float(x) <= _SIZE and 0 <= float(y) <= _SIZE:
            shown.append((row, float(x), float(y)))
    return shown


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
        for row, x, y in sorted(
            _on_drawing(view, rows), key=lambda one: (one[0].rank, one[0].label)
        )
    ]
    lines, names = _graticule(view)
    plane = element("path", d=polyline(*_project(view, *galactic_plane(1441))), class_="galactic")
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
        x, y = _project(view, ra, np.full(ra.shape, dec))
        paths.append(polyline(x, y, _SIZE))
        edge = _crossing(y, x, 0.0)
        if edge is not None:
            words = f"{dec:+.{_decimals(step)}f}°" if dec else "0°"
            names.append(element("text", words, x=-5.0, y=edge + 4, text_anchor="end"))
    cosine = max(math.cos(math.radians(view.dec)), 0.02)
    step = _step(min(2 * view.half / cosine, 150.0))
    for index in range(math.ceil(360 / step)):
        meridian = index * step
        heights = np.linspace(low, high, 361)
        x, y = _project(view, np.full(heights.shape, meridian), heights)
        paths.append(polyline(x, y, _SIZE))
        edge = _crossing(x, y, _SIZE)
        if edge is not None:
            words = f"{meridian:.{_decimals(step)}f}°"
            names.append(element("text", words, x=edge, y=_SIZE + 15, text_anchor="middle"))
    lines = element("path", d="".join(paths), class_="graticule")
    return lines, element("g", join(names), class_="names")


def _decimals(step: float) -> int:
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

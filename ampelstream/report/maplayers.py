"""What is drawn on a map of the sky: credible levels as shades and outlines, lines, candidates.

The whole sky (`ampelstream.report.skydrawing`) and the close-ups (`ampelstream.report.closeup`)
differ in their projection only; both raster the credible level onto a grid of pixels and hand it to
`shaded_image` and `outlines`, project lines and hand them to `polyline`, project candidates and
hand them to `draw_markers`. The outlines are found by marching squares: Lorensen & Cline, "Marching
cubes", SIGGRAPH 1987, in two dimensions.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ampelstream.report.markup import (
    Colour,
    Markup,
    data_uri,
    element,
    encode_png,
    fixed,
    join,
)
from ampelstream.report.views import Row

__all__ = [
    "LEVELS",
    "Marker",
    "contour",
    "draw_markers",
    "marker_title",
    "outlines",
    "path_data",
    "polyline",
    "shaded_image",
]

LEVELS = (0.5, 0.9)
"""Credible regions that are outlined."""

_STEPS = 33
_CLEAR_BEYOND = 0.99
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
    known = np.isfinite(levels) & (levels <= _CLEAR_BEYOND)
    step = np.floor(np.where(known, levels, 0.0) / _CLEAR_BEYOND * (_STEPS - 1) + 0.5)
    pixels = np.where(known, step + 1, 0).astype(np.uint8)
    rows, columns = levels.shape
    return element(
        "image",
        x=x,
        y=y,
        width=columns * scale,
        height=rows * scale,
        href=data_uri(encode_png(pixels, _palette())),
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


Point = tuple[float, float]
_GridLine = tuple[int, int, int]
"""Row, column and direction (0 to the right, 1 down) of a grid line between two pixel centres."""

# For each of the 16 cases (bit 0 top left, 1 top right, 2 bottom right, 3 bottom left inside), the
# sides of the cell that the line joins: 0 top, 1 right, 2 bottom, 3 left.
_CASES: dict[int, tuple[tuple[int, int], ...]] = {
    1: ((3, 0),),
    2: ((0, 1),),
    3: ((3, 1),),
    4: ((1, 2),),
    5: ((3, 0), (1, 2)),
    6: ((0, 2),),
    7: ((3, 2),),
    8: ((2, 3),),
    9: ((2, 0),),
    10: ((0, 1), (2, 3)),
    11: ((2, 1),),
    12: ((1, 3),),
    13: ((1, 0),),
    14: ((0, 3),),
}


def _grid_line(row: int, column: int, side: int) -> _GridLine:
    if side in {0, 2}:
        return (row + side // 2, column, 0)
    return (row, column + side % 3, 1)


def _point(values: NDArray[np.float64], edge: _GridLine, level: float) -> Point:
    row, column, down = edge
    first = float(values[row, column])
    second = float(values[row + down, column + 1 - down])
    part = (level - first) / (second - first)
    return column + (0.0 if down else part), row + (part if down else 0.0)


def contour(values: NDArray[np.float64], level: float) -> list[list[Point]]:
    """Lines along which ``values`` crosses ``level``.

    Parameters
    ----------
    values
        Grid, shape (rows, columns); cells with a NaN corner are left out.
    level
        The region is where values <= level.

    Returns
    -------
    list of list of tuple
        Lines of (x, y) = (column, row), fractional; a closed one ends where it begins.
    """
    inside = values <= level
    case = inside[:-1, :-1] * 1 + inside[:-1, 1:] * 2 + inside[1:, 1:] * 4 + inside[1:, :-1] * 8
    known = np.isfinite(values)
    whole = known[:-1, :-1] & known[:-1, 1:] & known[1:, 1:] & known[1:, :-1]
    links: dict[_GridLine, list[_GridLine]] = {}
    for row, column in np.argwhere(whole & (case > 0) & (case < 15)).tolist():  # noqa: PLR2004  (all inside)
        for start, end in _CASES[int(case[row, column])]:
            first, second = _grid_line(row, column, start), _grid_line(row, column, end)
            links.setdefault(first, []).append(second)
            links.setdefault(second, []).append(first)
    return [[_point(values, edge, level) for edge in line] for line in _lines(links)]


def _lines(links: dict[_GridLine, list[_GridLine]]) -> list[list[_GridLine]]:
    """Join segments end to end; open lines are begun at an end, closed ones anywhere."""
    lines = []
    ends = [edge for edge, others in links.items() if len(others) == 1]
    for start in [*ends, *links]:
        if not links[start]:
            continue
        line = [start]
        while links[line[-1]]:
            following = links[line[-1]].pop()
            links[following].remove(line[-1])
            line.append(following)
        lines.append(line)
    return lines


def path_data(lines: list[list[Point]], scale: float = 1.0, digits: int = 1) -> str:
    """Write lines as the ``d`` of an SVG path: relative steps, rounded, straight runs merged.

    Parameters
    ----------
    lines
        As ``contour`` gives them.
    scale
        Drawing units per grid step; pixel centres lie half a step in.
    digits
        Decimal places.
    """
    unit = 10**digits
    pieces = []
    for line in lines:
        grid = [(round((x + 0.5) * scale * unit), round((y + 0.5) * scale * unit)) for x, y in line]
        x, y = grid[0]
        pieces.append(f"M{x / unit:g} {y / unit:g}")
        steps = [(b[0] - a[0], b[1] - a[1]) for a, b in itertools.pairwise(grid)]
        pieces.extend(f"l{dx / unit:g} {dy / unit:g}" for dx, dy in _merged(steps))
        if line[0] == line[-1]:
            pieces.append("z")
    return "".join(pieces)


def _merged(steps: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Steps in one direction taken as one."""
    merged: list[tuple[int, int]] = []
    for dx, dy in steps:
        if merged:
            lx, ly = merged[-1]
            if lx * dy == ly * dx and lx * dx + ly * dy >= 0:
                merged[-1] = (lx + dx, ly + dy)
                continue
        if dx or dy:
            merged.append((dx, dy))
    return merged


_RADIUS = 5.0
_LETTER = 7.5
_LINE = 12.0


@dataclass(frozen=True, slots=True)
class Marker:
    """A candidate on a drawing.

    Attributes
    ----------
    x, y
        Drawing units, y downwards.
    label
        Its number; empty for a plain dot.
    title
        Shown when a pointer rests on it.
    target
        Anchor of its card or row; empty without one.
    """

    x: float
    y: float
    label: str
    title: str
    target: str


_Box = tuple[float, float, float, float]


def draw_markers(markers: Sequence[Marker], width: float, height: float) -> Markup:
    """Draw the marks, best on top, and the numbers that fit beside them.

    Parameters
    ----------
    markers
        Best first: they get their numbers first.
    width, height
        Size of the drawing; a number outside of it is left out.
    """
    taken: list[_Box] = [
        (one.x - _RADIUS, one.y - _RADIUS, one.x + _RADIUS, one.y + _RADIUS)
        for one in markers
        if one.label
    ]
    drawn = [_draw(one, _free_box(one, taken, (0.0, 0.0, width, height))) for one in markers]
    return element("g", join(drawn[::-1]), class_="markers")


def _free_box(marker: Marker, taken: list[_Box], page: _Box) -> _Box | None:
    """Find a box beside the marker that meets no other one, and take it."""
    if not marker.label:
        return None
    wide = _LETTER * len(marker.label)
    gap = _RADIUS + 2
    offsets = [
        (gap, -_LINE / 2),
        (-gap - wide, -_LINE / 2),
        (-wide / 2, -gap - _LINE),
        (-wide / 2, gap),
        (gap - 2, -gap - _LINE + 5),
        (-gap - wide + 2, -gap - _LINE + 5),
        (gap - 2, gap - 5),
        (-gap - wide + 2, gap - 5),
    ]
    for dx, dy in offsets:
        box = (marker.x + dx, marker.y + dy, marker.x + dx + wide, marker.y + dy + _LINE)
        if _within(box, page) and not any(_meet(box, other) for other in taken):
            taken.append(box)
            return box
    return None


def _within(box: _Box, page: _Box) -> bool:
    return box[0] >= page[0] and box[1] >= page[1] and box[2] <= page[2] and box[3] <= page[3]


def _meet(one: _Box, two: _Box) -> bool:
    return one[0] < two[2] and two[0] < one[2] and one[1] < two[3] and two[1] < one[3]


def _draw(marker: Marker, box: _Box | None) -> Markup:
    if not marker.label:
        dot = element("circle", cx=marker.x, cy=marker.y, r=1.8, class_="dot")
        return element("g", element("title", marker.title), dot)
    disc = element("circle", cx=marker.x, cy=marker.y, r=_RADIUS, class_="candidate")
    name = None
    if box is not None:
        name = element("text", marker.label, x=fixed(box[0]), y=fixed(box[3] - 2))
    inner = (element("title", marker.title), disc, name)
    if not marker.target:
        return element("g", *inner)
    return element("a", *inner, href=f"#{marker.target}")


def marker_title(row: Row) -> str:
    """What is shown when a pointer rests on a candidate."""
    score = "" if row.score is None else f", score {row.score:g}"
    return f"{row.label} · {row.candidate.object_id}{score}"


def polyline(x: NDArray[np.float64], y: NDArray[np.float64], jump: float = 400.0) -> str:
    """Write points as an SVG path, lifting the pen at NaN and where the line wraps around.

    Two neighbouring points further apart than ``jump`` (by default half the width of the map of the
    whole sky) lie on opposite edges of the map.
    """
    pieces, drawing, last = [], False, 0.0
    for across, down in zip(x.tolist(), y.tolist(), strict=True):
        if not np.isfinite(across) or not np.isfinite(down):
            drawing = False
            continue
        pen = "L" if drawing and abs(across - last) < jump else "M"
        pieces.append(f"{pen}{fixed(across)} {fixed(down)}")
        drawing, last = True, across
    return "".join(pieces)

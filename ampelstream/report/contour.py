"""Outlines of a region on a grid: marching squares, joined into lines.

Lorensen & Cline, "Marching cubes", SIGGRAPH 1987, in two dimensions.
"""

import itertools

import numpy as np
from numpy.typing import NDArray

__all__ = ["contour", "path_data"]

Point = tuple[float, float]
_Edge = tuple[int, int, int]
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


def _edge(row: int, column: int, side: int) -> _Edge:
    if side in {0, 2}:
        return (row + side // 2, column, 0)
    return (row, column + side % 3, 1)


def _point(values: NDArray[np.float64], edge: _Edge, level: float) -> Point:
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
    links: dict[_Edge, list[_Edge]] = {}
    for row, column in np.argwhere(whole & (case > 0) & (case < 15)).tolist():  # noqa: PLR2004  (all inside)
        for start, end in _CASES[int(case[row, column])]:
            first, second = _edge(row, column, start), _edge(row, column, end)
            links.setdefault(first, []).append(second)
            links.setdefault(second, []).append(first)
    return [[_point(values, edge, level) for edge in line] for line in _lines(links)]


def _lines(links: dict[_Edge, list[_Edge]]) -> list[list[_Edge]]:
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

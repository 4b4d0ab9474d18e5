"""Shades, outlines, candidates and lines of a map."""

import re

import numpy as np
import pytest

from ampelstream.report.maplayers import (
    Marker,
    contour,
    draw_markers,
    path_data,
    polyline,
    shaded_image,
)


def distance(rows: int = 41) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    half = rows // 2
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float64)
    radius: np.ndarray[tuple[int, int], np.dtype[np.float64]] = np.hypot(x, y)
    return radius


def test_a_circle_is_one_closed_line_at_its_radius() -> None:
    lines = contour(distance(), 12.3)
    assert len(lines) == 1
    assert lines[0][0] == lines[0][-1]
    radii = [np.hypot(x - 20, y - 20) for x, y in lines[0]]
    np.testing.assert_allclose(radii, 12.3, atol=0.03)


def test_a_ring_is_two_lines() -> None:
    assert len(contour(np.abs(distance() - 10), 3.0)) == 2


def test_a_line_that_leaves_the_grid_is_open() -> None:
    values = np.tile(np.arange(6.0), (4, 1))
    lines = contour(values, 2.5)
    assert len(lines) == 1
    assert {x for x, _ in lines[0]} == {2.5}
    assert sorted(y for _, y in lines[0]) == [0.0, 1.0, 2.0, 3.0]


def test_cells_with_an_unknown_corner_are_left_out() -> None:
    values = np.tile(np.arange(6.0), (4, 1))
    values[0, 2] = np.nan
    assert sorted(y for _, y in contour(values, 2.5)[0]) == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("corner", [(0, 0), (0, 1)])
def test_a_saddle_gives_two_lines(corner: tuple[int, int]) -> None:
    values = np.ones((2, 2))
    values[corner] = 0.0
    values[1 - corner[0], 1 - corner[1]] = 0.0
    assert len(contour(values, 0.5)) == 2


def test_nothing_inside_is_no_line() -> None:
    assert contour(np.ones((5, 5)), 0.5) == []
    assert contour(np.zeros((5, 5)), 0.5) == []


def test_path_follows_the_line_without_drift() -> None:
    lines = contour(distance(), 12.3)
    data = path_data(lines, scale=2.0)
    assert data.startswith("M")
    assert data.endswith("z")
    x, y = (float(one) for one in re.findall(r"M(\S+) (\S+?)l", data)[0])
    for dx, dy in re.findall(r"l(\S+?) (-?[\d.]+)", data):
        x, y = x + float(dx), y + float(dy)
        # Pixel centres lie half a step in: the middle of the grid is at 41.
        assert np.hypot(x - 41, y - 41) == pytest.approx(24.6, abs=0.15)


def test_straight_runs_are_merged() -> None:
    values = np.tile(np.arange(6.0), (40, 1))
    assert path_data(contour(values, 2.5)).count("l") == 1


def test_shading_is_clear_outside_and_unknown() -> None:
    levels = np.array([[0.0, 0.5, 0.995, np.nan]])
    assert 'width="4" height="1"' in shaded_image(levels, 0.0, 0.0, 1.0)


def test_numbers_do_not_overlap() -> None:
    markers = [Marker(100 + 3 * k, 100, str(k + 1), "t", "a") for k in range(10)]
    svg = draw_markers(markers, 400, 400)
    assert svg.count("<circle") == 10
    boxes = [
        (float(x), float(y), 7.5 * len(words))
        for words, x, y in (
            (words, x, y) for x, y, words in re.findall(r'<text x="(\S+)" y="(\S+)">(\d+)<', svg)
        )
    ]
    assert 2 <= len(boxes) < 10
    for index, (x, y, wide) in enumerate(boxes):
        for other_x, other_y, other in boxes[:index]:
            apart = x >= other_x + other or other_x >= x + wide or abs(y - other_y) >= 12
            assert apart


def test_lines_are_cut_where_they_wrap() -> None:
    x = np.array([10.0, 5.0, 795.0, 790.0, np.nan, 780.0])
    assert polyline(x, np.zeros(6)) == "M10 0L5 0M795 0L790 0M780 0"

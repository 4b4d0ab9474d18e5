"""Candidates on a map: a mark each, and numbers where there is room for them."""

from collections.abc import Sequence
from dataclasses import dataclass

from ampelstream.report.markup import Markup, element, fixed, join

__all__ = ["Marker", "draw_markers"]

_RADIUS = 5.0
_LETTER = 7.5
_LINE = 12.0


@dataclass(frozen=True, slots=True)
class Marker:
    """A candidate's place on a drawing.

    Attributes
    ----------
    x, y
        Drawing units, y downwards.
    label
        Its number; empty for a plain dot.
    title
        What a pointer resting on it is told.
    target
        Anchor of its card or row; empty without one.
    """

    x: float
    y: float
    label: str
    title: str
    target: str


Box = tuple[float, float, float, float]


def draw_markers(markers: Sequence[Marker], width: float, height: float) -> Markup:
    """Draw the marks, best on top, and the numbers that fit beside them.

    Parameters
    ----------
    markers
        Best first: they get their numbers first.
    width, height
        Size of the drawing; a number outside of it is left out.
    """
    taken: list[Box] = [
        (one.x - _RADIUS, one.y - _RADIUS, one.x + _RADIUS, one.y + _RADIUS)
        for one in markers
        if one.label
    ]
    drawn = [_draw(one, _place(one, taken, (0.0, 0.0, width, height))) for one in markers]
    return element("g", join(drawn[::-1]), class_="markers")


def _place(marker: Marker, taken: list[Box], page: Box) -> Box | None:
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


def _within(box: Box, page: Box) -> bool:
    return box[0] >= page[0] and box[1] >= page[1] and box[2] <= page[2] and box[3] <= page[3]


def _meet(one: Box, two: Box) -> bool:
    return one[0] < two[2] and two[0] < one[2] and one[1] < two[3] and two[1] < one[3]


def _draw(marker: Marker, box: Box | None) -> Markup:
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

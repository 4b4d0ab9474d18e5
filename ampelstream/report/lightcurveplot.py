"""The light curve of a candidate as an SVG drawing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ampelstream.model.lightcurve import Datapoint, LightCurve
from ampelstream.report.markup import Markup, element, fixed, join
from ampelstream.report.quantities import decimals, jd_text, ticks

__all__ = ["draw_lightcurve"]

_WIDTH, _HEIGHT = 560.0, 370.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 54.0, 14.0, 58.0, 42.0
_EDGE = 8.0
"""How far above the lower edge that stands which has no brightness."""
_COLOURED = ("g", "r", "i")
"""Bands with a colour of their own in style.css."""


@dataclass(frozen=True, slots=True)
class _Mark:
    """A datapoint that can be drawn: brightness is its magnitude or its limit [AB mag]."""

    point: Datapoint
    day: float
    brightness: float
    error: float


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where days and magnitudes are on the drawing; bright is up."""

    first: float
    last: float
    bright: float
    faint: float

    def x(self, day: float) -> float:
        part = (day - self.first) / (self.last - self.first)
        return _LEFT + part * (_WIDTH - _LEFT - _RIGHT)

    def y(self, magnitude: float) -> float:
        part = (magnitude - self.bright) / (self.faint - self.bright)
        return _TOP + part * (_HEIGHT - _TOP - _BOTTOM)


def draw_lightcurve(points: Sequence[Datapoint], t0_jd: float | None, label: str) -> Markup:
    """Draw magnitudes and upper limits against days since the trigger.

    What is fainter than the reference has no brightness: it stands at the lower edge.

    Parameters
    ----------
    points
        The datapoints; those without a finite magnitude or limit cannot be drawn.
    t0_jd
        Trigger time [JD]; without one, days count from the first datapoint.
    label
        Name of the drawing for those who do not see it.
    """
    origin = t0_jd if t0_jd is not None else min((p.jd for p in points), default=0.0)
    marks = [mark for point in _shown(points) if (mark := _mark(point, origin)) is not None]
    if not marks:
        return element("p", "No datapoint to draw.", class_="muted")
    frame = _frame(marks, has_trigger=t0_jd is not None)
    # Limits first, so that they never hide a detection.
    marks.sort(key=lambda mark: (mark.point.mag is not None, mark.day, mark.point.id))
    return element(
        "svg",
        element("title", label),
        *_axes(frame, origin, has_trigger=t0_jd is not None),
        element("g", join([_draw(mark, frame) for mark in marks]), class_="marks"),
        _legend(marks),
        class_="lightcurve",
        viewBox=f"0 0 {fixed(_WIDTH)} {fixed(_HEIGHT)}",
        role="img",
        aria_label=label,
    )


def _shown(points: Sequence[Datapoint]) -> list[Datapoint]:
    """Of each exposure what says most: a magnitude, what is fainter, or a limit."""
    bright = set(LightCurve("", points).brightness)

    def rank(point: Datapoint) -> int:
        return 0 if point in bright else (1 if point.mag is not None else 3) + point.forced

    best: dict[tuple[float, int], int] = {}
    for point in points:
        exposure = (point.jd, point.fid)
        best[exposure] = min(rank(point), best.get(exposure, 4))
    return [point for point in points if rank(point) == best[point.jd, point.fid]]


def _mark(point: Datapoint, origin: float) -> _Mark | None:
    value = point.mag if point.mag is not None else point.limmag
    if value is None or not math.isfinite(value) or not math.isfinite(point.jd):
        return None
    error = point.magerr if point.mag is not None and point.magerr is not None else 0.0
    # An error bar of many magnitudes would squeeze everything else.
    error = min(abs(error), 2.0) if math.isfinite(error) else 0.0
    return _Mark(point, point.jd - origin, value, error)


def _frame(marks: Sequence[_Mark], *, has_trigger: bool) -> _Frame:
    days = [mark.day for mark in marks] + ([0.0] if has_trigger else [])
    first, last = min(days), max(days)
    margin = max(0.04 * (last - first), 0.05)
    # what is fainter than the reference is not on this scale; alone, it makes one for itself
    scaled = [mark for mark in marks if not _negative(mark.point)] or marks
    bright = min(mark.brightness - mark.error for mark in scaled)
    faint = max(mark.brightness + mark.error for mark in scaled)
    room = max(0.08 * (faint - bright), 0.15)
    return _Frame(first - margin, last + margin, bright - room, faint + room)


def _label(x: float, y: float, words: str, **attributes: str) -> Markup:
    return element("text", words, x=x, y=y, **attributes)


def _line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def _axes(frame: _Frame, origin: float, *, has_trigger: bool) -> list[Markup]:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts = [
        element(
            "rect",
            x=_LEFT,
            y=_TOP,
            width=right - _LEFT,
            height=bottom - _TOP,
            class_="frame",
        )
    ]
    magnitudes = ticks(frame.bright, frame.faint, 8)
    for value in magnitudes:
        y = frame.y(value)
        parts.append(_line(_LEFT, y, right, y, "grid"))
        words = f"{value:.{decimals(magnitudes)}f}"
        parts.append(_label(_LEFT - 6, y + 4, words, text_anchor="end"))
    days = ticks(frame.first, frame.last, 8)
    for value in days:
        x = frame.x(value)
        parts.append(_line(x, _TOP, x, bottom, "grid"))
        words = f"{value + 0.0:.{decimals(days)}f}"
        parts.append(_label(x, bottom + 16, words, text_anchor="middle"))
    parts.extend(_julian_axis(frame, origin))
    if has_trigger:
        x = frame.x(0.0)
        parts.append(_line(x, _TOP, x, bottom, "trigger"))
        side = "end" if x > (_LEFT + right) / 2 else "start"
        shift = -4 if side == "end" else 4
        parts.append(_label(x + shift, bottom - 6, "t0", text_anchor=side, class_="trigger-name"))
    since = "days since the trigger" if has_trigger else "days since the first datapoint"
    parts.append(_label((_LEFT + right) / 2, _HEIGHT - 6, since, text_anchor="middle"))
    middle = fixed((_TOP + bottom) / 2)
    turn = f"translate(13 {middle}) rotate(-90)"
    parts.append(element("text", "AB magnitude", transform=turn, text_anchor="middle"))
    return parts


def _julian_axis(frame: _Frame, origin: float) -> list[Markup]:
    """Ticks of Julian date above the frame, less a round number that they share."""
    values = ticks(origin + frame.first, origin + frame.last, 5)
    base = math.floor((origin + frame.first) / 100) * 100
    parts = []
    for value in values:
        x = frame.x(value - origin)
        parts.append(_line(x, _TOP, x, _TOP + 5, "tick"))
        words = f"{value - base:.{decimals(values)}f}"
        parts.append(_label(x, _TOP - 5, words, text_anchor="middle", class_="minor"))
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    name = f"JD \N{MINUS SIGN} {base:d}"
    parts.append(_label(middle, _TOP - 20, name, text_anchor="middle", class_="minor"))
    return parts


def _shape(band: str, x: float, y: float, class_: str) -> Markup:
    """Circle for g, square for r, diamond for the others: distinguishable without colour."""
    if band == "g":
        return element("circle", cx=x, cy=y, r=4, class_=class_)
    if band == "r":
        return element("rect", x=x - 3.6, y=y - 3.6, width=7.2, height=7.2, class_=class_)
    path = f"M{fixed(x)} {fixed(y - 5)}l5 5l-5 5l-5-5z"
    return element("path", d=path, class_=class_)


def _limit(x: float, y: float, class_: str) -> Markup:
    return element("path", d=f"M{fixed(x - 4.5)} {fixed(y - 4)}h9l-4.5 8z", class_=class_)


def _negative(point: Datapoint) -> bool:
    return point.positive is False


def _classes(point: Datapoint) -> str:
    band = point.band if point.band in _COLOURED else "other"
    if point.mag is None:
        return f"band-{band} open"
    negative = " negative" if point.positive is False else ""
    return f"band-{band}{negative}{' forced' if point.forced else ''}"


def _draw(mark: _Mark, frame: _Frame) -> Markup:
    point = mark.point
    x, y = frame.x(mark.day), frame.y(mark.brightness)
    when = f"{mark.day:+.3f} d, JD {jd_text(point.jd)}"
    if point.mag is None:
        words = f"{point.band} > {mark.brightness:.2f} mag (5-sigma limit), {when}"
        return element("g", element("title", words), _limit(x, y, _classes(point)))
    error = f" ± {point.magerr:.2f}" if point.magerr is not None else ""
    kind = ", forced photometry" if point.forced else ""
    words = f"{point.band} = {mark.brightness:.2f}{error} mag{kind}, {when}"
    if point.positive is False:  # no brightness: what is missing of the reference
        words = f"{point.band} fainter than the reference by the flux of {mark.brightness:.2f} mag"
        words += f"{error}{kind}, {when}"
        edge = _HEIGHT - _BOTTOM - _EDGE
        shape = _shape(point.band, x, edge, _classes(point))
        return element("g", element("title", words), shape)
    low, high = frame.y(mark.brightness + mark.error), frame.y(mark.brightness - mark.error)
    bar = _line(x, low, x, high, f"error {_classes(point)}") if mark.error else None
    return element("g", element("title", words), bar, _shape(point.band, x, y, _classes(point)))


def _legend(marks: Sequence[_Mark]) -> Markup:
    """One entry for each kind of mark that occurs."""
    entries: dict[str, Datapoint] = {}
    for mark in sorted(
        marks, key=lambda m: (m.point.mag is None, m.point.forced, _negative(m.point), m.point.fid)
    ):
        point = mark.point
        name = point.band + (" forced" if point.forced and point.mag is not None else "")
        name += " limit" if point.mag is None else " negative" if _negative(point) else ""
        entries.setdefault(name, point)
    parts, x = [], _LEFT + 4
    for name, point in entries.items():
        classes = _classes(point)
        shape = _shape(point.band, x, 12, classes)
        parts.append(shape if point.mag is not None else _limit(x, 12, classes))
        parts.append(_label(x + 9, 16, name))
        x += 24 + 7.2 * len(name)
    return element("g", join(parts), class_="legend")

"""The light curve of a candidate as an SVG drawing.

Which part of it is drawn says `ampelstream.report.lightcurveframe`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ampelstream.model.lightcurve import Datapoint, LightCurve
from ampelstream.report.brightness import Luminosity
from ampelstream.report.lightcurveframe import Frame, Mark, mark_of, zoom
from ampelstream.report.markup import Markup, element, fixed, join
from ampelstream.report.quantities import date_ticks, decimals, jd_text, ticks, utc_text

__all__ = ["draw_lightcurve"]

_WIDTH, _HEIGHT = 560.0, 400.0
_LEFT, _TOP, _BOTTOM = 62.0, 58.0, 42.0
_RIGHT, _RIGHT_WITH_AXIS = 14.0, 66.0
_STRIP = 20.0
"""Height of the strip of negative subtractions, below the magnitudes."""
_COLOURED = ("g", "r", "i")
"""Bands with a colour of their own in style.css."""


@dataclass(frozen=True, slots=True)
class _Page:
    """Where days and magnitudes are on the drawing; bright is up."""

    frame: Frame
    origin: float
    has_trigger: bool
    luminosity: Luminosity
    right: float
    bottom: float

    def x(self, day: float) -> float:
        part = (day - self.frame.first) / (self.frame.last - self.frame.first)
        return _LEFT + part * (self.right - _LEFT)

    def y(self, magnitude: float) -> float:
        part = (magnitude - self.frame.bright) / (self.frame.faint - self.frame.bright)
        return _TOP + min(max(part, 0.0), 1.0) * (self.bottom - _TOP)


def draw_lightcurve(
    points: Sequence[Datapoint],
    t0_jd: float | None,
    label: str,
    luminosity: Luminosity | None = None,
) -> Markup:
    """Draw detections and upper limits against days since the trigger, and dates.

    Parameters
    ----------
    points
        The datapoints; those without a finite magnitude or limit cannot be drawn.
    t0_jd
        Trigger time [JD]; without one, days count from the first detection.
    label
        Name of the drawing for those who do not see it.
    luminosity
        With a distance modulus, a second axis has absolute magnitudes; with a reddening, all
        magnitudes are corrected for extinction.
    """
    luminosity = luminosity or Luminosity()
    origin = t0_jd if t0_jd is not None else _begin(points)
    found = [mark_of(point, origin, luminosity) for point in _shown(points)]
    marks = [mark for mark in found if mark is not None]
    if not marks:
        return element("p", "No datapoint to draw.", class_="muted")
    zoomed = zoom(marks, has_trigger=t0_jd is not None)
    page = _Page(
        frame=zoomed.frame,
        origin=origin,
        has_trigger=t0_jd is not None,
        luminosity=luminosity,
        right=_WIDTH - (_RIGHT if luminosity.modulus is None else _RIGHT_WITH_AXIS),
        bottom=_HEIGHT - _BOTTOM - _STRIP * any(mark.negative for mark in zoomed.marks),
    )
    # Limits first, so that they never hide a detection.
    shown = sorted(
        zoomed.marks, key=lambda mark: (mark.point.mag is not None, mark.day, mark.point.id)
    )
    drawing = element(
        "svg",
        element("title", label),
        *_axes(page),
        *_strip(page),
        element("g", join([_draw(mark, page) for mark in shown]), class_="marks"),
        _legend(shown),
        class_="lightcurve",
        viewBox=f"0 0 {fixed(_WIDTH)} {fixed(_HEIGHT)}",
        role="img",
        aria_label=label,
    )
    remark = element("p", zoomed.remark, class_="muted note") if zoomed.remark else ""
    return Markup(drawing + remark)


def _begin(points: Sequence[Datapoint]) -> float:
    """First detection, else first limit [JD]: day 0 where there is no trigger."""
    seen = [p.jd for p in points if p.is_detection]
    return min(seen or [p.jd for p in points], default=0.0)


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


def _label(x: float, y: float, words: str, **attributes: str) -> Markup:
    return element("text", words, x=x, y=y, **attributes)


def _line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def _turned(x: float, y: float, words: str) -> Markup:
    turn = f"translate({fixed(x)} {fixed(y)}) rotate(-90)"
    return element("text", words, transform=turn, text_anchor="middle")


def _axes(page: _Page) -> list[Markup]:
    frame, right, bottom = page.frame, page.right, page.bottom
    box = {"x": _LEFT, "y": _TOP, "width": right - _LEFT, "height": bottom - _TOP}
    parts = [element("rect", **box, class_="frame")]
    magnitudes = ticks(frame.bright, frame.faint, 8)
    for value in magnitudes:
        y = page.y(value)
        parts.append(_line(_LEFT, y, right, y, "grid"))
        words = f"{value:.{decimals(magnitudes)}f}"
        parts.append(_label(_LEFT - 6, y + 4, words, text_anchor="end"))
    days = ticks(frame.first, frame.last, 8)
    for value in days:
        x = page.x(value)
        parts.append(_line(x, _TOP, x, bottom, "grid"))
        words = f"{value + 0.0:.{decimals(days)}f}"
        parts.append(_label(x, _HEIGHT - _BOTTOM + 16, words, text_anchor="middle"))
    parts.extend(_dates(page))
    parts.extend(_absolute(page))
    if page.has_trigger:
        x = page.x(0.0)
        parts.append(_line(x, _TOP, x, bottom, "trigger"))
        side = "end" if x > (_LEFT + right) / 2 else "start"
        shift = -4 if side == "end" else 4
        parts.append(_label(x + shift, bottom - 6, "t0", text_anchor=side, class_="trigger-name"))
    since = "days since the trigger" if page.has_trigger else "days since the first detection"
    parts.append(_label((_LEFT + right) / 2, _HEIGHT - 6, since, text_anchor="middle"))
    corrected = "" if page.luminosity.ebv is None else f", {page.luminosity.correction}"
    parts.append(_turned(13, (_TOP + bottom) / 2, f"AB magnitude{corrected}"))
    return parts


def _dates(page: _Page) -> list[Markup]:
    """Ticks of dates above the frame."""
    name, dates = date_ticks(page.origin + page.frame.first, page.origin + page.frame.last, 5)
    parts = []
    for jd, words in dates:
        x = page.x(jd - page.origin)
        parts.append(_line(x, _TOP, x, _TOP + 5, "tick"))
        parts.append(_label(x, _TOP - 5, words, text_anchor="middle", class_="minor"))
    middle = (_LEFT + page.right) / 2
    parts.append(_label(middle, _TOP - 20, name, text_anchor="middle", class_="minor"))
    return parts


def _absolute(page: _Page) -> list[Markup]:
    """Absolute magnitudes at the right, where there is a distance; no K correction."""
    modulus = page.luminosity.modulus
    if modulus is None:
        return []
    values = ticks(page.frame.bright - modulus, page.frame.faint - modulus, 8)
    parts = []
    for value in values:
        y = page.y(value + modulus)
        parts.append(_line(page.right - 5, y, page.right, y, "tick"))
        words = f"{value:.{decimals(values)}f}".replace("-", "\N{MINUS SIGN}")
        parts.append(_label(page.right + 5, y + 4, words, class_="minor"))
    words = f"absolute magnitude, {page.luminosity.correction}"
    parts.append(_turned(_WIDTH - 4, (_TOP + page.bottom) / 2, words))
    return parts


def _strip(page: _Page) -> list[Markup]:
    """Where negative subtractions stand: they have a time, and no brightness."""
    low = _HEIGHT - _BOTTOM
    if page.bottom == low:
        return []
    box = {"x": _LEFT, "y": page.bottom, "width": page.right - _LEFT, "height": _STRIP}
    return [
        element("rect", **box, class_="frame strip"),
        _label(_LEFT - 6, low - 5, "fainter", text_anchor="end", class_="minor"),
    ]


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


def _classes(point: Datapoint) -> str:
    band = point.band if point.band in _COLOURED else "other"
    if point.mag is None:
        return f"band-{band} open"
    negative = " negative" if point.positive is False else ""
    return f"band-{band}{negative}{' forced' if point.forced else ''}"


def _draw(mark: Mark, page: _Page) -> Markup:
    point, x = mark.point, page.x(mark.day)
    when = f"{mark.day:+.3f} d, {utc_text(point.jd)}, JD {jd_text(point.jd)}"
    kind = ", forced photometry" if point.forced else ""
    if mark.brightness is None:
        words = f"{point.band}: fainter than the reference{kind}, {when}"
        shape = _shape(point.band, x, _HEIGHT - _BOTTOM - _STRIP / 2, _classes(point))
        return element("g", element("title", words), shape)
    y = page.y(mark.brightness)
    if point.mag is None:
        words = f"{point.band} > {point.limmag:.2f} mag (5-sigma limit), {when}"
        return element("g", element("title", words), _limit(x, y, _classes(point)))
    error = f" ± {point.magerr:.2f}" if point.magerr is not None else ""
    words = f"{point.band} = {point.mag:.2f}{error} mag{kind}, {when}{_corrected(mark, page)}"
    low, high = page.y(mark.brightness + mark.error), page.y(mark.brightness - mark.error)
    bar = _line(x, low, x, high, f"error {_classes(point)}") if mark.error else None
    return element("g", element("title", words), bar, _shape(point.band, x, y, _classes(point)))


def _corrected(mark: Mark, page: _Page) -> str:
    """What was made of a magnitude, for whoever points at it."""
    luminosity, value = page.luminosity, mark.brightness or 0.0
    extinction = luminosity.extinction(mark.point.band)
    words = f"; {value:.2f} less {extinction:.2f} of extinction" if extinction else ""
    if luminosity.modulus is not None:
        words += f"; absolute {value - luminosity.modulus:.2f}"
    return words


def _legend(marks: Sequence[Mark]) -> Markup:
    """One entry for each kind of mark that occurs."""
    entries: dict[str, Datapoint] = {}
    for mark in sorted(
        marks, key=lambda m: (m.point.mag is None, m.point.forced, m.negative, m.point.fid)
    ):
        point = mark.point
        name = point.band + (" forced" if point.forced and point.mag is not None else "")
        name += " limit" if point.mag is None else " negative" if mark.negative else ""
        entries.setdefault(name, point)
    parts, x = [], _LEFT + 4
    for name, point in entries.items():
        classes = _classes(point)
        shape = _shape(point.band, x, 12, classes)
        parts.append(shape if point.mag is not None else _limit(x, 12, classes))
        parts.append(_label(x + 9, 16, name))
        x += 24 + 7.2 * len(name)
    return element("g", join(parts), class_="legend")

"""The drawings of an event's sky: the whole of it in Mollweide's projection, and close-ups.

Where the 90 % region is small, close-ups (`ampelstream.report.closeup`) stand beside the whole sky.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ampelstream.model.display import counted
from ampelstream.report.closeup import (
    Closeup,
    border,
    draw_closeup,
    find_closeups,
    inside_closeup,
)
from ampelstream.report.content import EventReport, ReportMap
from ampelstream.report.maplayers import (
    Marker,
    draw_markers,
    marker_title,
    outlines,
    polyline,
    shaded_image,
)
from ampelstream.report.markup import Markup, element, join
from ampelstream.report.projection import galactic_plane, mollweide, mollweide_inverse
from ampelstream.report.views import EventView, Row

__all__ = ["all_sky", "draw_sky"]

_SMALL_DEG2 = 1000.0
"""90 % area below which a close-up shows more than the whole sky does."""


def draw_sky(view: EventView, *, numbered: int) -> Markup | None:
    """Draw the sky of an event; None where there is neither a map nor a candidate.

    Parameters
    ----------
    view
        The event with its candidates.
    numbered
        Ranks up to this one get a number.
    """
    event, rows = view.event, view.active
    if event.skymap is None and not rows:
        return element("p", _no_map(event), class_="muted")
    name = f"Sky map of {event.event_id}" if event.event_id else "Where the objects are"
    parts = _parts(event)
    whole = element(
        "figure",
        all_sky(event.skymap, rows, numbered, name, parts),
        element("figcaption", _caption(event, parts)),
    )
    closeups = _closeups(view, parts, numbered, name)
    class_ = "sky-views with-closeups" if closeups else "sky-views"
    return element("div", whole, *closeups, class_=class_)


def _no_map(event: EventReport) -> str:
    """Why no map is drawn: there was none, or the state has forgotten it with its event."""
    if any(one.area90_deg2 is not None for one in event.revisions):
        return "Its sky map was forgotten with the event, by the topology's retention."
    return "No sky map."


def _caption(event: EventReport, parts: Sequence[Closeup]) -> str:
    shading = _no_map(event) if event.event_id else "The objects and their ranks."
    if event.skymap is not None:
        of = f" {event.skymap.name}" if event.skymap.name else ""
        shading = (
            f"Sky map{of}: the stronger the colour, the smaller the credible region that holds the "
            "pixel; outlines at 50 % (solid) and 90 % (dashed)."
        )
    return (
        f"{shading} Whole sky, Mollweide, ICRS, right ascension 180° (12h) in the middle and "
        "growing to the left. Dotted: galactic plane."
        f"{_FRAMED if parts else ''}"
    )


_FRAMED = " Framed: close-ups; candidates in them are drawn there."


def _area90(event: EventReport) -> float | None:
    """Of the revision that the sky map belongs to: the latest that has one."""
    areas = [one.area90_deg2 for one in event.revisions if one.area90_deg2 is not None]
    return areas[-1] if areas else None


def _parts(event: EventReport) -> Sequence[Closeup]:
    """What gets a close-up: the 90 % region, where it is small."""
    area = _area90(event)
    if event.skymap is None or area is None or area >= _SMALL_DEG2:
        return []
    return find_closeups(event.skymap)


def _closeups(view: EventView, parts: Sequence[Closeup], numbered: int, name: str) -> list[Markup]:
    skymap = view.event.skymap
    if skymap is None:
        return []
    figures = []
    for index, part in enumerate(parts, 1):
        inside = len(inside_closeup(part, view.active))
        words = (
            f"Close-up {index}, around RA {part.ra:.2f}°, Dec {part.dec:+.2f}°, which holds "
            f"{100 * part.probability:.0f} % of the probability and {inside} of "
            f"{counted(len(view.active), 'candidate')}. Gnomonic, north up, east left."
        )
        drawing = draw_closeup(part, skymap, view.active, numbered, f"{name}, close-up {index}")
        figures.append(element("figure", drawing, element("figcaption", words)))
    return figures


_CENTRE = 180.0
"""Right ascension of the middle of the map [deg]."""

_WIDTH, _HEIGHT = 800, 400
_MARGIN_X, _MARGIN_Y = 34, 20


def all_sky(
    skymap: ReportMap | None,
    rows: Sequence[Row],
    numbered: int,
    label: str,
    parts: Sequence[Closeup] = (),
) -> Markup:
    """Draw the sky; right ascension grows to the left.

    Parameters
    ----------
    skymap
        Shaded, with its 50 % and 90 % regions outlined; None leaves the sky empty.
    rows
        Candidates, best first within each channel.
    numbered
        Ranks up to this one are numbered and linked; the others are dots.
    label
        Name of the drawing for those who do not see it.
    parts
        What is drawn as a close-up: it is framed, and candidates in it are left to its drawing,
        where they do not cover the region.
    """
    elsewhere = [row for row in rows if not any(inside_closeup(part, [row]) for part in parts)]
    shade: list[Markup] = []
    if skymap is not None:
        levels = _raster(skymap)
        shade = [shaded_image(levels, 0.0, 0.0, 1.0), outlines(levels, 1.0)]
    return element(
        "svg",
        element("title", label),
        element(
            "ellipse", cx=_WIDTH / 2, cy=_HEIGHT / 2, rx=_WIDTH / 2, ry=_HEIGHT / 2, class_="sky"
        ),
        *shade,
        _graticule(),
        element("path", d=polyline(*_project(*galactic_plane())), class_="galactic"),
        _names(),
        *(_framed(part, index) for index, part in enumerate(parts, 1)),
        draw_markers(_markers(elsewhere, numbered), _WIDTH, _HEIGHT),
        class_="skymap",
        viewBox=f"{-_MARGIN_X} {-_MARGIN_Y} {_WIDTH + 2 * _MARGIN_X} {_HEIGHT + 2 * _MARGIN_Y}",
        role="group",
        aria_label=label,
    )


def _framed(part: Closeup, index: int) -> Markup:
    """The edge of a close-up on the whole sky, with its number."""
    x, y = _project(*border(part))
    corner = int(np.argmax(x - y))  # top right
    return element(
        "g",
        element("title", f"close-up {index}"),
        element("path", d=polyline(x, y)),
        element("text", str(index), x=float(x[corner]) + 4, y=float(y[corner]) - 3),
        class_="framed",
    )


def _raster(skymap: ReportMap) -> NDArray[np.float64]:
    """Credible level at the centre of each pixel; NaN outside of the ellipse."""
    x = (np.arange(_WIDTH) + 0.5) / _WIDTH * 4 - 2
    y = 1 - (np.arange(_HEIGHT) + 0.5) / _HEIGHT * 2
    ra, dec = mollweide_inverse(*np.meshgrid(x, y), _CENTRE)
    inside = np.isfinite(ra)
    levels = np.full(ra.shape, np.nan)
    levels[inside] = skymap.credible_levels(ra[inside], dec[inside])
    return levels


def _project(
    ra: NDArray[np.float64], dec: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Drawing coordinates, y downwards."""
    x, y = mollweide(ra, dec, _CENTRE)
    return (x + 2) / 4 * _WIDTH, (1 - y) / 2 * _HEIGHT


def _graticule() -> Markup:
    """Lines every 30 deg in both directions."""
    steps = np.linspace(0.0, 1.0, 61)
    lines = []
    for ra in range(30, 360, 30):
        dec = -90 + 180 * steps
        lines.append(polyline(*_project(np.full(dec.shape, float(ra)), dec)))
    for height in (-60, -30, 0, 30, 60):
        # Nudged off the edges, which are the same meridian.
        across = _CENTRE + (2 * steps - 1) * 179.999
        lines.append(polyline(*_project(across, np.full(across.shape, float(height)))))
    return element("path", d="".join(lines), class_="graticule")


def _names() -> Markup:
    """Degrees and hours along the equator, degrees of declination at the left edge."""
    parts = []
    for ra in range(30, 360, 30):
        x, y = (float(one) for one in _project(np.array(float(ra)), np.array(0.0)))
        if ra % 60 == 0:
            parts.append(element("text", f"{ra}°", x=x, y=y - 4, text_anchor="middle"))
            hours = element("text", f"{ra // 15}h", x=x, y=y + 13, text_anchor="middle")
            parts.append(hours)
    for dec in (-60, -30, 0, 30, 60):
        left = _project(np.array(_CENTRE + 179.999), np.array(float(dec)))
        x, y = (float(one) for one in left)
        words = f"{dec:+d}°" if dec else "0°"
        parts.append(element("text", words, x=x - 5, y=y + 4, text_anchor="end"))
    return element("g", join(parts), class_="names")


def _markers(rows: Sequence[Row], numbered: int) -> list[Marker]:
    shown = [row for row in rows if row.candidate.ra is not None and row.candidate.dec is not None]
    shown.sort(key=lambda row: (row.rank, row.label))
    if not shown:
        return []
    x, y = _project(
        np.array([row.candidate.ra for row in shown], dtype=np.float64),
        np.array([row.candidate.dec for row in shown], dtype=np.float64),
    )
    return [
        Marker(
            float(across),
            float(down),
            row.label if row.rank <= numbered else "",
            marker_title(row),
            row.anchor if row.rank <= numbered else "",
        )
        for across, down, row in zip(x, y, shown, strict=True)
    ]

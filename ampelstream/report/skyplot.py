"""The whole sky in Mollweide's projection, with the sky map and the candidates on it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ampelstream.report.markers import Marker, draw_markers
from ampelstream.report.markup import Markup, element, fixed, join
from ampelstream.report.model import ReportMap
from ampelstream.report.projection import galactic_plane, mollweide, mollweide_inverse
from ampelstream.report.ranking import Row
from ampelstream.report.shading import outlines, shaded_image

__all__ = ["CENTRE", "all_sky", "marker_title", "polyline"]

CENTRE = 180.0
"""Right ascension of the middle of the map [deg]."""

_WIDTH, _HEIGHT = 800, 400
_MARGIN_X, _MARGIN_Y = 34, 20
_JUMP = 1.0
"""Two neighbouring points of a line further apart than this lie on opposite edges of the map."""


def all_sky(skymap: ReportMap | None, rows: Sequence[Row], numbered: int, label: str) -> Markup:
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
    """
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
        element("path", d=polyline(*_place(*galactic_plane())), class_="galactic"),
        _names(),
        draw_markers(_markers(rows, numbered), _WIDTH, _HEIGHT),
        class_="skymap",
        viewBox=f"{-_MARGIN_X} {-_MARGIN_Y} {_WIDTH + 2 * _MARGIN_X} {_HEIGHT + 2 * _MARGIN_Y}",
        role="group",
        aria_label=label,
    )


def marker_title(row: Row) -> str:
    """What a pointer resting on a candidate is told."""
    score = "" if row.score is None else f", score {row.score:g}"
    return f"{row.label} · {row.candidate.object_id}{score}"


def polyline(x: NDArray[np.float64], y: NDArray[np.float64], jump: float = _JUMP * 400) -> str:
    """Write points as an SVG path, lifting the pen at NaN and where the line wraps around."""
    pieces, drawing, last = [], False, 0.0
    for across, down in zip(x.tolist(), y.tolist(), strict=True):
        if not np.isfinite(across) or not np.isfinite(down):
            drawing = False
            continue
        pen = "L" if drawing and abs(across - last) < jump else "M"
        pieces.append(f"{pen}{fixed(across)} {fixed(down)}")
        drawing, last = True, across
    return "".join(pieces)


def _raster(skymap: ReportMap) -> NDArray[np.float64]:
    """Credible level at the centre of each pixel; NaN outside of the ellipse."""
    x = (np.arange(_WIDTH) + 0.5) / _WIDTH * 4 - 2
    y = 1 - (np.arange(_HEIGHT) + 0.5) / _HEIGHT * 2
    ra, dec = mollweide_inverse(*np.meshgrid(x, y), CENTRE)
    inside = np.isfinite(ra)
    levels = np.full(ra.shape, np.nan)
    levels[inside] = skymap.credible_levels(ra[inside], dec[inside])
    return levels


def _place(
    ra: NDArray[np.float64], dec: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Drawing coordinates, y downwards."""
    x, y = mollweide(ra, dec, CENTRE)
    return (x + 2) / 4 * _WIDTH, (1 - y) / 2 * _HEIGHT


def _graticule() -> Markup:
    """Lines every 30 deg in both directions."""
    steps = np.linspace(0.0, 1.0, 61)
    lines = []
    for ra in range(30, 360, 30):
        dec = -90 + 180 * steps
        lines.append(polyline(*_place(np.full(dec.shape, float(ra)), dec)))
    for height in (-60, -30, 0, 30, 60):
        # Nudged off the edges, which are the same meridian.
        across = CENTRE + (2 * steps - 1) * 179.999
        lines.append(polyline(*_place(across, np.full(across.shape, float(height)))))
    return element("path", d="".join(lines), class_="graticule")


def _names() -> Markup:
    """Degrees and hours along the equator, degrees of declination at the left edge."""
    parts = []
    for ra in range(30, 360, 30):
        x, y = (float(one) for one in _place(np.array(float(ra)), np.array(0.0)))
        if ra % 60 == 0:
            parts.append(element("text", f"{ra}°", x=x, y=y - 4, text_anchor="middle"))
            hours = element("text", f"{ra // 15}h", x=x, y=y + 13, text_anchor="middle")
            parts.append(hours)
    for dec in (-60, -30, 0, 30, 60):
        left = _place(np.array(CENTRE + 179.999), np.array(float(dec)))
        x, y = (float(one) for one in left)
        words = f"{dec:+d}°" if dec else "0°"
        parts.append(element("text", words, x=x - 5, y=y + 4, text_anchor="end"))
    return element("g", join(parts), class_="names")


def _markers(rows: Sequence[Row], numbered: int) -> list[Marker]:
    placed = [row for row in rows if row.candidate.ra is not None and row.candidate.dec is not None]
    placed.sort(key=lambda row: (row.rank, row.label))
    if not placed:
        return []
    x, y = _place(
        np.array([row.candidate.ra for row in placed], dtype=np.float64),
        np.array([row.candidate.dec for row in placed], dtype=np.float64),
    )
    return [
        Marker(
            float(across),
            float(down),
            row.label if row.rank <= numbered else "",
            marker_title(row),
            row.anchor if row.rank <= numbered else "",
        )
        for across, down, row in zip(x, y, placed, strict=True)
    ]

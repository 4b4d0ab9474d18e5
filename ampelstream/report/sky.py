"""The drawings of an event's sky: the whole of it, and close-ups where the region is small."""

from ampelstream.report.closeplot import draw_closeup, inside_closeup
from ampelstream.report.closeup import find_closeups
from ampelstream.report.markup import Markup, element
from ampelstream.report.model import EventReport
from ampelstream.report.ranking import EventView
from ampelstream.report.skyplot import all_sky

__all__ = ["draw_sky"]

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
        return element("p", "No sky map.", class_="muted")
    name = f"Sky map of {event.event_id}"
    whole = element(
        "figure",
        all_sky(event.skymap, rows, numbered, name),
        element("figcaption", _caption(event)),
    )
    return element("div", whole, *_closeups(view, numbered, name), class_="sky-views")


def _caption(event: EventReport) -> str:
    shading = "No sky map."
    if event.skymap is not None:
        of = f" {event.skymap.name}" if event.skymap.name else ""
        shading = (
            f"Sky map{of}: the stronger the colour, the smaller the credible region that holds the "
            "pixel; outlines at 50 % (solid) and 90 % (dashed)."
        )
    return (
        f"{shading} Whole sky, Mollweide, ICRS, right ascension 180° (12h) in the middle and "
        "growing to the left. Dotted: galactic plane."
    )


def _area90(event: EventReport) -> float | None:
    """Of the revision that the sky map belongs to: the latest that has one."""
    areas = [one.area90_deg2 for one in event.revisions if one.area90_deg2 is not None]
    return areas[-1] if areas else None


def _closeups(view: EventView, numbered: int, name: str) -> list[Markup]:
    skymap, area = view.event.skymap, _area90(view.event)
    if skymap is None or area is None or area >= _SMALL_DEG2:
        return []
    figures = []
    for index, part in enumerate(find_closeups(skymap), 1):
        inside = len(inside_closeup(part, view.active))
        words = (
            f"Close-up around RA {part.ra:.2f}°, Dec {part.dec:+.2f}°, which holds "
            f"{100 * part.probability:.0f} % of the probability and {inside} of "
            f"{len(view.active)} candidates. Gnomonic, north up, east left."
        )
        drawing = draw_closeup(part, skymap, view.active, numbered, f"{name}, close-up {index}")
        figures.append(element("figure", drawing, element("figcaption", words)))
    return figures

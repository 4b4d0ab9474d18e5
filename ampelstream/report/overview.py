"""The table of all events, and the list of contents beside the report."""

from collections.abc import Sequence

from ampelstream.report.event import area_text, distance_text
from ampelstream.report.markup import Markup, element, join
from ampelstream.report.quantities import DASH, far_text, utc_text
from ampelstream.report.ranking import EventView, trigger_jd

__all__ = ["draw_contents", "draw_overview"]

_HEADS = (
    "Event",
    "Notice",
    "Trigger time",
    "False alarm rate",
    "Most probable",
    "Distance",
    "90 % area",
    "Candidates",
)


def draw_contents(views: Sequence[EventView]) -> Markup:
    """Links to all sections; events with their number of candidates."""
    links = [
        element("li", element("a", "Overview", href="#top")),
        element("li", element("a", "What came in", href="#flow")),
        element("li", element("a", "Events", href="#events")),
    ]
    events = [
        element(
            "li",
            element(
                "a",
                view.event.event_id,
                element("span", str(len(view.active)), class_="count") if view.active else None,
                href=f"#{view.anchor}",
                class_="retracted" if view.event.retracted else None,
            ),
        )
        for view in views
    ]
    return element(
        "nav",
        element("ul", join([*links, *events])),
        aria_label="Contents",
    )


def draw_overview(views: Sequence[EventView]) -> Markup:
    """One row per event."""
    if not views:
        table = element("p", "No event.", class_="muted")
    else:
        head = element("tr", *(element("th", name, scope="col") for name in _HEADS))
        rows = [element("tr", join(_cells(view))) for view in views]
        table = element(
            "div",
            element(
                "table", element("thead", head), element("tbody", join(rows)), class_="rows events"
            ),
            class_="scroll",
            tabindex=0,
        )
    return element("section", element("h2", "Events"), table, id="events")


def _cells(view: EventView) -> list[Markup]:
    event = view.event
    said = [one for one in event.revisions if one.revision.t0_jd is not None]
    latest = said[-1] if said else None
    kind = event.revisions[-1].revision.alert_type if event.revisions else DASH
    probable = DASH
    if latest is not None and latest.revision.classification:
        values = latest.revision.classification
        best = max(sorted(values), key=lambda name: values[name])
        probable = f"{best} {100 * values[best]:.0f} %"
    words = (
        kind,
        utc_text(trigger_jd(event)),
        far_text(None if latest is None else latest.revision.far, brief=True),
        probable,
        distance_text(event),
        area_text(None if latest is None else latest.area90_deg2),
    )
    link = element("a", event.event_id, href=f"#{view.anchor}")
    return [
        element("td", link, class_="name"),
        *(element("td", part) for part in words),
        element("td", str(len(view.active)), class_="num strong"),
    ]

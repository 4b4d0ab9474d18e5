"""Candidates as tables with the same columns: in the page, and in a terminal.

In the page every event and channel has a ranked table, and a muted one of those that no longer
count; the terminal gets the best of each channel over all events.
"""

from collections.abc import Collection, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from ampelstream.model.display import counted, printable
from ampelstream.report.content import ReplayReport
from ampelstream.report.markup import Markup, element, join
from ampelstream.report.quantities import DASH, number, sexagesimal
from ampelstream.report.views import (
    EventView,
    Facts,
    Listing,
    Row,
    arrange,
    first_day,
    first_text,
    is_test,
    latest_text,
    level_text,
    redshift_text,
    score_order,
    score_text,
    strays_text,
)

__all__ = ["candidate_table", "others_table", "ranked_table"]

_COLUMNS = (
    ("Object", "text", ""),
    ("RA, Dec [deg]", "number", "ICRS; sorted by right ascension; * some detections lie elsewhere"),
    ("RA, Dec", "number", "ICRS, hours and degrees; sorted by right ascension"),
    (
        "First [d]",
        "number",
        "First detection after the trigger, days; without an event, day of the first alert",
    ),
    ("Latest", "number", "Latest detection: AB magnitude and band"),
    ("Level", "number", "Credible level: the smallest credible region that holds the position"),
    ("z", "number", "Redshift that a unit gave"),
    ("D [Mpc]", "number", "Luminosity distance: of a unit, or of the redshift (Planck 2015)"),
    ("Status", "text", ""),
)

_CELL = 60
"""Most characters of a cell of a terminal's table: identifiers of the surveys and of GCN have less
than thirty."""


def ranked_table(listing: Listing, *, cards: int, rows: int) -> Markup:
    """Make the table of active candidates, sortable by every column.

    Parameters
    ----------
    listing
        What to list.
    cards
        Ranks up to this one have a card and are linked to it.
    rows
        At most so many are listed; a line says how many more there are.
    """
    score = listing.score_path or "rank"
    heads = [("#", "number", "Rank"), ("Score", "number", f"{score}; {_direction(listing)}")]
    heads[1:1] = _COLUMNS[:1]
    heads.extend(_COLUMNS[1:-1])  # the status of all of them is active
    shown = listing.active[:rows]
    body = [_ranked_row(row, linked=row.rank <= cards) for row in shown]
    rest = len(listing.active) - len(shown)
    words = f"Ranked by {score}, {_direction(listing)}. The name of a column sorts by it."
    if rest:
        of = "of this event and channel"
        more = counted(rest, f"more candidate {of} is", f"more candidates {of} are")
        words += f" {more} in candidates.ndjson."
    return Markup(_table(heads, body, "ranked") + element("p", words, class_="muted hint"))


def _direction(listing: Listing) -> str:
    return "low values first" if listing.ascending else "high values first"


def others_table(listing: Listing, *, rows: int) -> Markup | None:
    """Make the table of candidates that are outside of the latest region, or retracted."""
    if not listing.others:
        return None
    shown = listing.others[:rows]
    table = _table(
        list(_COLUMNS),
        [element("tr", join(_cells(row, linked=False))) for row in shown],
        "others",
    )
    rest = len(listing.others) - len(shown)
    words = f"{counted(rest, 'more of them is', 'more of them are')} in candidates.ndjson."
    return element(
        "details",
        element("summary", f"No longer candidates: {len(listing.others)} (outside or retracted)"),
        table,
        element("p", words, class_="muted") if rest else None,
        class_="muted",
    )


def _table(heads: Sequence[tuple[str, str, str]], body: list[Markup], class_: str) -> Markup:
    head = [
        element(
            "th",
            element("button", name, type="button", title=title or None),
            scope="col",
            data_kind=kind,
        )
        for name, kind, title in heads
    ]
    table = element(
        "table",
        element("thead", element("tr", join(head))),
        element("tbody", join(body)),
        class_=f"sortable {class_} stacking",
    )
    class_ = "scroll long" if len(body) > _LONG else "scroll"
    return element("div", table, class_=class_, tabindex=0)


_FIXED = "\N{NO-BREAK SPACE}"
_LONG = 40
"""Rows from which on a table scrolls by itself, so that the cards are not far below."""


def _ranked_row(row: Row, *, linked: bool) -> Markup:
    cells = _cells(row, linked=linked)
    rank = element("td", row.label, class_="num rank", data_s=row.rank)
    score = element(
        "td", score_text(row), class_="num strong", data_s=_sort(row.score), data_label="Score"
    )
    return element("tr", rank, cells[0], score, *cells[1:-1])


def _sort(value: float | None) -> str:
    """Exact value to sort by; empty sorts last."""
    # A NumPy number is written with the name of its type, which no script could read.
    return "" if value is None else repr(float(value))


def _cells(row: Row, *, linked: bool) -> list[Markup]:
    candidate, facts = row.candidate, row.facts
    name: object = candidate.object_id
    if linked:
        name = element("a", name, href=f"#{row.anchor}")
    degrees = sixties = DASH
    if candidate.ra is not None and candidate.dec is not None:
        degrees = f"{candidate.ra:.5f} {candidate.dec:+.5f}{'*' if candidate.strays else ''}"
        sixties = " ".join(sexagesimal(candidate.ra, candidate.dec))
    latest = None if facts.latest is None else facts.latest.mag
    shown = (
        (degrees, candidate.ra),
        (sixties, candidate.ra),
        (first_text(facts), _first(facts)),
        (latest_text(facts).replace(" ", _FIXED), latest),
        (level_text(facts).replace(" ", _FIXED), facts.level),
        (redshift_text(facts), facts.redshift),
        (number(facts.distance_mpc, 3), facts.distance_mpc),
    )
    numbers = [
        element(
            "td",
            words,
            class_="num" if words != DASH else "num empty",
            data_s=_sort(value),
            data_label=head,
            title=(strays_text(candidate) or None) if head == _COLUMNS[1][0] else None,
        )
        for (words, value), (head, _, _) in zip(shown, _COLUMNS[1:-1], strict=True)
    ]
    status = element("td", candidate.status.value, data_label="Status")
    return [element("td", name, class_="name"), *numbers, status]


def _first(facts: Facts) -> float | None:
    """What the column of first detections is sorted by [d, or JD]."""
    return first_day(facts) if facts.first_days is None else facts.first_days


def candidate_table(report: ReplayReport, limit: int = 20) -> Table:
    """List the best candidates of each channel, over all events.

    Parameters
    ----------
    report
        What to list.
    limit
        Most rows per channel.
    """
    views = arrange(report)
    table = Table(
        title="Simulated data" if report.simulated else None,
        title_style="bold red",
        box=box.SIMPLE_HEAD,  # without frames, the table fits into 80 columns
        padding=0,
        pad_edge=False,
    )
    channels = sorted({listing.channel for view in views for listing in view.listings})
    if len(channels) > 1:
        table.add_column("channel", no_wrap=True)
    table.add_column("event", no_wrap=True)
    table.add_column("object", no_wrap=True)
    for name in ("score", "RA", "Dec", "first", "latest", "level", "z"):
        table.add_column(name, justify="right", no_wrap=True)
    tests = {view.event.event_id for view in views if is_test(view.event)}
    shown = total = 0
    for channel in channels:
        rows = _best(views, channel)
        total += len(rows)
        for row in rows[:limit]:
            first = [channel] if len(channels) > 1 else []
            cells = [printable(part, _CELL) for part in [*first, *_terminal_cells(row, tests)]]
            table.add_row(*map(Text, cells))
            shown += 1
        table.add_section()
    table.caption = (
        f"{shown} of {counted(total, 'active candidate')}; RA, Dec in deg (ICRS), first detection "
        "in d after the trigger (without an event: day of the first alert), latest in AB mag"
    )
    return table


def _best(views: list[EventView], channel: str) -> list[Row]:
    """Active candidates of a channel: by score, then by event, then by rank."""
    found = [
        (listing.ascending, view.event.event_id, row)
        for view in views
        for listing in view.listings
        if listing.channel == channel
        for row in listing.active
    ]

    def order(one: tuple[bool, str, Row]) -> tuple[bool, float, str, int]:
        ascending, event_id, row = one
        return (*score_order(row.score, ascending=ascending), event_id, row.rank)

    return [row for _, _, row in sorted(found, key=order)]


def _terminal_cells(row: Row, tests: Collection[str]) -> list[str]:
    candidate, facts = row.candidate, row.facts
    mark = " (test)" if candidate.event_id in tests else ""
    return [
        (candidate.event_id or DASH) + mark,
        candidate.object_id,
        score_text(row),
        DASH if candidate.ra is None else f"{candidate.ra:.5f}",
        DASH if candidate.dec is None else f"{candidate.dec:+.5f}",
        first_text(facts),
        latest_text(facts),
        level_text(facts),
        redshift_text(facts),
    ]
